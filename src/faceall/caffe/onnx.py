"""`Net` -> ONNX, in memory: the input of onnxruntime and OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence

from faceall.arguments import checked
from faceall.caffe.checks import wanted_outputs
from faceall.caffe.layers import LAYERS, is_clipped
from faceall.caffe.net import Net
from faceall.caffe.onnx_graph import OnnxGraph, declare
from faceall.caffe.shapes import fit_weights, infer_shapes
from faceall.errors import NetFormatError


@checked
def to_onnx(
    net: Net, outputs: Sequence[str] | None = None, *, fixed_size: bool | None = None, eight_bit: bool = False
) -> bytes:
    """Convert a net to the bytes of an ONNX model that takes any batch size.

    Parameters
    ----------
    net : Net
        The net with its weights.
    outputs : sequence of str, optional
        The blobs that the model returns; by default those that no layer reads.
    fixed_size : bool, optional
        Whether height and width stay as the net declares them. By default they do where a layer (InnerProduct,
        Reshape, ...) depends on them.
    eight_bit : bool
        Whether the layers of `net.ranges` are computed in 8 bits.

    Returns
    -------
    bytes
        An ONNX model, opset 13.

    Raises
    ------
    UnsupportedLayerError
        A layer has an unknown type or an option that is not supported.
    ShapeError
        Shapes, options or weights do not fit.
    NetFormatError
        A blob is read that no layer writes, or an input is asked for as an output.
    """
    weighted = fit_weights(net)
    blobs = {layer.name: weighted.blobs(layer.name) for layer in net.layers}
    graph = OnnxGraph(net.name, infer_shapes(net), blobs, net.ranges if eight_bit else {})
    fixed = _depends_on_size(net) if fixed_size is None else fixed_size
    for blob, shape in net.inputs.items():
        declare(graph.message.input.add(name=blob), _free(shape, fixed))
        graph.values[blob] = blob
    for layer in net.layers:
        if layer.type == "Input":
            continue
        bottoms = [graph.values[bottom] for bottom in layer.bottoms]
        graph.values.update(zip(layer.tops, LAYERS[layer.type].onnx(graph, layer, bottoms), strict=True))
    for blob in wanted_outputs(net, outputs):
        _add_output(graph, net, blob)
    return bytes(graph.model.SerializeToString())


def _depends_on_size(net: Net) -> bool:
    return any(layer.type in LAYERS and (LAYERS[layer.type].fixed_size or is_clipped(layer)) for layer in net.layers)


def _free(shape: Sequence[int], fixed: bool) -> list[int | str]:
    """Return the shape with names for the axes that may differ from call to call."""
    names = {0: "batch"} if fixed else {0: "batch", 2: "height", 3: "width"}
    return [names.get(axis, size) for axis, size in enumerate(shape)]


def _add_output(graph: OnnxGraph, net: Net, blob: str) -> None:
    if blob in net.inputs:
        raise NetFormatError(f"net '{net.name}': the blob '{blob}' is an input and cannot be an output as well")
    graph.node("Identity", [graph.values[blob]], blob)
    declare(graph.message.output.add(name=blob), [f"{blob}:{axis}" for axis in range(graph.rank(blob))])

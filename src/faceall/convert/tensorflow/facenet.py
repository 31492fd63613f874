"""Translate a frozen FaceNet graph into a `Net`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from faceall.arguments import checked
from faceall.caffe.net import Net
from faceall.convert.budget import LARGEST, charge, limited
from faceall.convert.passes.pools import FloorPool, write_floor_pools
from faceall.convert.passes.simplify import BatchNormStyle, apply_batch_norm, blobs_after_layers, layer_after_blob
from faceall.convert.tensorflow.builder import Builder, CannotConvertError
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.graph import Graph, Node, node_of, ordered
from faceall.convert.tensorflow.graphdef import read_graph
from faceall.convert.tensorflow.layers import WRITERS
from faceall.convert.tensorflow.simplify import SIMPLIFY, bind, run
from faceall.errors import UnsupportedGraphError

INPUT_BLOB = "input"
OUTPUT_BLOB = "embeddings"
DEFAULT_SIZE = 160
"""The side of FaceNet's images, in pixels, for a graph that does not say."""

_USUAL_SIZE = 256
"""The side of images, in pixels, up to which the usual limits hold; a larger one is asked for."""

_SHAPE_OPERAND = {"Reshape": 1, "ExpandDims": 1, "Squeeze": 1}
"""The number of operands that are values; the others only describe a shape."""


@dataclass(frozen=True, eq=False)
class Translation:
    """A net and the source of each of its blobs.

    Parameters
    ----------
    net : Net
        The net, input blob `input` (N, C, H, W), output blob `embeddings`.
    graph : Graph
        The source: the cut graph, not yet simplified, that the evaluator runs.
    sources : Mapping[str, str]
        Blob -> the tensor of the graph that it holds, in the order of execution.
    """

    net: Net
    graph: Graph
    sources: Mapping[str, str]


@checked
def facenet_net(
    source: str | Path,
    *,
    batch_norm: BatchNormStyle = "fold",
    input: str | None = None,
    output: str | None = None,
    image_size: int | None = None,
    floor_pool: FloorPool = "crop",
) -> Net:
    """Read the frozen TensorFlow graph `source` as a net; its output is not compared with the graph's.

    The net reads the blob `input` (N, 3, H, W) and writes the blob `embeddings` (N, D) of unit length.

    Parameters
    ----------
    batch_norm : BatchNormStyle
        "fold" into the layer before, or "keep" as BatchNorm and Scale.
    input : str, optional
        The node that holds the images; None: `input`, or the only placeholder that can be.
    output : str, optional
        The node that holds the result; None: `embeddings`, or the only node that nothing reads.
    image_size : int, optional
        The side of the images in pixels; None: what the graph says, else 160.
    floor_pool : FloorPool
        How to write a pool that rounds down.

    Raises
    ------
    NetFormatError
        If the file is damaged.
    UnsupportedGraphError
        If a layer or operation has no counterpart.
    """
    return read_translation(
        source, batch_norm=batch_norm, input=input, output=output, image_size=image_size, floor_pool=floor_pool
    ).net


def read_translation(
    source: str | Path,
    *,
    batch_norm: BatchNormStyle = "fold",
    input: str | None = None,
    output: str | None = None,
    image_size: int | None = None,
    floor_pool: FloorPool = "crop",
) -> Translation:
    """Read a frozen graph as a net together with the source of each blob; see `facenet_net`.

    Raises
    ------
    UnsupportedGraphError
        If an operation has no counterpart.
    """
    path = Path(source)
    graph = read_graph(path)
    try:
        bound = bind(graph, input=input, output=output)
        return translate(bound, name=path.stem, batch_norm=batch_norm, image_size=image_size, floor_pool=floor_pool)
    except UnsupportedGraphError as error:
        raise UnsupportedGraphError(f"{path}: {error}") from error


@checked
def translate(
    graph: Graph,
    *,
    name: str,
    batch_norm: BatchNormStyle = "fold",
    image_size: int | None = None,
    floor_pool: FloorPool = "crop",
) -> Translation:
    """Translate a bound graph (see `bind`) into a net called `name`.

    Parameters
    ----------
    floor_pool : FloorPool
        How to write a pool that rounds down.

    Raises
    ------
    UnsupportedGraphError
        The message lists every operation without a counterpart.
    NetFormatError
        If it takes more memory or steps than a net does.
    """
    if graph.input not in graph.nodes:
        raise UnsupportedGraphError(f"the output '{graph.output}' does not depend on the input '{graph.input}'")
    with limited(LARGEST * max(1, (image_size or 0) // _USUAL_SIZE) ** 2):
        return _translated(graph, name, batch_norm, image_size, floor_pool)


def _translated(
    graph: Graph, name: str, batch_norm: BatchNormStyle, image_size: int | None, floor_pool: FloorPool
) -> Translation:
    simple = run(graph, SIMPLIFY)
    image = image_shape(simple, image_size)
    fixed = {node.name: np.asarray(node.attrs["value"]) for node in simple.nodes.values() if node.op == "Const"}
    builder = Builder(simple, _shapes(graph, image), fixed)
    builder.start(simple.input, INPUT_BLOB, image)
    _write_layers(builder)
    net, sources = _named_output(builder, name)
    net, names = blobs_after_layers(apply_batch_norm(net, batch_norm), keep=(INPUT_BLOB, OUTPUT_BLOB))
    names |= {INPUT_BLOB: INPUT_BLOB, OUTPUT_BLOB: OUTPUT_BLOB}
    kept = {names[blob]: tensor for blob, tensor in sources.items() if blob in names}
    net = write_floor_pools(layer_after_blob(net, OUTPUT_BLOB), floor_pool)
    return Translation(net, graph, kept)


def image_shape(graph: Graph, image_size: int | None = None) -> tuple[int, int, int]:
    """Return height, width and channels of the input images of a simplified graph.

    `image_size` wins over what the graph declares; a kernel that meets the images says how many channels they have.
    """
    if graph.input not in graph.nodes:
        return DEFAULT_SIZE, DEFAULT_SIZE, 3
    height, width, channels = graph.nodes[graph.input].attrs.get("shape") or (-1, -1, -1)
    if image_size or min(height, width) < 1:
        height = width = image_size or DEFAULT_SIZE
    if channels < 1:
        channels = next((size for node in graph.readers[graph.input] if (size := _kernel_depth(graph, node))), 3)
    return height, width, channels


def _kernel_depth(graph: Graph, node: Node) -> int:
    """Return how many channels a convolution's constant kernel takes; 0 for another node."""
    if node.op not in ("Conv2D", "DepthwiseConv2dNative"):
        return 0
    kernel = graph.producer(node.inputs[1])
    return int(np.asarray(kernel.attrs["value"]).shape[2]) if kernel.op == "Const" else 0


def _shapes(graph: Graph, image: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor without its batch axis, found by running two black images."""
    batch = 2
    charge(size=batch * 4 * prod(image))
    values = evaluate(graph, {graph.input: np.zeros((batch, *image), np.float32)}, partly=True)
    return {tensor: value.shape[1:] for tensor, value in values.items() if value.shape[:1] == (batch,)}


def _write_layers(builder: Builder) -> None:
    """Write every node that the output needs; raise one error for all that have no counterpart."""
    problems: list[str] = []
    for node in ordered(builder.graph, lambda node: _value_nodes(builder, node)):
        if node.name == builder.graph.input:
            continue
        if node.op not in WRITERS:
            problems.append(f"'{node.name}' ({node.op})")
        elif all(name in builder.values for name in _value_nodes(builder, node)):
            reason = _write(builder, node)
            problems += [f"'{node.name}' ({node.op}: {reason})"] if reason else []
    if problems:
        raise UnsupportedGraphError(f"{len(problems)} operations have no counterpart in Caffe: {', '.join(problems)}")


def _value_nodes(builder: Builder, node: Node) -> tuple[str, ...]:
    """Return the nodes whose values, not shapes, `node` reads while the net runs."""
    if node.name == builder.graph.input:
        return ()
    values = node.inputs[: _SHAPE_OPERAND.get(node.op)]
    return tuple(node_of(tensor) for tensor in values if node_of(tensor) not in builder.fixed)


def _write(builder: Builder, node: Node) -> str:
    """Write one node; the reason where that cannot be done."""
    if node.name not in builder.shapes:
        return "it cannot be computed on images of this size, or does not keep them apart"
    try:
        WRITERS[node.op](builder, node)
    except CannotConvertError as error:
        return str(error)
    return ""


def _named_output(builder: Builder, name: str) -> tuple[Net, dict[str, str]]:
    """Return the net whose last blob has the name that readers rely on, and where its blobs come from."""
    tensor = builder.graph.output
    if tensor not in builder.values or tensor == builder.graph.input:
        raise UnsupportedGraphError(f"the output '{tensor}' does not depend on the input '{builder.graph.input}'")
    value = builder.values[tensor]
    last = (value if value.form == "image" and value.shape[:2] != (1, 1) else builder.vector(tensor)).blob

    def renamed(blobs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(OUTPUT_BLOB if blob == last else blob for blob in blobs)

    layers = tuple(replace(layer, bottoms=renamed(layer.bottoms), tops=renamed(layer.tops)) for layer in builder.layers)
    sources = {renamed((blob,))[0]: source for blob, source in builder.sources.items()}
    return replace(builder.net(name), layers=layers), {**sources, OUTPUT_BLOB: tensor}

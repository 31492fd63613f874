"""The layer type InnerProduct."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from faceall.caffe.layers.options import axis_of, outputs_of
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.types import Array


def _shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    return ((*bottoms[0][: axis_of(layer, bottoms[0])], outputs_of(layer)),)


def _weights(layer: LayerLike, bottoms: Shapes) -> Shapes:
    """Return the shapes of the matrix, (O, I) or with transpose (I, O), and of the bias (O,)."""
    outputs, inputs = outputs_of(layer), prod(bottoms[0][axis_of(layer, bottoms[0]) :])
    matrix = (inputs, outputs) if layer.option("transpose") else (outputs, inputs)
    return (matrix, (outputs,)) if layer.option("bias_term") else (matrix,)


def _operation(layer: LayerLike, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    kept = bottoms[0].shape[: axis_of(layer, bottoms[0].shape)]
    matrix = weights[0] if layer.option("transpose") else weights[0].T
    result = bottoms[0].reshape(*kept, matrix.shape[0]) @ matrix
    return (result + weights[1] if layer.option("bias_term") else result,)


def _onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    weight, *bias = graph.blobs(layer.name)
    axis = axis_of(layer, graph.shapes[layer.bottoms[0]])
    matrix = weight if layer.option("transpose") else weight.T
    flat = graph.node("Reshape", [*bottoms, graph.integers(*[0] * axis, -1 if axis else matrix.shape[0])])
    result = graph.node("MatMul", [flat, graph.constant(matrix)])
    return [graph.node("Add", [result, graph.constant(bias[0])]) if bias else result]


INNER_PRODUCT = LayerSpec(
    "InnerProduct",
    _shapes,
    _operation,
    _onnx,
    options=OptionSchema(
        "inner_product_param",
        117,
        "InnerProductParameter",
        """
        optional uint32 num_output = 1
        optional bool bias_term = 2 true
        optional FillerParameter weight_filler = 3
        optional FillerParameter bias_filler = 4
        optional int32 axis = 5 1
        optional bool transpose = 6 false""",
        v1_number=17,
    ),
    weights=_weights,
    v1_type="INNER_PRODUCT",
    fixed_size=True,
)

"""The layer types with several inputs or outputs: Axpy, Concat, Eltwise, Slice, Split; and Silence and Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np

from faceall.caffe.layers.options import concat_axis, slice_bounds
from faceall.caffe.layers.rules import copies, onnx_copies, same_shape
from faceall.caffe.layers.spec import ANY_NUMBER, LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import ShapeError
from faceall.types import Array


def _concat_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    first, axis = bottoms[0], concat_axis(layer, bottoms[0])
    rest = first[:axis] + first[axis + 1 :]
    for name, shape in zip(layer.bottoms, bottoms, strict=True):
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != rest:
            raise ShapeError(
                f"joins along axis {axis}, its input '{name}' of shape {shape} "
                f"differs elsewhere from '{layer.bottoms[0]}' of shape {first}"
            )
    return ((*first[:axis], sum(shape[axis] for shape in bottoms), *first[axis + 1 :]),)


def _concat(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (np.concatenate(bottoms, axis=concat_axis(layer, bottoms[0].shape)),)


def _concat_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Concat", bottoms, axis=concat_axis(layer, graph.shapes[layer.bottoms[0]]))]


def _eltwise_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    for name, shape in zip(layer.bottoms, bottoms, strict=True):
        if shape != bottoms[0]:
            raise ShapeError(
                f"expects inputs of one shape, '{layer.bottoms[0]}' has {bottoms[0]} and '{name}' has {shape}"
            )
    count = len(layer.option("coeff"))
    if count and (layer.option("operation") != "SUM" or count != len(bottoms)):
        raise ShapeError(f"gives {count} coeff for {len(bottoms)} inputs; coeff is for SUM, one for each input")
    return (bottoms[0],)


def _eltwise(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    operation = layer.option("operation")
    if operation == "SUM":
        factors = layer.option("coeff") or [1.0] * len(bottoms)
        bottoms = [factor * bottom for factor, bottom in zip(factors, bottoms, strict=True)]
    return (reduce({"SUM": np.add, "PROD": np.multiply, "MAX": np.maximum}[operation], bottoms),)


def _eltwise_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    kind = {"PROD": "Mul", "SUM": "Add", "MAX": "Max"}[layer.option("operation")]
    coefficients = [float(value) for value in layer.option("coeff")] or [1.0] * len(bottoms)
    terms = [
        term if value == 1.0 else graph.node("Mul", [term, graph.scalar(value)])
        for term, value in zip(bottoms, coefficients, strict=True)
    ]
    result = terms[0]
    for term in terms[1:]:
        result = graph.node(kind, [result, term])
    return [result]


def _axpy_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    factors, first, second = bottoms
    if first != second or factors not in (first[:2], first[:2] + (1,) * (len(first) - 2)):
        raise ShapeError(
            f"expects factors (N, C) or (N, C, 1, 1) and two inputs of one shape, "
            f"its inputs have {', '.join(map(str, bottoms))}"
        )
    return (first,)


def _axpy(_: LayerLike, bottoms: Sequence[Array], __: Sequence[Array]) -> tuple[Array, ...]:
    """Compute a * x + y with one factor per sample and channel."""
    factors, first, second = bottoms
    return (factors.reshape(first.shape[:2] + (1,) * (first.ndim - 2)) * first + second,)


def _axpy_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    factors, first, second = bottoms
    trailing = graph.rank(layer.bottoms[1]) - graph.rank(layer.bottoms[0])
    if trailing:
        factors = graph.node("Unsqueeze", [factors, graph.integers(*range(-trailing, 0))])
    return [graph.node("Add", [graph.node("Mul", [first, factors]), second])]


def _slice_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    axis, bounds = concat_axis(layer, bottoms[0]), slice_bounds(layer, bottoms[0])
    before, after = bottoms[0][:axis], bottoms[0][axis + 1 :]
    return tuple((*before, high - low, *after) for low, high in pairwise(bounds))


def _slice(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    before = (slice(None),) * concat_axis(layer, array.shape)
    return tuple(array[(*before, slice(low, high))] for low, high in pairwise(slice_bounds(layer, array.shape)))


def _slice_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    axis = graph.integers(concat_axis(layer, shape))
    return [
        graph.node("Slice", [*bottoms, graph.integers(start), graph.integers(end), axis])
        for start, end in pairwise(slice_bounds(layer, shape))
    ]


CONCAT = LayerSpec(
    "Concat",
    _concat_shapes,
    _concat,
    _concat_onnx,
    options=OptionSchema(
        "concat_param",
        104,
        "ConcatParameter",
        """
        optional uint32 concat_dim = 1 1
        optional int32 axis = 2 1""",
        v1_number=9,
    ),
    bottoms=ANY_NUMBER,
    v1_type="CONCAT",
)

AXPY = LayerSpec("Axpy", _axpy_shapes, _axpy, _axpy_onnx, bottoms=(3, 3))

ELTWISE = LayerSpec(
    "Eltwise",
    _eltwise_shapes,
    _eltwise,
    _eltwise_onnx,
    options=OptionSchema(
        "eltwise_param",
        110,
        "EltwiseParameter",
        """
        enum EltwiseOperation = PROD 0, SUM 1, MAX 2
        optional EltwiseOperation operation = 1 SUM
        repeated float coeff = 2
        optional bool stable_prod_grad = 3 true""",
        v1_number=24,
    ),
    bottoms=(2, ANY_NUMBER[1]),
    v1_type="ELTWISE",
)

SLICE = LayerSpec(
    "Slice",
    _slice_shapes,
    _slice,
    _slice_onnx,
    options=OptionSchema(
        "slice_param",
        126,
        "SliceParameter",
        """
        optional uint32 slice_dim = 1 1
        repeated uint32 slice_point = 2
        optional int32 axis = 3 1""",
        v1_number=31,
    ),
    tops=ANY_NUMBER,
    v1_type="SLICE",
    fixed_size=True,
)

SPLIT = LayerSpec("Split", same_shape, copies, onnx_copies, tops=ANY_NUMBER, v1_type="SPLIT")

SILENCE = LayerSpec(  # marks its inputs as read
    "Silence", same_shape, copies, onnx_copies, bottoms=ANY_NUMBER, tops=(0, 0), v1_type="SILENCE"
)

DROPOUT = LayerSpec(  # drops in training only
    "Dropout",
    same_shape,
    copies,
    onnx_copies,
    options=OptionSchema(
        "dropout_param", 108, "DropoutParameter", "optional float dropout_ratio = 1 0.5", v1_number=12
    ),
    v1_type="DROPOUT",
)

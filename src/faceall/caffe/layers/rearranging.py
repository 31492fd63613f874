"""The layer types that move values and compute nothing: Crop, Flatten, Permute and Reshape."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from faceall.caffe.layers.options import axis_of, crop_offsets, permutation
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import ShapeError
from faceall.types import Array


def _crop_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    shape, like = bottoms
    axis, offsets = axis_of(layer, shape), crop_offsets(layer, shape)
    if len(like) != len(shape):
        raise ShapeError(f"crops '{layer.bottoms[0]}' of shape {shape} to '{layer.bottoms[1]}' of shape {like}")
    sizes = (*shape[:axis], *like[axis:])
    if any(offset + size > room for offset, size, room in zip(offsets, sizes, shape, strict=True)):
        raise ShapeError(
            f"crops '{layer.bottoms[0]}' of shape {shape} at {offsets} to {sizes}, which reaches beyond its edge"
        )
    return (sizes,)


def _crop(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    offsets = crop_offsets(layer, bottoms[0].shape)
    (sizes,) = _crop_shapes(layer, tuple(bottom.shape for bottom in bottoms))
    return (bottoms[0][tuple(slice(start, start + size) for start, size in zip(offsets, sizes, strict=True))],)


def _crop_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    axes = range(axis_of(layer, shape), len(shape))
    starts = graph.integers(*crop_offsets(layer, shape)[axes.start :])
    wanted = graph.node("Gather", [graph.node("Shape", [bottoms[1]]), graph.integers(*axes)], axis=0)
    ends = graph.node("Add", [wanted, starts])
    return [graph.node("Slice", [bottoms[0], starts, ends, graph.integers(*axes)])]


def _flatten_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    shape = bottoms[0]
    start, end = axis_of(layer, shape), axis_of(layer, shape, "end_axis")
    if end < start:
        raise ShapeError(f"flattens axes {start} to {end}, expected the first to come first")
    return ((*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]),)


def _flatten(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (bottoms[0].reshape(_flatten_shapes(layer, (bottoms[0].shape,))[0]),)


def _flatten_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    axis, end = int(layer.option("axis")) % len(shape), int(layer.option("end_axis")) % len(shape)
    return [graph.node("Reshape", [*bottoms, graph.integers(*[0] * axis, -1, *shape[end + 1 :])])]


def _reshaped_span(layer: LayerLike, rank: int) -> tuple[int, int]:
    """Return the first axis that a Reshape replaces and the first behind them."""
    start, count = int(layer.option("axis")), int(layer.option("num_axes"))
    start = start + rank + 1 if start < 0 else start
    return start, rank if count == -1 else start + count


def _wanted_sizes(layer: LayerLike) -> list[int]:
    return [int(size) for size in (layer.option("shape") or {}).get("dim", [])]


def _reshape_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    shape, wanted = bottoms[0], _wanted_sizes(layer)
    start, end = _reshaped_span(layer, len(shape))
    if not 0 <= start <= end <= len(shape):
        count = int(layer.option("num_axes"))
        raise ShapeError(f"has axis {start} and num_axes {count}, its input '{layer.bottoms[0]}' has shape {shape}")
    if any(size < -1 for size in wanted) or wanted.count(-1) > 1 or 0 in wanted[end - start :]:
        raise ShapeError(f"has dims {wanted}, expected sizes, 0 for an axis of the input, and -1 at most once")
    sizes = [shape[start + place] if size == 0 else size for place, size in enumerate(wanted)]
    if -1 in sizes:
        known = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = prod(shape[start:end]) // known
    if prod(sizes) != prod(shape[start:end]):
        raise ShapeError(f"has dims {wanted}, which do not hold the values of '{layer.bottoms[0]}' of shape {shape}")
    return ((*shape[:start], *sizes, *shape[end:]),)


def _reshape(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (bottoms[0].reshape(_reshape_shapes(layer, (bottoms[0].shape,))[0]),)


def _reshape_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    start, end = _reshaped_span(layer, len(shape))
    wanted = _wanted_sizes(layer)
    wanted = [shape[start + place] if size == 0 and start + place > 0 else size for place, size in enumerate(wanted)]
    return [graph.node("Reshape", [*bottoms, graph.integers(*[0] * start, *wanted, *shape[end:])])]


def _permute_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    return (tuple(bottoms[0][axis] for axis in permutation(layer, bottoms[0])),)


def _permute(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (bottoms[0].transpose(permutation(layer, bottoms[0].shape)),)


def _permute_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Transpose", bottoms, perm=permutation(layer, graph.shapes[layer.bottoms[0]]))]


CROP = LayerSpec(
    "Crop",
    _crop_shapes,
    _crop,
    _crop_onnx,
    options=OptionSchema(
        "crop_param",
        144,
        "CropParameter",
        """
        optional int32 axis = 1 2
        repeated uint32 offset = 2""",
    ),
    bottoms=(2, 2),
)

FLATTEN = LayerSpec(
    "Flatten",
    _flatten_shapes,
    _flatten,
    _flatten_onnx,
    options=OptionSchema(
        "flatten_param",
        135,
        "FlattenParameter",
        """
        optional int32 axis = 1 1
        optional int32 end_axis = 2 -1""",
    ),
    v1_type="FLATTEN",
    fixed_size=True,
)

RESHAPE = LayerSpec(
    "Reshape",
    _reshape_shapes,
    _reshape,
    _reshape_onnx,
    options=OptionSchema(
        "reshape_param",
        133,
        "ReshapeParameter",
        """
        optional BlobShape shape = 1
        optional int32 axis = 2 0
        optional int32 num_axes = 3 -1""",
    ),
    fixed_size=True,
)

PERMUTE = LayerSpec(
    "Permute",
    _permute_shapes,
    _permute,
    _permute_onnx,
    options=OptionSchema("permute_param", 202, "PermuteParameter", "repeated uint32 order = 1"),
)

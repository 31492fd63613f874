"""The shape of every blob of a net, and whether the weights fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import inf, prod

from faceall.caffe.net import Layer, Net
from faceall.caffe.shape_rules import SHAPE_RULES, Shape, Shapes, axis_of, groups, outputs_of, scale_axes
from faceall.caffe.window import Window, window
from faceall.errors import NetError, NetFormatError, ShapeError, UnsupportedLayerError
from faceall.types import Float32Array

__all__ = [
    "KNOWN_TYPES",
    "SHAPE_RULES",
    "WEIGHT_SHAPES",
    "Shape",
    "Window",
    "fit_weights",
    "infer_shapes",
    "layer_blobs",
    "window",
]

KNOWN_TYPES = ("Input", *SHAPE_RULES)

_MOST_AXES = 32  # Caffe's own limit
_COUNTS: dict[str, tuple[float, float, float, float]] = {
    "Concat": (1, inf, 1, 1),
    "Crop": (2, 2, 1, 1),
    "Eltwise": (2, inf, 1, 1),
    "Scale": (1, 2, 1, 1),
    "Silence": (1, inf, 0, 0),
    "Slice": (1, 1, 1, inf),
    "Split": (1, 1, 1, inf),
}
"""Fewest and most bottoms, fewest and most tops; every other type has one of each."""


def infer_shapes(
    net: Net, inputs: Mapping[str, tuple[int, ...]] | None = None, *, need_weights: bool = False
) -> dict[str, Shape]:
    """The shape of every blob, in the order of execution; a blob written twice has the later shape.

    inputs        input blob -> shape, in place of the declared one, as {"data": (1, 3, 480, 640)}
    need_weights  refuse a net without any weights; those that a net has are checked in any case

    Raises UnsupportedLayerError for an unknown type, NetFormatError for a blob that nobody writes, and ShapeError
    where shapes, options or weights do not fit; each names the layer.
    """
    shapes = _input_shapes(net, inputs or {})
    for _ in _walk(net, shapes, need_weights):
        pass
    return shapes


def fit_weights(net: Net) -> Net:
    """The same net with its weights in the shapes of `WEIGHT_SHAPES`, which new files have and old ones need not.

    Raises what `infer_shapes` raises.
    """
    weights: dict[str, Float32Array] = {}
    for layer, blobs in _walk(net, _input_shapes(net, {}), True):
        weights.update({f"{layer.name}/{number}": blob for number, blob in enumerate(blobs)})
    return replace(net, weights=weights)


def _walk(net: Net, shapes: dict[str, Shape], need_weights: bool) -> Iterator[tuple[Layer, tuple[Float32Array, ...]]]:
    """Fill `shapes` layer by layer; gives each layer with its fitted weights."""
    for layer in net.layers:
        if layer.type == "Input":
            continue
        if layer.type not in SHAPE_RULES:
            raise UnsupportedLayerError(
                f"layer '{layer.name}' has the unknown type '{layer.type}'; known types: {', '.join(KNOWN_TYPES)}"
            )
        with _named(layer):
            bottoms = _bottoms(layer, shapes)
            tops = SHAPE_RULES[layer.type](layer, bottoms)
            blobs = _fit(layer, net.blobs(layer.name), bottoms) if net.weights or need_weights else ()
        shapes.update(zip(layer.tops, tops, strict=True))
        yield layer, blobs


def layer_blobs(net: Net, layer: Layer, bottoms: Shapes) -> tuple[Float32Array, ...]:
    """The weights of `layer` in the shapes of `WEIGHT_SHAPES`, as old files hold a bias (N,) as (1, 1, 1, N).

    bottoms  the shapes of the layer's inputs
    Raises ShapeError, which names the layer, where they are missing or do not fit.
    """
    with _named(layer):
        return _fit(layer, net.blobs(layer.name), bottoms)


def _input_shapes(net: Net, given: Mapping[str, tuple[int, ...]]) -> dict[str, Shape]:
    unknown = [name for name in given if name not in net.inputs]
    if unknown:
        raise ShapeError(f"net '{net.name}' has no input '{unknown[0]}'; its inputs: {', '.join(net.inputs) or 'none'}")
    shapes = {name: tuple(given.get(name, declared)) for name, declared in net.inputs.items()}
    for name, shape in shapes.items():
        if len(shape) > _MOST_AXES:
            raise ShapeError(f"net '{net.name}': input '{name}' has {len(shape)} axes, Caffe allows {_MOST_AXES}")
        if not shape or min(shape) < 1:
            raise ShapeError(f"net '{net.name}': input '{name}' has shape {shape}, expected sizes of at least 1")
    return shapes


def _bottoms(layer: Layer, shapes: Mapping[str, Shape]) -> Shapes:
    limits = _COUNTS.get(layer.type, (1, 1, 1, 1))
    for kind, count, low, high in (
        ("inputs", len(layer.bottoms), *limits[:2]),
        ("outputs", len(layer.tops), *limits[2:]),
    ):
        if not low <= count <= high:
            wanted = (
                f"{low:.0f}" if low == high else f"at least {low:.0f}" if high == inf else f"{low:.0f} or {high:.0f}"
            )
            raise ShapeError(f"has {count} {kind}, expected {wanted}")
    for name in layer.bottoms:
        if name not in shapes:
            raise NetFormatError(f"reads '{name}', which no layer before it writes; written: {', '.join(shapes)}")
    return tuple(shapes[name] for name in layer.bottoms)


@contextmanager
def _named(layer: Layer) -> Iterator[None]:
    """Put the layer's name and type in front of an error."""
    try:
        yield
    except NetError as error:
        raise type(error)(f"layer '{layer.name}' ({layer.type}) {error}") from error


def _fit(layer: Layer, blobs: tuple[Float32Array, ...], bottoms: Shapes) -> tuple[Float32Array, ...]:
    """`blobs` brought to the shapes that the layer must have."""
    rule = WEIGHT_SHAPES.get(layer.type)
    wanted = rule(layer, bottoms) if rule else ()
    least = len(wanted) - OPTIONAL_WEIGHTS.get(layer.type, 0)
    if not least <= len(blobs) <= len(wanted):
        if not blobs:
            raise ShapeError(f"has no weights, expected {_listed(wanted)}")
        raise ShapeError(f"has {len(blobs)} blobs of weights, expected {len(wanted)}: {_listed(wanted)}")
    for number, (blob, shape) in enumerate(zip(blobs, wanted, strict=False)):
        if _without_leading_ones(blob.shape) != _without_leading_ones(shape):
            raise _misfit(layer, number, blob.shape, shape, bottoms[0])
    return tuple(blob.reshape(shape) for blob, shape in zip(blobs, wanted, strict=False))


def _misfit(layer: Layer, number: int, actual: Shape, expected: Shape, input_shape: Shape) -> ShapeError:
    """Says it in channels where a convolution or an inner product was made for another input."""
    bottom = layer.bottoms[0]
    others_fit = (actual[:1], actual[2:]) == (expected[:1], expected[2:])
    if layer.type.startswith("Convolution") and number == 0 and others_fit:
        factor = groups(layer, input_shape[1])
        return ShapeError(f"expects {actual[1] * factor} input channels, its input '{bottom}' has {input_shape[1]}")
    if layer.type == "InnerProduct" and number == 0 and prod(actual) % outputs_of(layer) == 0:
        return ShapeError(
            f"expects {prod(actual) // outputs_of(layer)} input numbers, "
            f"its input '{bottom}' has {prod(expected) // outputs_of(layer)}"
        )
    return ShapeError(
        f"needs blob {number} of its weights in shape {expected} for its input '{bottom}', it has {actual}"
    )


def _without_leading_ones(shape: Shape) -> Shape:
    start = next((place for place, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[start:])


def _listed(shapes: Shapes) -> str:
    return ", ".join(str(shape) for shape in shapes) or "none"


def _convolution_weights(layer: Layer, bottoms: Shapes) -> Shapes:
    outputs, channels = outputs_of(layer), bottoms[0][1]
    kernel = (outputs, channels // groups(layer, channels), *window(layer).kernel)
    return (kernel, (outputs,)) if layer.option("bias_term") else (kernel,)


def _inner_product_weights(layer: Layer, bottoms: Shapes) -> Shapes:
    outputs, inputs = outputs_of(layer), prod(bottoms[0][axis_of(layer, bottoms[0]) :])
    matrix = (inputs, outputs) if layer.option("transpose") else (outputs, inputs)
    return (matrix, (outputs,)) if layer.option("bias_term") else (matrix,)


def _batch_norm_weights(_: Layer, bottoms: Shapes) -> Shapes:
    channels = (bottoms[0][1],)
    return (channels, channels, (1,))


def _scale_weights(layer: Layer, bottoms: Shapes) -> Shapes:
    _, factors = scale_axes(layer, bottoms)
    return (factors,) * (int(len(bottoms) == 1) + int(layer.option("bias_term")))


def _shared_or_per_channel(layer: Layer, bottoms: Shapes) -> Shapes:
    return ((),) if layer.option("channel_shared") else ((bottoms[0][1],),)


WEIGHT_SHAPES: dict[str, Callable[[Layer, Shapes], Shapes]] = {
    "BatchNorm": _batch_norm_weights,  # mean, variance, the factor that both are to be divided by
    "Convolution": _convolution_weights,  # kernel (O, I / groups, H, W), bias
    "ConvolutionDepthwise": _convolution_weights,
    "InnerProduct": _inner_product_weights,  # matrix (O, I), or (I, O) with transpose; bias
    "Normalize": _shared_or_per_channel,  # scale
    "PReLU": _shared_or_per_channel,  # slope of the negative side
    "Scale": _scale_weights,  # factors, unless they are the second input; bias
}
"""Layer type -> the shapes of its weights; a type that is not here has none."""

OPTIONAL_WEIGHTS = {"BatchNorm": 1, "Normalize": 1}
"""How many of a type's last blobs may be absent."""

"""Infer the shape of every blob of a net, and check that the weights fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import inf, prod

from faceall.arguments import checked
from faceall.caffe.layers import LAYERS, Shape, Shapes, groups, outputs_of
from faceall.caffe.layers.table import KNOWN_TYPES
from faceall.caffe.net import Layer, Net
from faceall.errors import NetError, NetFormatError, ShapeError, UnsupportedLayerError
from faceall.types import Float32Array

_MOST_AXES = 32  # Caffe's own limit


@checked
def infer_shapes(
    net: Net, inputs: Mapping[str, tuple[int, ...]] | None = None, *, need_weights: bool = False
) -> dict[str, Shape]:
    """Return the shape of every blob, in the order of execution.

    Parameters
    ----------
    net : Net
        The net. Weights that it has are checked as well.
    inputs : mapping of str to tuple of int, optional
        Input blob -> shape, in place of the declared one, as {"data": (1, 3, 480, 640)}.
    need_weights : bool
        Refuse a net without weights.

    Returns
    -------
    dict of str to tuple of int
        Blob -> shape; a blob written twice has the later one.

    Raises
    ------
    UnsupportedLayerError
        A layer has an unknown type or an option that is not supported.
    NetFormatError
        A layer reads a blob that no layer before it writes.
    ShapeError
        Shapes, options or weights do not fit. All three name the layer.
    """
    shapes = _input_shapes(net, inputs or {})
    for _ in _walk(net, shapes, need_weights):
        pass
    return shapes


def fit_weights(net: Net) -> Net:
    """Return the net with its weights in the shapes of `LAYERS`, which old files need not have.

    Raises
    ------
    UnsupportedLayerError, NetFormatError, ShapeError
        As `infer_shapes` does.
    """
    weights: dict[str, Float32Array] = {}
    for layer, blobs in _walk(net, _input_shapes(net, {}), True):
        weights.update({f"{layer.name}/{number}": blob for number, blob in enumerate(blobs)})
    return replace(net, weights=weights)


def _walk(net: Net, shapes: dict[str, Shape], need_weights: bool) -> Iterator[tuple[Layer, tuple[Float32Array, ...]]]:
    """Fill `shapes` layer by layer; yield each layer with its fitted weights."""
    for layer in net.layers:
        if layer.type == "Input":
            continue
        if layer.type not in LAYERS:
            raise UnsupportedLayerError(
                f"layer '{layer.name}' has the unknown type '{layer.type}'; known types: {', '.join(KNOWN_TYPES)}"
            )
        with _named(layer):
            bottoms = _bottoms(layer, shapes)
            tops = LAYERS[layer.type].shapes(layer, bottoms)
            blobs = _fit(layer, net.blobs(layer.name), bottoms) if net.weights or need_weights else ()
        shapes.update(zip(layer.tops, tops, strict=True))
        yield layer, blobs


def layer_blobs(net: Net, layer: Layer, bottoms: Shapes) -> tuple[Float32Array, ...]:
    """Return the weights of one layer in the shapes of `LAYERS`; old files hold a bias (N,) as (1, 1, 1, N).

    Parameters
    ----------
    net : Net
        The net.
    layer : Layer
        One of its layers.
    bottoms : tuple of tuple of int
        The shapes of the layer's inputs.

    Raises
    ------
    ShapeError
        Weights are missing or do not fit; the message names the layer.
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
    spec = LAYERS[layer.type]
    for kind, count, (low, high) in (
        ("inputs", len(layer.bottoms), spec.bottoms),
        ("outputs", len(layer.tops), spec.tops),
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
    """Reshape `blobs` to the shapes that the layer needs."""
    spec = LAYERS[layer.type]
    wanted = spec.weights(layer, bottoms) if spec.weights else ()
    least = len(wanted) - spec.optional_weights
    if not least <= len(blobs) <= len(wanted):
        if not blobs:
            raise ShapeError(f"has no weights, expected {_listed(wanted)}")
        raise ShapeError(f"has {len(blobs)} blobs of weights, expected {len(wanted)}: {_listed(wanted)}")
    for number, (blob, shape) in enumerate(zip(blobs, wanted, strict=False)):
        if _without_leading_ones(blob.shape) != _without_leading_ones(shape):
            raise _misfit(layer, number, blob.shape, shape, bottoms[0])
    return tuple(blob.reshape(shape) for blob, shape in zip(blobs, wanted, strict=False))


def _misfit(layer: Layer, number: int, actual: Shape, expected: Shape, input_shape: Shape) -> ShapeError:
    """Make the error; for a convolution or an inner product made for another input, it counts channels."""
    bottom = layer.bottoms[0]
    others_fit = (actual[:1], actual[2:]) == (expected[:1], expected[2:])
    if layer.type.startswith("Convolution") and number == 0 and others_fit:
        factor = groups(layer, input_shape[1])
        return ShapeError(f"expects {actual[1] * factor} input channels, its input '{bottom}' has {input_shape[1]}")
    if layer.type == "InnerProduct" and number == 0 and prod(actual) % outputs_of(layer) == 0:
        return ShapeError(
            f"expects {prod(actual) // outputs_of(layer)} input values, "
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

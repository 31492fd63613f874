"""Write activations and broadcasts as TensorFlow's operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from faceall.caffe.layers import clip_limits, scale_axes
from faceall.caffe.net import Layer
from faceall.convert.targets.savedmodel.layer_writer import CannotWriteLayerError, LayerWriter


def _per_channel(made: LayerWriter, layer: Layer, blob: str, like: str, axis: int) -> str:
    """Return one value per channel, or per sample and channel, as a tensor that broadcasts against `like`."""
    shape, target = made.shapes[blob], made.shapes[like]
    if len(target) == 2 or len(shape) == 4:
        return made.tensors[blob]
    if axis != 0 or shape != target[:2]:
        raise CannotWriteLayerError(f"its values of shape {shape} lie on axis {axis} of {target}")
    return made.reshape(layer, "per_channel", made.tensors[blob], [1, 1, shape[1]])


def _axpy(made: LayerWriter, layer: Layer) -> Sequence[str]:
    factors, first, second = layer.bottoms
    product = made.node(layer, "Mul", "Mul", [made.tensors[first], _per_channel(made, layer, factors, first, 0)])
    return [made.node(layer, "AddV2", "AddV2", [product, made.tensors[second]])]


def _bias(made: LayerWriter, layer: Layer) -> Sequence[str]:
    shapes = tuple(made.shapes[bottom] for bottom in layer.bottoms)
    axis, terms = scale_axes(layer, shapes)
    if len(layer.bottoms) == 2:
        added = _per_channel(made, layer, layer.bottoms[1], layer.bottoms[0], axis)
    elif axis == 1 and len(terms) == 1:
        added = made.constant(layer, "bias", made.net.blobs(layer.name)[0])
    else:
        raise CannotWriteLayerError(f"its values of shape {terms} lie on axis {axis}, expected the channels, 1")
    return [made.node(layer, "AddV2", "AddV2", [made.x(layer), added])]


def _clip(made: LayerWriter, layer: Layer) -> Sequence[str]:
    low, high = clip_limits(layer)
    raised = made.node(layer, "Maximum", "Maximum", [made.x(layer), made.constant(layer, "min", low)])
    return [made.node(layer, "Minimum", "Minimum", [raised, made.constant(layer, "max", high)])]


def _elu(made: LayerWriter, layer: Layer) -> Sequence[str]:
    """Write max(x, 0) + alpha * (exp(min(x, 0)) - 1)."""
    x, alpha = made.x(layer), float(layer.option("alpha"))
    below = made.node(
        layer, "Exp", "Exp", [made.node(layer, "Minimum", "Minimum", [x, made.constant(layer, "zero", 0)])]
    )
    scaled = made.node(layer, "Mul", "Mul", [below, made.constant(layer, "alpha", alpha)])
    shifted = made.node(layer, "Sub", "Sub", [scaled, made.constant(layer, "shift", alpha)])
    return [made.node(layer, "AddV2", "AddV2", [made.node(layer, "Relu", "Relu", [x]), shifted])]


def _lrn(made: LayerWriter, layer: Layer) -> Sequence[str]:
    raise CannotWriteLayerError("local response normalisation is not supported")


def _swish(made: LayerWriter, layer: Layer) -> Sequence[str]:
    x, beta = made.x(layer), float(layer.option("beta"))
    scaled = x if beta == 1 else made.node(layer, "scaled", "Mul", [x, made.constant(layer, "beta", beta)])
    return [made.node(layer, "Mul", "Mul", [x, made.node(layer, "Sigmoid", "Sigmoid", [scaled])])]


def _tanh(made: LayerWriter, layer: Layer) -> Sequence[str]:
    return [made.node(layer, "Tanh", "Tanh", [made.x(layer)])]


ACTIVATIONS: Mapping[str, Callable[[LayerWriter, Layer], Sequence[str]]] = {
    "Axpy": _axpy,
    "Bias": _bias,
    "Clip": _clip,
    "ELU": _elu,
    "LRN": _lrn,
    "Swish": _swish,
    "TanH": _tanh,
}
"""Layer type -> its writer."""

"""The head of an embedder: the product that computes the vector, and its normalisation to unit length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from faceall.caffe.net import Layer, Net, weight_keys
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.caffe.shapes import infer_shapes
from faceall.errors import ConvertError
from faceall.types import Array, Float32Array

BottleneckStyle: TypeAlias = Literal["inner-product", "convolution"]
"""The layer that computes the vector: an InnerProduct, or a Convolution whose kernel covers its whole input."""

_LINEAR = ("InnerProduct", "Convolution")
_AFFINE = ("BatchNorm", "Scale")


@dataclass(frozen=True)
class Head:
    """The layers that compute the vector of a net.

    Parameters
    ----------
    linear : Layer
        The product (the bottleneck), an InnerProduct or a Convolution.
    after : tuple[Layer, ...]
        BatchNorm, Scale, Flatten and Dropout between it and the vector, in order of execution.
    vector : str
        The blob that holds the vector before normalisation to unit length.
    unit : tuple[Layer, ...]
        The layers that do that, in order of execution; none if the net does not normalise.
    """

    linear: Layer
    after: tuple[Layer, ...]
    vector: str
    unit: tuple[Layer, ...]


def find_head(net: Net, output: str) -> Head:
    """Find the layers that compute the vector in the blob `output`.

    Raises
    ------
    ConvertError
        If the net does not end in a product, or if other layers read its output.
    """
    writers = {top: layer for layer in net.layers for top in layer.tops}
    if output not in writers:
        raise ConvertError(f"net '{net.name}' has no blob '{output}'")
    vector, unit = _unit_layers(net, writers, output)
    after: list[Layer] = []
    layer = writers[vector]
    while layer.type in (*_AFFINE, "Flatten", "Dropout") and len(layer.bottoms) == 1 and layer.bottoms != layer.tops:
        after.insert(0, layer)
        layer = writers[layer.bottoms[0]]
    if layer.type not in _LINEAR:
        raise ConvertError(
            f"the vector of net '{net.name}' comes from the layer '{layer.name}' ({layer.type}), expected an "
            "InnerProduct or a Convolution, perhaps with BatchNorm and Scale behind it"
        )
    head = Head(layer, tuple(after), vector, unit)
    _refuse_other_readers(net, head)
    return head


def _unit_layers(net: Net, writers: Mapping[str, Layer], output: str) -> tuple[str, tuple[Layer, ...]]:
    """Return the blob before normalisation to unit length, and the layers that normalise it.

    Either a Normalize, or x -> Power 2 -> InnerProduct of ones -> Power -0.5 [-> InnerProduct of ones] -> PROD with x.
    """
    last = writers[output]
    if last.type == "Normalize":
        return last.bottoms[0], (last,)
    if last.type != "Eltwise" or last.option("operation") != "PROD" or len(last.bottoms) != 2:
        return output, ()
    for vector, blob in (last.bottoms, last.bottoms[::-1]):
        path: list[Layer] = [last]
        while blob != vector and blob in writers and _is_part(net, writers[blob]):
            path.insert(0, writers[blob])
            blob = writers[blob].bottoms[0]
        if blob == vector and len(path) > 1:
            return vector, tuple(path)
    return output, ()


def _is_part(net: Net, layer: Layer) -> bool:
    """Return whether a layer can be part of the computation of 1 / length."""
    ones = layer.type == "InnerProduct" and all(bool(np.all(blob == 1)) for blob in net.blobs(layer.name))
    return ones or layer.type == "Power"


def _refuse_other_readers(net: Net, head: Head) -> None:
    inside = {layer.name for layer in (*head.after, *head.unit)}
    for blob in (head.linear.tops[0], *(layer.tops[0] for layer in head.after)):
        for layer in net.layers:
            if blob in layer.bottoms and layer.name not in inside:
                raise ConvertError(f"the layer '{layer.name}' ({layer.type}) reads '{blob}' besides the embedding")


def bottleneck_as(net: Net, output: str, style: BottleneckStyle) -> Net:
    """Make the vector with the type of layer that `style` says; blobs keep their names.

    Before   x (N, C, H, W) -> Flatten -> InnerProduct -> y (N, D)
    After    x (N, C, H, W) -> Convolution of H x W -> Flatten -> y (N, D)

    A vector x (N, C) becomes an image of one pixel by a Reshape. The other way round the Convolution becomes an
    InnerProduct, which flattens by itself.

    Raises
    ------
    ValueError
        For an unknown style.
    ConvertError
        See `find_head`.
    """
    if style not in get_args(BottleneckStyle):
        raise ValueError(f"unknown bottleneck style '{style}'; known: {', '.join(get_args(BottleneckStyle))}")
    head = find_head(net, output)
    if style == "convolution" and head.linear.type == "InnerProduct":
        return _as_convolution(net, head.linear)
    if style == "inner-product" and head.linear.type == "Convolution":
        return _as_inner_product(net, head)
    return net


def _as_convolution(net: Net, linear: Layer) -> Net:
    shapes = infer_shapes(net)
    source = next((layer for layer in net.layers if linear.bottoms[0] in layer.tops), None)
    flatten = source if source is not None and source.type == "Flatten" and source.option("axis") == 1 else None
    blob = flatten.bottoms[0] if flatten else linear.bottoms[0]
    new: list[Layer] = []
    if len(shapes[blob]) != 4:
        channels = int(np.prod(shapes[blob][1:]))
        shape = {"reshape_param": {"shape": {"dim": [0, channels, 1, 1]}}}
        new.append(Layer(f"{linear.name}_image", "Reshape", (blob,), (f"{linear.name}_image",), shape))
        blob, image = new[0].tops[0], (channels, 1, 1)
    else:
        image = shapes[blob][1:]  # type: ignore[assignment]
    weights, *bias = _matrix(net, linear)
    kernel = weights.reshape(len(weights), *image)
    options: dict[str, Any] = {"num_output": len(kernel), "bias_term": bool(bias)}
    options |= {"kernel_size": [image[1]]} if image[1] == image[2] else {"kernel_h": image[1]}
    options |= {} if image[1] == image[2] else {"kernel_w": image[2]}
    name = f"{linear.name}_convolution"
    new.append(Layer(name, "Convolution", (blob,), (name,), {"convolution_param": options}))
    new.append(Layer(linear.name, "Flatten", (name,), linear.tops))
    return _drop_unread(_with_layers(net, linear, new, {name: [kernel, *bias]}), flatten)


def _as_inner_product(net: Net, head: Head) -> Net:
    linear = head.linear
    shapes = infer_shapes(net)
    bottom, top = shapes[linear.bottoms[0]], shapes[linear.tops[0]]
    kernel, *bias = net.blobs(linear.name)
    if top[2:] != (1, 1) or kernel.shape[1:] != bottom[1:]:
        raise ConvertError(f"the convolution '{linear.name}' slides over its input, so it is no InnerProduct")
    options = {"num_output": len(kernel), "bias_term": bool(bias)}
    product = replace(linear, type="InnerProduct", parameters={"inner_product_param": options})
    return _with_layers(net, linear, [product], {linear.name: [kernel.reshape(len(kernel), -1), *bias]})


def _matrix(net: Net, linear: Layer) -> tuple[Float32Array, ...]:
    """Return the weights (D, C) and the bias (D,), if any, of an InnerProduct."""
    if linear.option("axis") != 1:
        raise ConvertError(f"the layer '{linear.name}' has axis {linear.option('axis')}, expected 1")
    weights, *bias = net.blobs(linear.name)
    outputs = int(linear.option("num_output"))
    matrix = weights.reshape(-1, outputs).T if linear.option("transpose") else weights.reshape(outputs, -1)
    return matrix, *(array.reshape(-1) for array in bias)


def fold_head(net: Net, output: str) -> Net:
    """Take the normalisation behind the product that makes the vector into the product; it gets a bias.

    Before   x -> InnerProduct -> BatchNorm -> Scale -> y
    After    x -> InnerProduct -> y
    """
    head = find_head(net, output)
    if not any(layer.type in _AFFINE for layer in head.after):
        return net
    outputs = int(head.linear.option("num_output"))
    factor, shift = np.ones(outputs), np.zeros(outputs)
    for layer in head.after:
        gamma, beta = _affine(net, layer, outputs)
        factor, shift = factor * gamma, shift * gamma + beta
    folded = change_linear(net, head.linear, np.diag(factor), shift)
    for layer in head.after:
        if layer.type in _AFFINE:
            folded = _bypass(folded, layer)
    return folded


def _affine(net: Net, layer: Layer, outputs: int) -> tuple[Array, Array]:
    """Return the factor and the shift (D,) of a BatchNorm or Scale; 1 and 0 for other layers."""
    blobs = [blob.astype(np.float64).reshape(-1) for blob in net.blobs(layer.name)]
    if layer.type == "BatchNorm":
        mean, variance, *count = blobs
        unit = (1.0 / count[0][0] if count[0][0] else 0.0) if count else 1.0
        gamma = 1.0 / np.sqrt(variance * unit + layer.option("eps"))
        return gamma, -mean * unit * gamma
    if layer.type != "Scale":
        return np.ones(outputs), np.zeros(outputs)
    if len(blobs[0]) != outputs:
        raise ConvertError(f"the layer '{layer.name}' (Scale) has {len(blobs[0])} factors for {outputs} numbers")
    return blobs[0], blobs[1] if len(blobs) > 1 else np.zeros(outputs)


def change_linear(net: Net, linear: Layer, matrix: Array, shift: Array) -> Net:
    """Return the net whose product `linear` makes `matrix` @ y + `shift` in place of y.

    Parameters
    ----------
    matrix : Array
        (K, D).
    shift : Array
        (K,).

    Raises
    ------
    ConvertError
        If the layer works on groups of channels.
    """
    if linear.type == "InnerProduct":
        weights, *bias = _matrix(net, linear)
    else:
        weights, *bias = net.blobs(linear.name)
        if int(linear.option("group")) != 1:
            raise ConvertError(f"the layer '{linear.name}' makes the vector in groups of channels")
    flat = matrix @ weights.reshape(len(weights), -1).astype(np.float64)
    offset = (matrix @ bias[0].astype(np.float64) if bias else 0.0) + shift
    biased = bool(np.any(offset)) or bool(bias)
    field = PARAMETER_FIELDS[linear.type]
    options = {key: value for key, value in linear.parameters[field].items() if key != "transpose"}
    options |= {"num_output": len(matrix), "bias_term": biased}
    changed = replace(linear, parameters={**linear.parameters, field: options})
    blobs = [flat.reshape(len(matrix), *weights.shape[1:]), *([np.broadcast_to(offset, len(matrix))] * biased)]
    return _with_layers(net, linear, [changed], {linear.name: blobs})


def resize_unit(net: Net, unit: tuple[Layer, ...], size: int, smaller: int) -> Net:
    """Resize the layers `unit`, which normalise vectors of `size` to unit length, to `smaller` dimensions.

    Raises
    ------
    ConvertError
        If a Normalize has one scale per number.
    """
    for layer in unit:
        blobs = net.blobs(layer.name)
        if layer.type == "InnerProduct":
            weights, options = blobs[0], dict(layer.parameters["inner_product_param"])
            shape = [smaller if side == size else side for side in weights.shape]
            options["num_output"] = smaller if options["num_output"] == size else options["num_output"]
            changed = replace(layer, parameters={**layer.parameters, "inner_product_param": options})
            new = [np.ones(shape, np.float32), *(np.ones(options["num_output"], np.float32) for _ in blobs[1:])]
            net = _with_layers(net, layer, [changed], {layer.name: new})
        elif layer.type == "Normalize" and blobs and blobs[0].size == size:
            if np.ptp(blobs[0]) > 0:
                raise ConvertError(f"the layer '{layer.name}' (Normalize) scales its numbers differently")
            net = _with_layers(net, layer, [layer], {layer.name: [blobs[0].reshape(-1)[:smaller]]})
    return net


def _with_layers(net: Net, old: Layer, new: list[Layer], blobs: Mapping[str, list[Any]]) -> Net:
    """Return the net with the layer `old` replaced by `new`."""
    layers = tuple(item for layer in net.layers for item in (new if layer.name == old.name else [layer]))
    kept = {key: array for key, array in net.weights.items() if key.rpartition("/")[0] != old.name}
    for name, arrays in blobs.items():
        kept |= weight_keys(name, arrays)
    return replace(net, layers=layers, weights=kept)


def _bypass(net: Net, gone: Layer) -> Net:
    """Return the net without a layer; the writer of its input writes its output instead."""
    (bottom,), (top,) = gone.bottoms, gone.tops
    net = _with_layers(net, gone, [], {})
    layers = tuple(
        replace(layer, tops=tuple(top if name == bottom else name for name in layer.tops)) for layer in net.layers
    )
    return replace(net, layers=layers)


def _drop_unread(net: Net, layer: Layer | None) -> Net:
    """Return the net without `layer` if no other layer reads it."""
    if layer is None or any(layer.tops[0] in other.bottoms for other in net.layers):
        return net
    return _with_layers(net, layer, [], {})

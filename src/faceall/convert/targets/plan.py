"""Prepare a net for Apple's formats: one writer per blob, folded normalisation, names that the formats allow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from faceall.caffe.layers import window
from faceall.caffe.net import Layer, Net, weight_keys
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.caffe.shapes import fit_weights, infer_shapes
from faceall.convert.passes.simplify import apply_batch_norm
from faceall.errors import ConvertError
from faceall.models import Manifest

EMBEDDING = "embedding"
IMAGE = "image"
SMALLEST, LARGEST = 12, 4096
"""The smallest and largest side of a flexible input in pixels."""

SMALLEST_COMPRESSED = 2048
"""The values from which on a tensor is compressed in a program."""

_LINEAR = ("Convolution", "ConvolutionDepthwise", "InnerProduct")
_FIXED_SIZE = ("Crop", "Flatten", "InnerProduct", "Reshape", "Slice")


class PlanOptions(Protocol):
    """The options of a target that a plan depends on."""

    @property
    def precision(self) -> str:
        """The precision of weights and arithmetic."""

    @property
    def input(self) -> str:
        """The kind of the input: "image", standardised inside the model, or "array"."""

    @property
    def unit_length(self) -> bool:
        """Whether an embedder ends in vectors of length 1."""


@dataclass(frozen=True)
class Pixels:
    """How pixels are scaled: scale * value + bias, or with `prewhiten` by each image's own mean and deviation.

    Attributes
    ----------
    color : str
        The order in which the net takes colours, "RGB" or "BGR".
    """

    color: str = "RGB"
    scale: float = 1.0
    bias: float = 0.0
    prewhiten: bool = False


@dataclass(frozen=True)
class Plan:
    """The content of a file.

    Attributes
    ----------
    net : Net
        The net, ready to be written layer by layer.
    inputs : Mapping[str, str]
        Blob -> its name in the file.
    outputs : Mapping[str, str]
        Blob -> its name in the file.
    flexible : bool
        Whether height and width are free.
    pixels : Pixels | None
        How pixels are scaled, or None if the input is an array.
    """

    net: Net
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    flexible: bool
    pixels: Pixels | None

    def to_json(self) -> dict[str, Any]:
        """Return everything but the net as plain JSON values."""
        return {
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
            "flexible": self.flexible,
            "pixels": asdict(self.pixels) if self.pixels else None,
        }


def feature_name(blob: str) -> str:
    """Return a blob's name in a file, of letters, digits and underscores: conv4-2 -> conv4_2."""
    name = re.sub(r"\W", "_", blob, flags=re.ASCII)
    return f"_{name}" if name[:1].isdigit() else name


def is_embedder(net: Net, manifest: Manifest | None) -> bool:
    """Return whether a net is an embedder: as its manifest says, else if its one result is not a probability."""
    if manifest is not None:
        return manifest.kind == "embedder"
    writers = {top: layer.type for layer in net.layers for top in layer.tops}
    return len(net.outputs) == 1 and writers[net.outputs[0]] not in ("Softmax", "Sigmoid")


def make_plan(net: Net, options: PlanOptions, manifest: Manifest | None) -> Plan:
    """Prepare a net.

    Raises
    ------
    ConvertError
        If the options do not suit it, and what `infer_shapes` raises.
    """
    infer_shapes(net, need_weights=any(layer.type == "Convolution" for layer in net.layers))
    ready = apply_batch_norm(complete_batch_norm(single_writers(fit_weights(net))), "fold")
    embedder = is_embedder(net, manifest)
    if embedder:
        ready = _as_embedder(unit_tail(ready), options, manifest)
    if options.precision.startswith("palette"):
        ready = even_channels(ready)
    pixels = _pixels(ready, manifest) if options.input == "image" else None
    inputs = {blob: IMAGE if options.input == "image" else feature_name(blob) for blob in ready.inputs}
    outputs = {blob: EMBEDDING if embedder else feature_name(blob) for blob in ready.outputs}
    names = [*inputs.values(), *outputs.values()]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConvertError(f"net '{net.name}': two inputs or results would be called '{twice[0]}' in the file")
    return Plan(ready, inputs, outputs, not embedder and _is_flexible(ready), pixels)


def _is_flexible(net: Net) -> bool:
    """Return whether every layer takes any height and width."""
    padded = (layer.type == "Pooling" and not layer.option("global_pooling") and window(layer).padded
              for layer in net.layers)  # fmt: skip
    return not any(padded) and not any(layer.type in _FIXED_SIZE for layer in net.layers)


def _pixels(net: Net, manifest: Manifest | None) -> Pixels:
    if manifest is None:
        raise ConvertError("the input 'image' needs the model's manifest, which says how pixels are scaled")
    shape = next(iter(net.inputs.values()), ())
    if len(net.inputs) != 1 or len(shape) != 4 or shape[1] != 3:
        raise ConvertError(f"net '{net.name}' takes {dict(net.inputs)}, which is not one image; use the input 'array'")
    width, height = manifest.input_size
    if (height, width) != shape[2:] and manifest.kind == "embedder":
        raise ConvertError(
            f"net '{net.name}' takes {shape[3]}x{shape[2]} pixels, its manifest says {width}x{height} (width x height)"
        )
    rule = manifest.standardisation
    if rule.kind == "prewhiten":
        return Pixels(manifest.channels, prewhiten=True)
    return Pixels(manifest.channels, rule.scale, -rule.mean * rule.scale)


def _as_embedder(net: Net, options: PlanOptions, manifest: Manifest | None) -> Net:
    """Give the net one result, a row of values, of unit length if that is wanted."""
    blob = manifest.output_blob if manifest else net.outputs[0]
    shapes = infer_shapes(net)
    if blob not in shapes:
        raise ConvertError(f"net '{net.name}' has no blob '{blob}', which its manifest names as the output")
    writer = next(layer for layer in reversed(net.layers) if blob in layer.tops)
    layers = list(net.layers)
    if len(shapes[blob]) != 2:
        layers.append(Layer("plan_row", "Flatten", (blob,), ("plan_row",)))
        blob = "plan_row"
    if options.unit_length and writer.type != "Normalize":
        layers.append(_normalize("plan_unit", blob, "plan_unit"))
        blob = "plan_unit"
    return _only(replace(net, layers=tuple(layers)), [blob])


def _only(net: Net, blobs: Iterable[str]) -> Net:
    """Keep the layers that `blobs` depend on."""
    needed, kept = set(blobs), []
    for layer in reversed(net.layers):
        if needed & set(layer.tops):
            needed |= set(layer.bottoms)
            kept.append(layer)
    names = {layer.name for layer in kept}
    weights = {key: array for key, array in net.weights.items() if key.rpartition("/")[0] in names}
    return replace(net, layers=tuple(reversed(kept)), weights=weights)


def _normalize(name: str, bottom: str, top: str, eps: float = 1e-10) -> Layer:
    return Layer(name, "Normalize", (bottom,), (top,), {"norm_param": {"across_spatial": True, "eps": eps}})


def single_writers(net: Net) -> Net:
    """Give every blob one writer; the last one keeps the name, or the Input where it is one.

    Before   conv -> blob, PReLU in place on blob
    After    conv -> blob@0, PReLU blob@0 -> blob
    """
    left = Counter(top for layer in net.layers for top in layer.tops)
    current: dict[str, str] = {}
    layers = []
    for layer in net.layers:
        bottoms = tuple(current[bottom] for bottom in layer.bottoms)
        for top in layer.tops:
            left[top] -= 1
            keeps = layer.type == "Input" or (left[top] == 0 and top not in net.inputs)
            current[top] = top if keeps else f"{top}@{left[top]}"
        layers.append(replace(layer, bottoms=bottoms, tops=tuple(current[top] for top in layer.tops)))
    return replace(net, layers=tuple(layers))


def complete_batch_norm(net: Net) -> Net:
    """Add the third blob of every BatchNorm, which a file may omit if it is 1."""
    weights = dict(net.weights)
    for layer in net.layers:
        if layer.type == "BatchNorm" and len(net.blobs(layer.name)) == 2:
            weights[f"{layer.name}/2"] = np.ones(1, np.float32)
    return replace(net, weights=weights)


def unit_tail(net: Net) -> Net:
    """Merge the layers of a normalisation in portable Caffe files into one.

    Before   x -> Power(2) -> InnerProduct(ones) [-> ...] -> Power(-0.5) [-> InnerProduct(ones)] -> Eltwise PROD with x
    After    x -> Normalize
    """
    writers = {top: layer for layer in net.layers for top in layer.tops}
    for layer in net.layers:
        found = _unit_chain(net, writers, layer)
        if found is not None:
            source, eps = found
            unit = _normalize(layer.name, source, layer.tops[0], eps)
            layers = tuple(unit if other is layer else other for other in net.layers)
            return _only(replace(net, layers=layers), net.outputs)
    return net


def even_channels(net: Net) -> Net:
    """Scale the channels of every large kernel to one magnitude, so that one palette fits all of them.

    Before   x -> Convolution -> y
    After    x -> Convolution, its channels of equal mean square, no bias -> Scale, with the sizes and the bias -> y
    """
    layers, weights = [], dict(net.weights)
    for layer in net.layers:
        blobs = net.blobs(layer.name)
        if layer.type not in _LINEAR or blobs[0].size < SMALLEST_COMPRESSED or _is_transposed(layer):
            layers.append(layer)
            continue
        kernel = blobs[0].astype(np.float64)
        sizes = np.sqrt(np.mean(kernel**2, axis=tuple(range(1, kernel.ndim))))
        sizes[sizes == 0] = 1.0
        bias = blobs[1] if len(blobs) > 1 else np.zeros(len(sizes))
        field, blob, scale = PARAMETER_FIELDS[layer.type], f"{layer.tops[0]}@even", f"{layer.name}_size"
        options = {**layer.parameters[field], "bias_term": False}
        layers.append(replace(layer, tops=(blob,), parameters={field: options}))
        layers.append(Layer(scale, "Scale", (blob,), layer.tops, {"scale_param": {"bias_term": True}}))
        weights.pop(f"{layer.name}/1", None)
        weights |= weight_keys(layer.name, [kernel / sizes.reshape(-1, *[1] * (kernel.ndim - 1))])
        weights |= weight_keys(scale, [sizes, bias])
    return replace(net, layers=tuple(layers), weights=weights)


def _is_transposed(layer: Layer) -> bool:
    return layer.type == "InnerProduct" and (bool(layer.option("transpose")) or layer.option("axis") != 1)


def _unit_chain(net: Net, writers: Mapping[str, Layer], product: Layer) -> tuple[str, float] | None:
    """Return the blob and epsilon if `product` multiplies a row of values with the inverse of its length."""
    if product.type != "Eltwise" or product.option("operation") != "PROD" or len(product.bottoms) != 2:
        return None
    for source, other in (product.bottoms, product.bottoms[::-1]):
        chain: list[Layer] = []
        blob = other
        while blob != source and blob in writers and len(chain) < 4 and len(writers[blob].bottoms) == 1:
            chain.insert(0, writers[blob])
            blob = writers[blob].bottoms[0]
        if blob == source and [layer.type for layer in chain] in (
            ["Power", "InnerProduct", "Power"],
            ["Power", "InnerProduct", "Power", "InnerProduct"],
        ) and _is_unit(net, chain):  # fmt: skip
            return source, float(chain[2].option("shift"))
    return None


def _is_unit(net: Net, chain: list[Layer]) -> bool:
    square, _, inverse = chain[:3]

    def options(layer: Layer) -> tuple[Any, Any]:
        return layer.option("power"), layer.option("scale")

    sums = all(
        not layer.option("bias_term") and np.all(net.blobs(layer.name)[0] == 1)
        for layer in chain
        if layer.type == "InnerProduct"
    )
    return sums and options(square) == (2, 1) and square.option("shift") == 0 and options(inverse) == (-0.5, 1)

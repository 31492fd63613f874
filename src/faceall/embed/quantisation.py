"""Choose the convolutions of an embedder that can be computed in 8 bits without changing its vectors.

Integers of 8 bits are multiplied four times as fast as float32, but rounding in an early layer, or where values spread
widely, moves the vectors. So it is measured: groups of layers are tried one by one on variations of a portrait, those
with the least error for their work are combined, and the combination is measured as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall.caffe.engines import Precision, get_engine
from faceall.caffe.files import read_net
from faceall.caffe.net import Net
from faceall.caffe.shapes import infer_shapes
from faceall.embed.portrait import IMAGES, portraits
from faceall.errors import EngineError
from faceall.models import EIGHT_BIT, Manifest, ModelFolder, write_model_folder
from faceall.types import Array, Float32Array

MINIMUM_COSINE = 0.99994
"""The smallest cosine to float32 on the portrait's variations: stricter than 0.9999, as other faces differ more."""

_GROUPS = 24
_BATCH = 8
"""Images that run at once while ranges are measured."""
_MARGIN = 1.6
"""The factor from the largest value seen to the value at which an input is clipped."""


@dataclass(frozen=True)
class EightBitReport:
    """The chosen layers.

    Attributes
    ----------
    ranges : Mapping[str, float]
        Layer -> the largest value of its input.
    share : float
        The share of the multiplications in 8 bits, 0..1.
    cosine : tuple[float, float]
        (smallest, mean) to float32 on the portrait's variations.
    """

    ranges: Mapping[str, float]
    share: float
    cosine: tuple[float, float]

    def to_json(self) -> str:
        """Return the text of the model folder's file."""
        values = {
            "schema": 1,
            "cosine": {"smallest": self.cosine[0], "mean": self.cosine[1], "images": IMAGES},
            "share": self.share,
            "ranges": dict(self.ranges),
        }
        return json.dumps(values, indent=2) + "\n"


Progress = Callable[[int, int], None]


def add_eight_bit(model: ModelFolder, *, progress: Progress | None = None) -> tuple[ModelFolder, EightBitReport]:
    """Measure which layers of an embedder can be computed in 8 bits and store them in its folder.

    If there are none, the folder is unchanged.

    Parameters
    ----------
    model : ModelFolder
        The embedder.
    progress : callable, optional
        Called with the number of measurements done and the total.

    Returns
    -------
    ModelFolder, EightBitReport
        The model, and what was measured.

    Raises
    ------
    EngineError
        If this processor or engine does not compute in 8 bits.
    ModelError
        If the folder cannot be written.
    """
    manifest = model.manifest
    net = read_net(model.prototxt, model.caffemodel)
    crops = portraits(manifest.framing, manifest.input_size)
    natural, harsh = _standardised(crops, manifest), _standardised(exaggerated(crops), manifest)
    report = choose_ranges(
        net, natural, harsh, output=manifest.output_blob, minimum_cosine=MINIMUM_COSINE, progress=progress
    )
    if not report.ranges:
        return model, report
    files: dict[str, bytes | Path] = {name: model.path / name for name in manifest.files}
    files[EIGHT_BIT] = report.to_json().encode()
    return write_model_folder(model.path, manifest, files, replace_existing=True), report


def _standardised(crops: npt.NDArray[np.uint8], manifest: Manifest) -> Float32Array:
    numbers = manifest.standardisation.apply(crops)
    if manifest.channels == "BGR":
        numbers = numbers[..., ::-1]
    return np.ascontiguousarray(numbers.transpose(0, 3, 1, 2))


def exaggerated(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return negatives, silhouettes and harsh light, which drive a net's values to their extremes.

    Parameters
    ----------
    crops : (n, H, W, 3) uint8

    Returns
    -------
    (n + n // 3, H, W, 3) uint8
    """
    parts: list[Array] = np.array_split(crops.astype(np.float32) - 127.5, 3)
    first, second, third = parts
    kinds = [-first, np.sign(first) * 128, second * 4, third[::2] * 3 - 64, third[1::2] * 3 + 64]
    return np.asarray(np.clip(np.concatenate(kinds) + 127.5, 0, 255), np.uint8)


def choose_ranges(
    net: Net,
    samples: Float32Array,
    harsh: Float32Array,
    *,
    output: str,
    minimum_cosine: float = MINIMUM_COSINE,
    progress: Progress | None = None,
) -> EightBitReport:
    """Choose the layers to compute in 8 bits.

    Parameters
    ----------
    net : Net
        The embedder.
    samples : (n, C, H, W) float32
        Standardised images that the vectors are compared on.
    harsh : (m, C, H, W) float32
        Further images that show how large the values get.
    output : str
        The blob of the vectors.
    minimum_cosine : float
        The smallest allowed cosine to float32.
    progress : callable, optional
        Called with the number of measurements done and the total.

    Returns
    -------
    EightBitReport
        The chosen layers.
    """
    (name,) = net.inputs
    ranges = measure_ranges(net, {name: np.concatenate([samples, harsh])})
    work = _work(net)
    groups = _groups([layer for layer in work if layer in ranges], work)
    steps = len(groups) + 1
    exact = _vectors(net, {}, {name: samples}, output)

    def cosines(layers: Iterable[str]) -> Array:
        found = _vectors(net, {layer: ranges[layer] for layer in layers}, {name: samples}, output)
        return np.asarray((found * exact).sum(axis=1))

    error: list[float] = []
    for number, group in enumerate(groups):
        if progress is not None:
            progress(number, steps)
        error.append(max(0.0, 1 - float(cosines(group).min())))
    chosen = _cheapest(groups, error, work, 1 - minimum_cosine)
    while chosen and (together := cosines(_flat(groups, chosen))).min() < minimum_cosine:
        chosen.remove(max(chosen, key=error.__getitem__))
    if progress is not None:
        progress(steps, steps)
    layers = _flat(groups, chosen)
    share = sum(work[layer] for layer in layers) / max(1, sum(work.values()))
    cosine = (float(together.min()), float(together.mean())) if chosen else (1.0, 1.0)
    return EightBitReport({layer: ranges[layer] for layer in layers}, share, cosine)


def measure_ranges(net: Net, inputs: Mapping[str, Float32Array]) -> dict[str, float]:
    """Return the largest value that each convolution reads, with a margin, if it reads nothing negative."""
    readers: dict[str, list[str]] = {}
    for layer in net.layers:
        if layer.type == "Convolution" and layer.bottoms[0] not in net.inputs:
            readers.setdefault(layer.bottoms[0], []).append(layer.name)
    compiled = get_engine().compile(net, list(readers))
    least, most = dict.fromkeys(readers, np.inf), dict.fromkeys(readers, -np.inf)
    for start in range(0, len(next(iter(inputs.values()))), _BATCH):  # all at once would fill the memory
        blobs = compiled({name: values[start : start + _BATCH] for name, values in inputs.items()})
        for blob in readers:
            least[blob] = min(least[blob], float(blobs[blob].min()))
            most[blob] = max(most[blob], float(blobs[blob].max()))
    return {
        layer: most[blob] * _MARGIN
        for blob, layers in readers.items()
        if least[blob] >= 0 and most[blob] > 0
        for layer in layers
    }


def _vectors(net: Net, ranges: Mapping[str, float], inputs: Mapping[str, Float32Array], output: str) -> Array:
    """Return the unit vectors with the layers of `ranges` in 8 bits, (n, D) float64."""
    wanted: Precision = "int8" if ranges else "float32"
    compiled = get_engine().compile(replace(net, ranges=ranges), [output], precision=wanted)
    if compiled.precision != wanted:
        raise EngineError(f"nothing can be measured in 8 bits here: the engine computes in {compiled.precision}")
    vectors = compiled(inputs)[output].reshape(len(next(iter(inputs.values()))), -1).astype(np.float64)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _work(net: Net) -> dict[str, int]:
    """Return the number of multiplications of each convolution, in the order of execution."""
    shapes = infer_shapes(net)
    return {
        layer.name: prod(shapes[layer.tops[0]][2:]) * net.blobs(layer.name)[0].size
        for layer in net.layers
        if layer.type == "Convolution"
    }


def _groups(layers: Sequence[str], work: Mapping[str, int]) -> list[list[str]]:
    """Group neighbouring layers into groups of about equal work."""
    done = np.cumsum([work[layer] for layer in layers]) if layers else np.zeros(0)
    groups: dict[int, list[str]] = {}
    for layer, total in zip(layers, done, strict=True):
        groups.setdefault(int((total - work[layer] / 2) * _GROUPS // done[-1]), []).append(layer)
    return list(groups.values())


def _cheapest(
    groups: Sequence[Sequence[str]], error: Sequence[float], work: Mapping[str, int], budget: float
) -> list[int]:
    """Return the groups with the least error for their work, until the budget of error is spent."""
    price = [loss / sum(work[layer] for layer in group) for group, loss in zip(groups, error, strict=True)]
    chosen: list[int] = []
    for number in sorted(range(len(groups)), key=price.__getitem__):
        if sum(error[other] for other in chosen) + error[number] <= budget:
            chosen.append(number)
    return chosen


def _flat(groups: Sequence[Sequence[str]], chosen: Iterable[int]) -> list[str]:
    return [layer for number in sorted(chosen) for layer in groups[number]]

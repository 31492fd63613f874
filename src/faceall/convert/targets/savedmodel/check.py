"""Compare a SavedModel, run as written in NumPy, with its nets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall.convert.parity.comparison import run_net, side_by_side
from faceall.convert.parity.report import Criteria, ParityReport, measure
from faceall.convert.sources.tensorflow.savedmodel import read_signature
from faceall.convert.targets.savedmodel.write import IMAGES, Part
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.graph import Graph
from faceall.types import Array, Float32Array

RUNNER = "the written graph, run in NumPy"
"""The runner's name in a report."""

_BATCH = 4


def savedmodel_parity(
    part: Part, folder: Path, images: npt.NDArray[np.uint8], *, tolerance: float, threshold: float | None
) -> ParityReport:
    """Compare one net of the SavedModel in the version folder `folder` with the net that it was written from.

    The comparison starts with pixels: decoding is TensorFlow's own. All results of an image count as one vector.

    Parameters
    ----------
    images : (n, H, W, 3) uint8 RGB
    tolerance : float
        The largest allowed difference.
    threshold : float | None
        The squared distance up to which vectors match; None: no embedder.
    """
    graph, inputs, outputs = read_signature(folder, f"{part.signature}_from_images")
    actual = np.concatenate(
        [
            _run(graph, inputs[IMAGES], outputs, part, images[start : start + _BATCH].astype(np.float32))
            for start in range(0, len(images), _BATCH)
        ]
    )
    step = f"{part.role.name} in the savedmodel" if part.role else "savedmodel"
    limits = Criteria(step=step, tolerance=tolerance, threshold=threshold)
    return measure(actual, _wanted(part, images), limits, reference="net", engine=RUNNER)


def _run(graph: Graph, feed: str, outputs: dict[str, str], part: Part, images: Float32Array) -> Float32Array:
    """Return the results of one batch side by side, maps (N, H, W, C) transposed to the nets' axes."""
    values = {
        name: evaluate(replace(graph, input=feed, output=outputs[name]), {feed: images}, keep=())[outputs[name]]
        for name in part.results.values()
    }
    return side_by_side({name: _channels_first(part, value) for name, value in values.items()}, list(values))


def _channels_first(part: Part, value: Array) -> Array:
    if value.ndim != 4:
        return value
    return value.transpose(0, 3, 2, 1) if part.role else value.transpose(0, 3, 1, 2)


def _wanted(part: Part, images: npt.NDArray[np.uint8]) -> Float32Array:
    """Return the net's results for the same images, prepared outside."""
    ordered = images if part.manifest.channels == "RGB" else images[..., ::-1]
    numbers = part.manifest.standardisation.apply(np.ascontiguousarray(ordered))
    numbers = numbers.transpose(0, 2, 1, 3) if part.role else numbers
    vectors, _ = run_net(part.net, numbers, list(part.results), engine="reference")
    if part.manifest.kind != "embedder":
        return vectors
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-5), np.float32)

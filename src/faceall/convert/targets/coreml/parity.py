"""Compare a Core ML file, run as written, with the net that it was written from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall.caffe import Net, get_engine
from faceall.convert.parity.report import DEFAULT_THRESHOLD, ParityReport, measure
from faceall.convert.targets.coreml.options import Precision
from faceall.convert.targets.coreml.read import read_coreml
from faceall.convert.targets.plan import EMBEDDING, feature_name, is_embedder
from faceall.errors import ConvertError
from faceall.models import Manifest
from faceall.types import Array, Float32Array

COSINE_MINIMA: dict[Precision, float] = {"float16": 0.9999, "int8": 0.999, "palette8": 0.999, "palette6": 0.99}
"""Precision -> the smallest cosine that a result may have with the net's; float32 has the tolerance of all nets."""

RUNNER = "the written file, run in NumPy"
"""The runner's name in a report."""


def coreml_parity(
    net: Net,
    path: str | Path,
    inputs: npt.NDArray[np.uint8] | Float32Array,
    *,
    precision: Precision,
    manifest: Manifest | None = None,
    engine: str | None = "reference",
) -> ParityReport:
    """Compare the file at `path` with the `net` that it was written from; all results of a sample count as one vector.

    Parameters
    ----------
    inputs : npt.NDArray[np.uint8] | Float32Array
        (n, H, W, 3) uint8 in RGB for a file with the input "image", else (n, C, H, W) float32, standardised.
    precision : Precision
        What the file was written in: it decides on the tolerance.
    manifest : Manifest | None
        How pixels become numbers, and the threshold of a match.
    engine : str | None
        What runs the net; None: the default one.

    Raises
    ------
    NetFormatError
        If the file is damaged.
    ConvertError
        If the inputs or the results do not suit it.
    """
    model = read_coreml(path)
    feature = next(iter(model.inputs.values()))
    if inputs.ndim != 4 or not len(inputs) or (inputs.dtype == np.uint8) != (feature.kind == "image"):
        wanted = "(n, H, W, 3) uint8" if feature.kind == "image" else "(n, C, H, W) float32"
        raise ConvertError(f"the inputs to compare on are {inputs.dtype} {inputs.shape}, expected {wanted}")
    names = _names(net, manifest)
    if absent := [name for name in names.values() if name not in model.outputs]:
        raise ConvertError(f"{path}: has no result '{absent[0]}'; its results: {', '.join(model.outputs)}")
    compiled = get_engine(engine).compile(net, list(names))
    (blob,) = net.inputs
    expected, actual = [], []
    for sample in inputs:
        results = compiled({blob: _standardised(sample, manifest)})
        expected.append(_row([_unit(results[name], called) for name, called in names.items()]))
        made = model.run({feature.name: sample if feature.kind == "image" else sample[None]})
        actual.append(_row([made[called] for called in names.values()]))
    embedder = EMBEDDING in names.values()
    threshold = (manifest.match_threshold if manifest else None) or DEFAULT_THRESHOLD
    return measure(
        np.stack(actual),
        np.stack(expected),
        step="coreml",
        reference="net",
        engine=RUNNER,
        cosine_minimum=COSINE_MINIMA.get(precision),
        threshold=threshold if embedder else None,
    )


def _names(net: Net, manifest: Manifest | None) -> dict[str, str]:
    """Return blob of the net -> name of the result in the file."""
    if is_embedder(net, manifest):
        return {manifest.output_blob if manifest else net.outputs[0]: EMBEDDING}
    return {blob: feature_name(blob) for blob in net.outputs}


def _row(arrays: list[Array]) -> Array:
    return np.concatenate([array.reshape(-1) for array in arrays])


def _standardised(sample: Array, manifest: Manifest | None) -> Float32Array:
    if sample.dtype != np.uint8:
        return np.asarray(sample[None], np.float32)
    if manifest is None:
        raise ConvertError("comparing images needs the model's manifest, which says how pixels are scaled")
    ordered = sample if manifest.channels == "RGB" else sample[:, :, ::-1]
    numbers = manifest.standardisation.apply(np.ascontiguousarray(ordered)[None])
    return np.ascontiguousarray(numbers.transpose(0, 3, 1, 2))


def _unit(result: Array, name: str) -> Array:
    """Normalise an embedding, which has unit length in the file; the net's own may have another."""
    return result / max(float(np.linalg.norm(result.astype(np.float64))), 1e-30) if name == EMBEDDING else result

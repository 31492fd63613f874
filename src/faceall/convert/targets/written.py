"""Compare the results of a model in one of Apple's formats with the net that it was written from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from faceall.caffe import Net, get_engine
from faceall.convert.parity.report import DEFAULT_THRESHOLD, Criteria, ParityReport, measure
from faceall.convert.targets.plan import EMBEDDING, feature_name, is_embedder
from faceall.errors import ConvertError
from faceall.models import Manifest
from faceall.types import Array, Float32Array


def results_of(net: Net, manifest: Manifest | None) -> dict[str, str]:
    """Return blob of the net -> name of the result in the model."""
    if is_embedder(net, manifest):
        return {manifest.output_blob if manifest else net.outputs[0]: EMBEDDING}
    return {blob: feature_name(blob) for blob in net.outputs}


def compare_written(
    net: Net,
    inputs: npt.NDArray[np.uint8] | Float32Array,
    results: Iterable[Mapping[str, Array]],
    criteria: Criteria,
    *,
    runner: str,
    manifest: Manifest | None,
    engine: str | None,
) -> ParityReport:
    """Compare the results of a model with those of its net; all results of a sample count as one vector.

    Parameters
    ----------
    net : Net
        The net that the model was written from.
    inputs : (n, H, W, 3) uint8 or (n, C, H, W) float32
        RGB images, or standardised values.
    results : iterable of mapping of str to array
        The model's results of each input by their names, which may be computed one after the other.
    criteria : Criteria
        Name and limits of the comparison; the manifest decides on the threshold of a match.
    runner : str
        What ran the model, for the report.
    manifest : Manifest, optional
        How pixels are scaled, and the threshold of a match.
    engine : str, optional
        The engine that runs the net. Default: the default engine.

    Returns
    -------
    ParityReport
        The differences.

    Raises
    ------
    ConvertError
        If images are compared without a manifest.
    """
    names = results_of(net, manifest)
    compiled = get_engine(engine).compile(net, list(names))
    (blob,) = net.inputs
    expected, actual = [], []
    for sample, made in zip(inputs, results, strict=True):
        wanted = compiled({blob: _standardised(sample, manifest)})
        expected.append(_row([_unit(wanted[name], called) for name, called in names.items()]))
        actual.append(_row([made[called] for called in names.values()]))
    threshold = (manifest.match_threshold if manifest else None) or DEFAULT_THRESHOLD
    limits = replace(criteria, threshold=threshold if EMBEDDING in names.values() else None)
    return measure(np.stack(actual), np.stack(expected), limits, reference="net", engine=runner)


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
    """Normalise an embedding, which has unit length in the model; the net's own may have another."""
    return result / max(float(np.linalg.norm(result.astype(np.float64))), 1e-30) if name == EMBEDDING else result

"""Compare a Core AI model, run by Apple's runtime, with the net that it was written from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall.caffe import Net
from faceall.convert.parity.report import Criteria, ParityReport
from faceall.convert.targets.coreai.options import CoreaiPrecision
from faceall.convert.targets.coreai.read import read_coreai
from faceall.convert.targets.plan import IMAGE, feature_name
from faceall.convert.targets.written import compare_written, results_of
from faceall.errors import ConvertError
from faceall.models import Manifest
from faceall.types import Float32Array

COSINE_MINIMUM = 0.9999
"""The smallest cosine that a float16 result may have with the net's; float32 has the tolerance of all nets."""


def coreai_parity(
    net: Net,
    path: str | Path,
    inputs: npt.NDArray[np.uint8] | Float32Array,
    *,
    precision: CoreaiPrecision,
    manifest: Manifest | None = None,
    engine: str | None = "reference",
) -> ParityReport:
    """Compare the model at `path` with the `net` that it was written from; all results of a sample count as one vector.

    Parameters
    ----------
    net : Net
        The net.
    path : str or Path
        The .aimodel.
    inputs : (n, H, W, 3) uint8 or (n, C, H, W) float32
        RGB images for a model with the input "image", else standardised values.
    precision : {"float32", "float16"}
        What the model was written in: it decides on the tolerance.
    manifest : Manifest, optional
        How pixels are scaled, and the threshold of a match.
    engine : str, optional
        The engine that runs the net. Default: the slow reference.

    Returns
    -------
    ParityReport
        The differences.

    Raises
    ------
    NetFormatError
        If the model is damaged.
    ConvertError
        If it cannot be run, or the inputs or the results do not suit it.
    """
    if inputs.ndim != 4 or not len(inputs) or inputs.dtype not in (np.uint8, np.float32):
        wanted = "(n, H, W, 3) uint8 or (n, C, H, W) float32"
        raise ConvertError(f"the inputs to compare on are {inputs.dtype} {inputs.shape}, expected {wanted}")
    (blob,) = net.inputs
    name = IMAGE if inputs.dtype == np.uint8 else feature_name(blob)
    results, runtime = read_coreai(path).run([{name: sample[None]} for sample in inputs])
    wanted_results = results_of(net, manifest)
    if absent := [called for called in wanted_results.values() if called not in results[0]]:
        raise ConvertError(f"{path}: has no result '{absent[0]}'; its results: {', '.join(results[0])}")
    return compare_written(
        net,
        inputs,
        results,
        Criteria(step="coreai", cosine_minimum=None if precision == "float32" else COSINE_MINIMUM),
        runner=f"Apple's runtime, {runtime}",
        manifest=manifest,
        engine=engine,
    )

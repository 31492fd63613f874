"""Compare a Core ML file, run as written, with the net that it was written from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall.caffe import Net
from faceall.convert.parity.report import Criteria, ParityReport
from faceall.convert.targets.coreml.options import Precision
from faceall.convert.targets.coreml.read import read_coreml
from faceall.convert.targets.written import compare_written, results_of
from faceall.errors import ConvertError
from faceall.models import Manifest
from faceall.types import Float32Array

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
    names = results_of(net, manifest)
    if absent := [name for name in names.values() if name not in model.outputs]:
        raise ConvertError(f"{path}: has no result '{absent[0]}'; its results: {', '.join(model.outputs)}")
    image = feature.kind == "image"
    return compare_written(
        net,
        inputs,
        (model.run({feature.name: sample if image else sample[None]}) for sample in inputs),
        Criteria(step="coreml", cosine_minimum=COSINE_MINIMA.get(precision)),
        runner=RUNNER,
        manifest=manifest,
        engine=engine,
    )

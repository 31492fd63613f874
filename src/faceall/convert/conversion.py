"""A file in, a model out: read, compare, make smaller, write, compare again."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from faceall.convert.job import Job
from faceall.convert.parity.crops import CropReader, FaceCrops, default_crops, read_crops
from faceall.convert.parity.report import GATE, ParityReport
from faceall.convert.passes.head import BottleneckStyle
from faceall.convert.passes.pools import FloorPool
from faceall.convert.passes.projection import ProjectionReport
from faceall.convert.passes.simplify import BatchNormStyle
from faceall.convert.sources.tensorflow.savedmodel import SAVED_MODEL, is_version
from faceall.convert.subject import StandardisationName, open_subject
from faceall.convert.targets import Target
from faceall.convert.targets.coreml.options import SUFFIXES, CoremlOptions
from faceall.convert.targets.savedmodel import cascade_files
from faceall.errors import ConvertError
from faceall.models import Manifest, ModelFolder
from faceall.models.folder import refuse_taken
from faceall.types import Array

CHECKED = 64
"""How many pictures of a folder are compared at most: the graph runs in NumPy, about a second for each."""

CALIBRATED = 10_000
"""How many crops a projection is fitted on at most."""


@dataclass(frozen=True)
class Conversion:
    """A finished conversion.

    target       what was written
    path         the model folder or the file
    manifest     what the model is and needs
    reports      how far each step is from the one before, in order
    report_path  the same as JSON, beside the model
    projection   what making the embedding smaller costs; None where it was not
    remarks      what was assumed or is worth knowing, a sentence each
    """

    target: Target
    path: Path
    manifest: Manifest
    reports: tuple[ParityReport, ...]
    report_path: Path
    projection: ProjectionReport | None
    remarks: tuple[str, ...]

    @property
    def report(self) -> ParityReport:
        """The report of the last step, the model itself."""
        return self.reports[-1]

    @property
    def folder(self) -> ModelFolder:
        """The model folder. Raises ConvertError where another target was written."""
        if self.target != "caffe":
            raise ConvertError(f"{self.path}: is written as {self.target}, only Caffe's format makes a model folder")
        return ModelFolder.open(self.path)


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    target: Target = "caffe",
    batch_norm: BatchNormStyle = "fold",
    floor_pool: FloorPool = "crop",
    bottleneck: BottleneckStyle | None = None,
    coreml: CoremlOptions | None = None,
    embedding_size: int | None = None,
    calibrate: str | Path | FaceCrops | None = None,
    input: str | None = None,
    output: str | None = None,
    image_size: int | None = None,
    signature: str | None = None,
    standardisation: StandardisationName | None = None,
    name: str | None = None,
    check: str | Path | npt.NDArray[np.uint8] | None = None,
    expected: Array | None = None,
    reader: CropReader = read_crops,
    engine: str | None = None,
    gate: float = GATE,
    stages: bool = False,
    replace_existing: bool = False,
) -> Conversion:
    """Convert the net in `source` into `destination`: a model folder (caffe), a file (onnx, .mlmodel), an .mlpackage,
    or a folder for TensorFlow Serving (savedmodel), also of all three nets in a folder with det1, det2 and det3.

    source            a frozen TensorFlow graph (.pb), a checkpoint, a SavedModel, a Keras file, Caffe's files or a
                      model folder
    batch_norm        "fold" into the layer before, or "keep" as BatchNorm and Scale
    floor_pool        how Caffe's files spell a pool that rounds down
    bottleneck        "inner-product" or "convolution" for what makes the vector in Caffe's files; None: as it is
    coreml            how Core ML's files are written; None: an ML Program in float32 that takes pictures
    embedding_size    make a smaller embedding, by a projection fitted on `calibrate` and folded into the net
    calibrate         crops of faces, or where `reader` finds them
    input, output     names of the graph's boundary nodes; None: `input` and `embeddings`, or the only candidates
    image_size        the side of the pictures in pixels; None: what the graph says, else 160
    signature         which of a SavedModel's signatures to take; None: `serving_default`, or the only one
    standardisation   what the pixels need; None: as the known file needs it, else a guess, which is remarked
    name              the model's name; None: from the file
    check             (n, H, W, 3) uint8, pictures to compare on, or where `reader` finds them; None: the golden crops
    expected          (n, D) float32, what the source gives for `check`; None: the source is run in NumPy
    reader            reads crops of the model's size from a path
    engine            the engine that runs the net for the comparison; None: the default one
    gate              the largest allowed difference
    stages            whether the reports cover every stage of the net, not the result alone
    replace_existing  whether a model that is in `destination` may be replaced

    The report is written beside the model, as DESTINATION.parity.json. Above the gate there is the report alone.
    Raises NetFormatError where the source is damaged, UnsupportedGraphError where something has no counterpart,
    ParityError above the gate, ConvertError for unfit options, ModelError where the model cannot be written.
    """
    if target not in get_args(Target):
        raise ConvertError(f"there is no target '{target}'; known targets: {', '.join(get_args(Target))}")
    place = Path(os.path.abspath(destination))
    _refuse_place(place, Path(os.path.abspath(source)), target, coreml or CoremlOptions(), replace_existing)
    paths = cascade_files(Path(source)) if target == "savedmodel" else ()
    subjects = [
        open_subject(
            path,
            batch_norm=batch_norm,
            input=input,
            output=output,
            image_size=image_size,
            signature=signature,
            standardisation=standardisation,
            name=name,
        )
        for path in paths or (Path(source),)
    ]
    job, *others = (
        Job(subject, place, _check_crops(check, expected, subject.manifest, reader), engine, gate, stages)
        for subject in subjects
    )
    subject = subjects[0]
    if embedding_size is not None:
        job.make_smaller(_calibration(calibrate, subject.manifest, reader), embedding_size, name)
    elif calibrate is not None:
        raise ConvertError("--calibrate fits a smaller embedding: say its size with --embedding-size")
    if target == "caffe":
        job.write_caffe(floor_pool, bottleneck, replace_existing=replace_existing)
    elif target == "onnx":
        job.write_onnx()
    elif target == "savedmodel":
        job.write_savedmodel(others)
    else:
        job.write_coreml(coreml or CoremlOptions())
    reports, remarks = tuple(job.reports), tuple(dict.fromkeys(remark for each in subjects for remark in each.remarks))
    return Conversion(target, Path(destination), job.manifest, reports, job.report_path, job.cost, remarks)


def _check_crops(
    check: str | Path | npt.NDArray[np.uint8] | None, expected: Array | None, manifest: Manifest, reader: CropReader
) -> FaceCrops:
    """The pictures to compare on, with the vectors that the source gives for them where these are known."""
    width, height = manifest.input_size
    if check is None:
        return default_crops(manifest.input_size)
    if isinstance(check, str | Path):
        return replace(reader(Path(check), manifest.input_size, CHECKED), origin=f"crops from {check}")
    if check.ndim != 4 or check.dtype != np.uint8 or check.shape[1:] != (height, width, 3) or not len(check):
        raise ConvertError(
            f"the pictures to compare on are {check.dtype} {check.shape}, expected uint8 (n, {height}, {width}, 3)"
        )
    return FaceCrops(check, None, None if expected is None else np.asarray(expected, np.float32))


def _calibration(calibrate: str | Path | FaceCrops | None, manifest: Manifest, reader: CropReader) -> FaceCrops:
    """The crops that a projection is fitted on."""
    if manifest.kind != "embedder":
        raise ConvertError(f"'{manifest.name}' makes no embedding, so it cannot make a smaller one")
    if calibrate is None:
        raise ConvertError("a smaller embedding is fitted on faces: give crops of some hundred with --calibrate")
    if isinstance(calibrate, FaceCrops):
        return calibrate
    return reader(Path(calibrate), manifest.input_size, CALIBRATED)


def _refuse_place(place: Path, source: Path, target: Target, coreml: CoremlOptions, replace_existing: bool) -> None:
    """Fail before the work, where the result could not be put in its place, or would erase what is no model."""
    if not place.name:
        raise ConvertError(f"{place}: is no place for a model; name a new file or folder")
    if target == "onnx" and place.is_dir():
        raise ConvertError(f"{place}: is a folder; an ONNX model is one file, as {place.name}/model.onnx")
    if replace_existing and place.resolve() in (source.resolve(), *source.resolve().parents):
        raise ConvertError(f"{place}: is or holds the source, which is never replaced; choose another place")
    if target == "caffe":
        refuse_taken(place, replace_existing=replace_existing)
        return
    if target == "savedmodel":
        _refuse_served(place, replace_existing)
        return
    suffix = SUFFIXES[coreml.format] if target == "coreml" else ".onnx"
    if target == "coreml" and place.suffix != suffix:
        raise ConvertError(f"{place}: a Core ML {coreml.format} ends in {suffix}, as {place.name}{suffix}")
    if not os.path.lexists(place):
        return
    if not replace_existing:
        raise ConvertError(f"{place}: exists already; choose another place or replace it")
    is_model = (place / "Manifest.json").is_file() if suffix == ".mlpackage" else place.is_file()
    if not is_model or place.suffix != suffix:
        raise ConvertError(f"{place}: is not replaced, as it is not a model ({suffix}); choose another place")


def _refuse_served(place: Path, replace_existing: bool) -> None:
    """As `_refuse_place`, for a folder that TensorFlow Serving reads: versions, or one version."""
    if not os.path.lexists(place):
        return
    if not replace_existing:
        other = "name another version" if is_version(place.name) else f"name a new version, as {place.name}/2"
        raise ConvertError(f"{place}: exists already; choose another place, {other}, or replace it")
    versions = [place] if is_version(place.name) else list(place.iterdir()) if place.is_dir() else []
    if not versions or not all((version / SAVED_MODEL).is_file() for version in versions):
        raise ConvertError(f"{place}: is not replaced, as it holds other things than SavedModels; choose another place")

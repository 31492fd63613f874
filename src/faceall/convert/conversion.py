"""Convert a model: read it, compare, reduce it if wanted, write it, compare again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, cast, get_args

import numpy as np

from faceall.arguments import checked
from faceall.convert.job import Job
from faceall.convert.options import CaffeOptions, ParityOptions, Reduction, SourceOptions
from faceall.convert.parity.crops import FaceCrops, default_crops
from faceall.convert.parity.report import ParityReport
from faceall.convert.passes.projection import ProjectionReport
from faceall.convert.sources.tensorflow.savedmodel import SAVED_MODEL, is_version
from faceall.convert.subject import open_subject
from faceall.convert.targets import Target
from faceall.convert.targets.coreai import SUFFIX as COREAI_SUFFIX
from faceall.convert.targets.coreai import CoreaiOptions
from faceall.convert.targets.coreai.read import PROGRAM
from faceall.convert.targets.coreml import SUFFIXES, CoremlOptions
from faceall.convert.targets.savedmodel import cascade_files
from faceall.errors import ConvertError
from faceall.models import Manifest, ModelFolder, refuse_taken

TargetOptions: TypeAlias = CaffeOptions | CoremlOptions | CoreaiOptions
"""The options of the targets that have any."""

_OPTIONS: dict[Target, type[TargetOptions]] = {
    "caffe": CaffeOptions,
    "coreml": CoremlOptions,
    "coreai": CoreaiOptions,
}

_COMPARED_CROPS = 64
"""The most images of a folder that are compared: the source runs in NumPy, about a second for each."""

_FITTED_CROPS = 10_000
"""The most crops that a projection is fitted on."""


@dataclass(frozen=True)
class Conversion:
    """A finished conversion.

    Attributes
    ----------
    target : Target
        The format that was written.
    path : Path
        The model folder or file.
    manifest : Manifest
        The model's description.
    reports : tuple of ParityReport
        The difference of each step to the step before, in order.
    report_path : Path
        The same reports as JSON, beside the model.
    projection : ProjectionReport or None
        The cost of the smaller embedding; None without a reduction.
    remarks : tuple of str
        Assumptions and other notes, one sentence each.
    assumptions : mapping of str to str
        The parts of an embedder's input that were assumed without evidence ("channels", "standardisation",
        "alignment"), each with a sentence that says what was assumed.
    """

    target: Target
    path: Path
    manifest: Manifest
    reports: tuple[ParityReport, ...]
    report_path: Path
    projection: ProjectionReport | None
    remarks: tuple[str, ...]
    assumptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def report(self) -> ParityReport:
        """The report of the last step, the written model."""
        return self.reports[-1]

    @property
    def folder(self) -> ModelFolder:
        """The model folder.

        Raises
        ------
        ConvertError
            If the target was not Caffe's format.
        """
        if self.target != "caffe":
            raise ConvertError(f"{self.path}: is written as {self.target}, only Caffe's format makes a model folder")
        return ModelFolder.open(self.path)


@checked
def convert(
    source: str | Path,
    destination: str | Path,
    *,
    target: Target | TargetOptions = "caffe",
    reading: SourceOptions | None = None,
    parity: ParityOptions | None = None,
    reduction: Reduction | None = None,
    replace_existing: bool = False,
) -> Conversion:
    """Convert a model into another format and verify that it gives the same embeddings.

    The parity reports are written beside the model, as DESTINATION.parity.json. When a difference exceeds its
    tolerance, only the report is written.

    Parameters
    ----------
    source : str or Path
        A frozen TensorFlow graph (.pb), a checkpoint, a SavedModel, a Keras file, Caffe's files, an ONNX file or a
        model folder. For the target "savedmodel" also a folder with MTCNN's three nets det1, det2 and det3.
    destination : str or Path
        The model folder ("caffe"), a file ("onnx", "coreml" as .mlmodel), an .mlpackage ("coreml"), an
        .aimodel ("coreai") or a folder for TensorFlow Serving ("savedmodel").
    target : {"caffe", "onnx", "coreml", "coreai", "savedmodel"} or CaffeOptions, CoremlOptions, CoreaiOptions
        The format to write, by its name or with its options. By name, Core ML is an ML Program and Core AI a model,
        both in float32, that take images.
    reading : SourceOptions, optional
        How the source is read.
    parity : ParityOptions, optional
        How the conversion is verified.
    reduction : Reduction, optional
        Make the embedding smaller.
    replace_existing : bool
        Whether a model at `destination` may be replaced.

    Returns
    -------
    Conversion
        The written model with its reports.

    Raises
    ------
    NetFormatError
        If the source is damaged.
    UnsupportedGraphError
        If the source has an operation without a counterpart.
    ParityError
        If a difference exceeds its tolerance.
    ConvertError
        If the options do not suit the source or the target.
    ModelError
        If the model cannot be written.
    """
    target, options = _named_target(target)
    reading, parity = reading or SourceOptions(), parity or ParityOptions()
    place = Path(os.path.abspath(destination))
    _refuse_place(place, Path(os.path.abspath(source)), target, options, replace_existing)
    paths = cascade_files(Path(source)) if target == "savedmodel" else ()
    subjects = [open_subject(path, reading) for path in paths or (Path(source),)]
    job, *others = (Job(subject, place, _crops(parity, subject.manifest), parity) for subject in subjects)
    job.compare_file()
    if reduction is not None:
        job.reduce(_fitted_crops(reduction, parity, job.manifest), reduction.size, reading.name)
    if isinstance(options, CaffeOptions):
        job.write_caffe(options, replace_existing=replace_existing)
    elif isinstance(options, CoremlOptions):
        job.write_coreml(options)
    elif isinstance(options, CoreaiOptions):
        job.write_coreai(options)
    elif target == "onnx":
        job.write_onnx()
    else:
        job.write_savedmodel(others)
    remarks = tuple(dict.fromkeys(remark for subject in subjects for remark in subject.remarks))
    return Conversion(
        target,
        Path(destination),
        job.manifest,
        tuple(job.reports),
        job.report_path,
        job.projection,
        remarks,
        subjects[0].assumptions,
    )


def _named_target(target: Target | TargetOptions) -> tuple[Target, TargetOptions | None]:
    """Return the name of a target and its options, None for a target without any."""
    for name, kind in _OPTIONS.items():
        if target == name:
            return name, kind()
        if isinstance(target, kind):
            return name, target
    if target not in get_args(Target):
        raise ConvertError(f"there is no target '{target}'; known targets: {', '.join(get_args(Target))}")
    return cast(Target, target), None


def _crops(parity: ParityOptions, manifest: Manifest) -> FaceCrops:
    """Return the crops to compare on, with the source's embeddings of them where these are given."""
    width, height = manifest.input_size
    crops = parity.crops
    if crops is None:
        return default_crops(manifest.input_size)
    if isinstance(crops, str | Path):
        read = parity.reader(Path(crops), manifest.input_size, _COMPARED_CROPS)
        return replace(read, origin=f"crops from {crops}")
    if crops.ndim != 4 or crops.dtype != np.uint8 or crops.shape[1:] != (height, width, 3) or not len(crops):
        raise ConvertError(
            f"the crops to compare on are {crops.dtype} {crops.shape}, expected uint8 (n, {height}, {width}, 3)"
        )
    return FaceCrops(crops, None, None if parity.expected is None else np.asarray(parity.expected, np.float32))


def _fitted_crops(reduction: Reduction, parity: ParityOptions, manifest: Manifest) -> FaceCrops:
    """Return the crops that a projection is fitted on."""
    if manifest.kind != "embedder":
        raise ConvertError(f"'{manifest.name}' makes no embedding, so it cannot make a smaller one")
    if isinstance(reduction.crops, FaceCrops):
        return reduction.crops
    return parity.reader(Path(reduction.crops), manifest.input_size, _FITTED_CROPS)


def _refuse_place(
    place: Path, source: Path, target: Target, options: TargetOptions | None, replace_existing: bool
) -> None:
    """Fail before the work if the result could not be written to `place`, or would replace anything but a model."""
    if not place.name:
        raise ConvertError(f"{place}: cannot hold a model; name a new file or folder")
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
    suffix, what = ".onnx", "ONNX model"
    if isinstance(options, CoremlOptions):
        suffix, what = SUFFIXES[options.format], f"Core ML {options.format}"
    elif isinstance(options, CoreaiOptions):
        suffix, what = COREAI_SUFFIX, "Core AI model"
    if options is not None and place.suffix != suffix:
        raise ConvertError(f"{place}: a {what} ends in {suffix}, as {place.name}{suffix}")
    if not os.path.lexists(place):
        return
    if not replace_existing:
        raise ConvertError(f"{place}: exists already; choose another place or replace it")
    inside = {".mlpackage": "Manifest.json", COREAI_SUFFIX: PROGRAM}.get(suffix, "")
    is_model = (place / inside).is_file()
    if not is_model or place.suffix != suffix:
        raise ConvertError(f"{place}: is not replaced, as it is not a model ({suffix}); choose another place")


def _refuse_served(place: Path, replace_existing: bool) -> None:
    """Do the same as `_refuse_place` for a folder of TensorFlow Serving: versions, or one version."""
    if not os.path.lexists(place):
        return
    if not replace_existing:
        other = "name another version" if is_version(place.name) else f"name a new version, as {place.name}/2"
        raise ConvertError(f"{place}: exists already; choose another place, {other}, or replace it")
    versions = [place] if is_version(place.name) else list(place.iterdir()) if place.is_dir() else []
    if not versions or not all((version / SAVED_MODEL).is_file() for version in versions):
        raise ConvertError(f"{place}: is not replaced, as it holds other things than SavedModels; choose another place")

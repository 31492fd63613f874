"""Write trained weights as a model folder, through the converter and its parity check."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.caffe import read_net, rounded_to_half, write_caffemodel
from faceall.convert import Conversion, ParityOptions, SourceOptions, convert
from faceall.errors import TrainError
from faceall.models import Manifest, ModelFolder
from faceall.models.folder import write_model_folder
from faceall.models.manifest import CAFFEMODEL, PROTOTXT
from faceall.train.classification import run as classification
from faceall.train.classification.run import train_classifier
from faceall.train.data.shards import open_shard
from faceall.train.distillation import run as distillation
from faceall.train.distillation.run import distill
from faceall.train.options import ClassificationOptions, DistillationOptions, TrainOptions
from faceall.train.run_folder import RunFolder
from faceall.train.training import Loop
from faceall.types import Array

_KINDS: dict[str, type[TrainOptions]] = {
    distillation.KIND: DistillationOptions,
    classification.KIND: ClassificationOptions,
}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a trained net is written.

    Attributes
    ----------
    name : str
        Name of the model.
    source, licence : str
        Origin and terms of the weights, for the manifest. The origin of a run's net is by default the run.
    image_size : int or None
        Side in pixels of the model's images; by default as in the training.
    half : bool
        Store the weights in 16 bits.
    replace_existing : bool
        Replace an existing folder.
    """

    name: str
    source: str = ""
    licence: str = ""
    image_size: int | None = None
    half: bool = False
    replace_existing: bool = False


@checked
def export_model(
    weights: Mapping[str, Array],
    options: TrainOptions,
    destination: Path,
    export: ExportOptions,
    *,
    check: npt.NDArray[np.uint8] | None = None,
) -> Conversion:
    """Write trained weights as a model folder in Caffe's format, after the converter's parity check.

    Parameters
    ----------
    weights : mapping of str to array
        Weights of a net of `options`, by the variables' paths; others, such as those of the loss, are ignored.
    options : TrainOptions
        Options of the training.
    destination : Path
        The new folder.
    export : ExportOptions
        Name, terms and form of the model.
    check : (n, H, W, 3) uint8, optional
        Faces on which the vectors are compared; random images by default.

    Returns
    -------
    Conversion
        The conversion with its parity report.

    Raises
    ------
    TrainError
        If the weights belong to another net.
    ParityError
        If the written model exceeds the tolerance.
    ModelError
        If the folder cannot be written.
    """
    net = options.net(image_size=export.image_size or options.image_size)
    for variable in net.variables:
        if variable.path not in weights:
            raise TrainError(f"the weights lack '{variable.path}': they belong to another net")
        variable.assign(weights[variable.path])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.keras"
        net.save(file)
        done = convert(
            file,
            destination,
            replace_existing=export.replace_existing,
            reading=SourceOptions(standardisation="fixed", name=export.name),
            parity=ParityOptions(crops=check),
        )
    complete(done.folder, source=export.source, licence=export.licence, half=export.half)
    return done


@checked
def run_weights(run: Path, *, last: bool = False) -> tuple[dict[str, Array], TrainOptions, int]:
    """Read the weights of a run's last checkpoint.

    Parameters
    ----------
    run : Path
        The run folder.
    last : bool
        Read the weights of the last step, not their running averages.

    Returns
    -------
    dict of str to array
        The weights by the variables' paths.
    TrainOptions
        Options of the run.
    int
        The step.

    Raises
    ------
    TrainError
        If the folder contains no run or no checkpoint.
    """
    folder = RunFolder(run)
    about, state = folder.about(), folder.latest()
    if state is None:
        raise TrainError(f"{run}: has no checkpoint yet")
    kind = _KINDS.get(about.get("kind", ""))
    if kind is None:
        raise TrainError(f"{run}: is a run of an unknown kind, '{about.get('kind')}'")
    weights = state.weights if last or not state.averages else state.averages
    return dict(weights), kind.from_json(about["options"]), state.step


@checked
def resume_run(run: Path, data: Sequence[Path], *, loop: Loop | None = None) -> None:
    """Resume a run of either kind.

    Parameters
    ----------
    run : Path
        The run folder.
    data : sequence of Path
        The shards of a distillation, or the one folder of people of a classification training.
    loop : Loop, optional
        Measurements, checkpoints and threads.

    Raises
    ------
    TrainError
        If the run cannot be resumed.
    """
    if RunFolder(run).about().get("kind") != classification.KIND:
        distill(run, [open_shard(folder) for folder in data], loop=loop)
        return
    if len(data) != 1:
        raise TrainError(f"{run}: expected one folder of people, got {len(data)}")
    train_classifier(run, data[0], loop=loop)


@checked
def export_run(run: Path, destination: Path, export: ExportOptions, *, last: bool = False) -> Conversion:
    """Write the net of a run's last checkpoint as a model folder.

    Parameters
    ----------
    run : Path
        The run folder.
    destination : Path
        The new folder.
    export : ExportOptions
        Name, terms and form of the model.
    last : bool
        Use the weights of the last step, not their running averages.

    Returns
    -------
    Conversion
        The conversion with its parity report.

    Raises
    ------
    TrainError, ParityError, ModelError
        As `run_weights` and `export_model`.
    """
    weights, options, step = run_weights(run, last=last)
    source = export.source or f"faceall train, {run.name}, step {step}"
    return export_model(weights, options, destination, replace(export, source=source))


def complete(folder: ModelFolder, *, source: str, licence: str, half: bool) -> ModelFolder:
    """Complete a model's manifest, and optionally store its weights in 16 bits.

    Parameters
    ----------
    folder : ModelFolder
        The model.
    source, licence : str
        Origin and terms of the weights.
    half : bool
        Round the weights to 16 bits.

    Returns
    -------
    ModelFolder
        The rewritten model.

    Raises
    ------
    TrainError
        If the folder is incomplete.
    ModelError
        If it cannot be written.
    """
    manifest = replace(folder.manifest, source=source, source_sha256=None, licence=licence)
    files: dict[str, bytes | Path] = {one: (folder.path / one).read_bytes() for one in manifest.files}
    if half:
        net = rounded_to_half(read_net(folder.prototxt, folder.caffemodel))
        files[CAFFEMODEL] = write_caffemodel(net, half=True)
    return _rewritten(folder, manifest, files)


def _rewritten(folder: ModelFolder, manifest: Manifest, files: Mapping[str, bytes | Path]) -> ModelFolder:
    """Replace a model folder."""
    if missing := {PROTOTXT, CAFFEMODEL} - set(files):
        raise TrainError(f"{folder.path}: lacks {', '.join(sorted(missing))}")
    return write_model_folder(folder.path, manifest, files, replace_existing=True)

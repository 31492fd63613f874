"""From trained weights to a model folder: through the converter, with its proof."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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
from faceall.types import Array

_KINDS: dict[str, type[TrainOptions]] = {
    distillation.KIND: DistillationOptions,
    classification.KIND: ClassificationOptions,
}


def export_model(
    weights: Mapping[str, Array],
    options: TrainOptions,
    destination: Path,
    *,
    name: str,
    source: str = "",
    licence: str = "",
    image_size: int | None = None,
    check: npt.NDArray[np.uint8] | None = None,
    half: bool = False,
    replace_existing: bool = False,
) -> Conversion:
    """Write trained weights as a model folder in Caffe's format, after the converter's gate.

    weights      of a net of `options`, by the variables' paths; others, as of the loss, are left out
    destination  the folder to be
    name         the model's name
    source       what the manifest says of where the model comes from
    licence      the terms of the weights
    image_size   rows and columns of its pictures; as in `options` where None
    check        (n, H, W, 3) uint8, faces to compare the vectors on; random pictures where None
    half         store the weights in 16 bits
    returns      the conversion, with the report of the gate

    Raises TrainError where the weights are of another net, ParityError above the gate, ModelError.
    """
    net = options.net(image_size=image_size or options.image_size)
    for variable in net.variables:
        if variable.path not in weights:
            raise TrainError(f"the weights lack '{variable.path}': they are of another net")
        variable.assign(weights[variable.path])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.keras"
        net.save(file)
        done = convert(
            file,
            destination,
            replace_existing=replace_existing,
            reading=SourceOptions(standardisation="fixed", name=name),
            parity=ParityOptions(crops=check),
        )
    complete(done.folder, source=source, licence=licence, half=half)
    return done


def run_weights(run: Path, *, last: bool = False) -> tuple[dict[str, Array], TrainOptions, int]:
    """The weights of a run's last checkpoint, its options, and the step.

    last  those of the step itself, not the running averages

    Raises TrainError where the folder holds no run, or no checkpoint yet.
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


def resume_run(run: Path, data: Sequence[Path], **loop: Any) -> None:
    """Go on with a run of either kind, on its shards or on the one folder of its people. Raises TrainError."""
    if RunFolder(run).about().get("kind") != classification.KIND:
        distill(run, [open_shard(folder) for folder in data], **loop)
        return
    if len(data) != 1:
        raise TrainError(f"{run}: learns from one folder of people, {len(data)} were given")
    train_classifier(run, data[0], **loop)


def export_run(
    run: Path, destination: Path, *, name: str, last: bool = False, source: str = "", **more: Any
) -> Conversion:
    """Write the net of a run's last checkpoint as a model folder; `more` as `export_model` has it."""
    weights, options, step = run_weights(run, last=last)
    return export_model(
        weights, options, destination, name=name, source=source or f"faceall train, {run.name}, step {step}", **more
    )


def complete(folder: ModelFolder, *, source: str, licence: str, half: bool) -> ModelFolder:
    """Write into a model's manifest where it comes from and its terms; with `half`, round its weights to 16 bits."""
    manifest = replace(folder.manifest, source=source, source_sha256=None, licence=licence)
    files: dict[str, bytes | Path] = {one: (folder.path / one).read_bytes() for one in manifest.files}
    if half:
        net = rounded_to_half(read_net(folder.prototxt, folder.caffemodel))
        files[CAFFEMODEL] = write_caffemodel(net, half=True)
    return _rewritten(folder, manifest, files)


def _rewritten(folder: ModelFolder, manifest: Manifest, files: Mapping[str, bytes | Path]) -> ModelFolder:
    if missing := {PROTOTXT, CAFFEMODEL} - set(files):
        raise TrainError(f"{folder.path}: lacks {', '.join(sorted(missing))}")
    return write_model_folder(folder.path, manifest, files, replace_existing=True)

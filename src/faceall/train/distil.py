"""Distillation from the first step to the finished weights, in a run folder that can be taken up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from faceall.convert import Projection
from faceall.errors import TrainError
from faceall.train.augmentation import Augmentation
from faceall.train.backend import import_keras
from faceall.train.checkpoints import Checkpoint
from faceall.train.distillation import (
    DistillationBatches,
    DistillationObjective,
    Targets,
    agreement,
    fit_targets,
    held_out_pictures,
)
from faceall.train.learner import Learner
from faceall.train.nets import ARCHITECTURES
from faceall.train.run_folder import RunFolder
from faceall.train.schedules import Schedule
from faceall.train.shards import Faces, Shard, split
from faceall.train.training import Loop, Measure, train
from faceall.types import Array
from faceall.version import __version__

KIND = "distillation"
PROJECTION = "projection.npy"


@dataclass(frozen=True, kw_only=True)
class DistillationOptions:
    """What a distillation is told; all of it is in run.json.

    architecture    "inception_resnet_v1" or "mobile_facenet"
    width           its channels, in proportion to the published net
    multiple        what they are rounded to a multiple of
    embedding_size  how many numbers the student makes
    image_size      rows and columns of its pictures
    inner           rows and columns of the middle of the crops that the teacher saw
    teacher         whose vectors are learnt
    second          another teacher, for the cosines between faces
    relations       the weight of these cosines
    batch           faces in a batch
    rate            the highest learning rate, of AdamW
    warm_up         over how many steps it rises
    length          how many steps there are; None until it is stopped
    decay           over how many of the last steps the rate falls to nothing
    weight_decay    of AdamW
    augmentation    how much crops may change
    seed            of everything that is random
    """

    architecture: str = "inception_resnet_v1"
    width: float = 0.34
    multiple: int = 8
    embedding_size: int = 128
    image_size: int = 112
    inner: int = 160
    teacher: str = "teacher"
    second: str | None = None
    relations: float = 4.0
    batch: int = 64
    rate: float = 2e-3
    warm_up: int = 300
    length: int | None = None
    decay: int = 0
    weight_decay: float = 0.05
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise TrainError(f"unknown architecture '{self.architecture}'; known: {', '.join(ARCHITECTURES)}")
        if self.batch < 2:
            raise TrainError(f"a batch of {self.batch} has no two faces to compare; expected at least 2")

    @property
    def schedule(self) -> Schedule:
        """The learning rate."""
        return Schedule(rate=self.rate, warm_up=self.warm_up, length=self.length, decay=self.decay)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DistillationOptions:
        """What `to_json` gave. Raises TrainError for unknown options."""
        if unknown := set(values) - {entry.name for entry in fields(cls)}:
            raise TrainError(f"run.json has unknown options: {', '.join(sorted(unknown))}")
        return cls(**{**values, "augmentation": Augmentation(**values["augmentation"])})


def distil(
    folder: Path,
    shards: Sequence[Shard],
    options: DistillationOptions | None = None,
    *,
    initial: Mapping[str, Array] | None = None,
    projection: Projection | None = None,
    **loop: Any,
) -> dict[str, Array]:
    """Begin a distillation in a new folder, or go on with the one in it; the finished weights.

    shards   the faces; other ones than before are taken up from the step on at which the training goes on
    options  needed for a new run; one that goes on has its own
    initial  weights to begin with, by the variables' paths; by chance where absent
    projection  of the teacher's vectors onto the student's; fitted on the faces where absent
    loop     options of `Loop`
    returns  the averaged weights, by the variables' paths

    Raises TrainError, KeyboardInterrupt after SIGINT or SIGTERM; the state is on disk then.
    """
    run = RunFolder(folder)
    if run.exists:
        if options is not None and options.to_json() != run.about()["options"]:
            raise TrainError(f"{folder}: the run there has other options; go on without options, or name a new folder")
    elif options is None:
        raise TrainError(f"{folder}: holds no run to go on with")
    if run.exists:
        return _go_on(run, shards, None, None, None, loop)
    return _go_on(run, shards, options, initial, projection, loop)


def _go_on(
    run: RunFolder,
    shards: Sequence[Shard],
    new: DistillationOptions | None,
    initial: Mapping[str, Array] | None,
    projection: Projection | None,
    loop: Mapping[str, Any],
) -> dict[str, Array]:
    about = run.about() if new is None else {}
    options = new or DistillationOptions.from_json(about["options"])
    teachers = [options.teacher, *([options.second] if options.second else [])]
    faces, held_out = split(shards, seed=options.seed, teachers=teachers)
    resume = run.latest() if new is None else None
    if new is not None:
        about = {"kind": KIND, "faceall": __version__, "options": options.to_json(), "data": []}
        targets = (
            fit_targets(faces, options.teacher, options.embedding_size, second=options.second)
            if projection is None
            else Targets(options.teacher, projection, options.second)
        )
        run.begin(about)
        _store(run.path / PROJECTION, targets.projection)
    else:
        targets = Targets(options.teacher, _load(run.path / PROJECTION), options.second)
    first = _note_data(run, about, faces, resume.step if resume else 0)
    learner = make_learner(options)
    if initial is not None:
        learner.set_weights({**learner.weights(), **initial})
    batches = DistillationBatches(
        faces=faces,
        targets=targets,
        batch=options.batch,
        size=options.image_size,
        inner=options.inner,
        how=options.augmentation,
        seed=options.seed,
        first=first,
    )
    measure = measure_agreement(held_out, targets, options)
    settings = Loop(schedule=options.schedule, **loop)
    averages = train(run, learner, batches, settings, measure=measure, resume=resume)
    return averages.values or learner.weights()


def make_learner(options: DistillationOptions) -> Learner:
    """The student with its objective and optimiser, its weights by chance from the seed."""
    keras = import_keras()
    keras.utils.set_random_seed(options.seed)
    open_size = options.architecture == "inception_resnet_v1"
    net = ARCHITECTURES[options.architecture](
        width=options.width,
        multiple=options.multiple,
        embedding_size=options.embedding_size,
        image_size=None if open_size else options.image_size,
    )
    optimizer = keras.optimizers.AdamW(options.rate, weight_decay=options.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["beta", "bias", "alpha"])
    return Learner(net, DistillationObjective(options.relations), optimizer)


def measure_agreement(held_out: Faces, targets: Targets, options: DistillationOptions) -> Measure | None:
    """What measures a student against the teacher on faces that it never learns from; None where there are few."""
    if len(held_out) < 16:
        return None
    pictures = held_out_pictures(held_out, inner=options.inner, size=options.image_size)
    wanted = targets.of(held_out, np.arange(len(held_out)), np.zeros(len(held_out), bool))[0]

    def measure(embed: Callable[[Array], Array]) -> dict[str, float]:
        return agreement(embed(pictures), wanted)

    return measure


def branch(source: Path, folder: Path, *, steps: int, decay: int | None = None, **changes: Any) -> RunFolder:
    """A new run that goes on from the last checkpoint of another, for `steps` steps, at the end of which it is done.

    source   a run, which stays as it is
    decay    over how many of the last steps the learning rate falls to nothing; over all of them where None
    changes  options that are to be others, as image_size

    Raises TrainError where `source` has no checkpoint or `folder` holds something.
    """
    old, new = RunFolder(source), RunFolder(folder)
    about, state = old.about(), old.latest()
    if state is None:
        raise TrainError(f"{source}: has no checkpoint to go on from")
    options = DistillationOptions.from_json(about["options"])
    options = replace(options, length=state.step + steps, decay=steps if decay is None else decay, **changes)
    new.begin({**about, "options": options.to_json(), "branch_of": {"run": source.name, "step": state.step}})
    from faceall.train.checkpoints import write_checkpoint

    _store(folder / PROJECTION, _load(source / PROJECTION))
    write_checkpoint(new.checkpoints, Checkpoint(state.step, state.weights, state.optimizer, state.averages, {}))
    return new


def _note_data(run: RunFolder, about: dict[str, Any], faces: Faces, step: int) -> int:
    """Write down what is learnt from, from which step on; that step, where the order of these faces begins."""
    data = faces.to_json()
    last = about["data"][-1] if about["data"] else None
    if last is None or last["sha256"] != data["sha256"]:
        last = {"first_step": step, **data}
        about["data"].append(last)
        run.describe({name: value for name, value in about.items() if name != "schema"})
    return int(last["first_step"])


def _store(path: Path, projection: Projection | None) -> None:
    if projection is not None:
        np.save(path, projection.matrix)


def _load(path: Path) -> Projection | None:
    if not path.is_file():
        return None
    try:
        return Projection(np.load(path, allow_pickle=False), 0.0, 0.0, 0)
    except (OSError, ValueError, EOFError) as error:
        raise TrainError(f"{path}: cannot be read: it is damaged") from error

"""Run a distillation in a run folder that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.convert import Projection
from faceall.errors import TrainError
from faceall.train.checkpoints import Checkpoint, write_checkpoint
from faceall.train.data.shards import Faces, Shard, split
from faceall.train.distillation.targets import (
    DistillationBatches,
    DistillationObjective,
    Targets,
    agreement,
    fit_targets,
    held_out_images,
)
from faceall.train.learner import Learner
from faceall.train.options import DistillationOptions
from faceall.train.run_folder import RunFolder
from faceall.train.training import Loop, Measure, Task, train
from faceall.types import Array
from faceall.version import __version__

KIND = "distillation"
PROJECTION = "projection.npy"
MIDDLES = "middles.npy"
FEWEST_HELD_OUT = 16


@checked
def distill(
    folder: Path,
    shards: Sequence[Shard],
    options: DistillationOptions | None = None,
    *,
    initial: Mapping[str, Array] | None = None,
    projection: Projection | None = None,
    begin_with: Path | None = None,
    loop: Loop | None = None,
) -> dict[str, Array]:
    """Start a distillation in a new folder, or resume the one in it.

    Parameters
    ----------
    folder : Path
        The run folder.
    shards : sequence of Shard
        The faces. If they differ from those before, the run uses them from the step at which it resumes.
    options : DistillationOptions, optional
        Needed for a new run; a resumed run has its own.
    initial : mapping of str to array, optional
        Initial weights by the variables' paths; random without.
    projection : Projection, optional
        From the teacher's vectors to the student's, for one teacher; fitted on the faces without.
    begin_with : Path, optional
        A distillation run of the same net whose averaged weights are the initial ones.
    loop : Loop, optional
        Measurements, checkpoints and threads.

    Returns
    -------
    dict of str to array
        The averaged weights by the variables' paths.

    Raises
    ------
    TrainError
        If the run cannot start or resume, or the loss diverges.
    KeyboardInterrupt
        After SIGINT or SIGTERM, once the state is on disk.
    """
    run = RunFolder(folder)
    if run.exists:
        return _continue(run, shards, options, loop)
    if options is None:
        raise TrainError(f"{folder}: contains no run to resume")
    faces, held_out = split(shards, seed=options.seed, teachers=_teachers(options))
    about = {"kind": KIND, "faceall": __version__, "options": options.to_json(), "data": []}
    like = None
    if begin_with is not None:
        like, initial, about["begun_with"] = _learnt(begin_with, shards)
    if projection is None:
        targets = fit_targets(faces, options.teacher, options.embedding_size, second=options.second, like=like)
    else:
        targets = Targets(options.teacher, projection)
    learner = _learner(options)
    if initial is not None:
        learner.set_weights({**learner.weights(), **initial})
    run.begin(about)
    _save_targets(run.path, targets)
    return _Distillation(run, options, learner, targets, faces, held_out).train(loop, None, settle=initial is None)


def _continue(
    run: RunFolder, shards: Sequence[Shard], given: DistillationOptions | None, loop: Loop | None
) -> dict[str, Array]:
    """Resume a run with its own options."""
    about = run.about()
    _check_kind(run.path, about)
    if given is not None and given.to_json() != about["options"]:
        raise TrainError(
            f"{run.path}: the run there has other options; resume it without options, or choose a new folder"
        )
    options = DistillationOptions.from_json(about["options"])
    targets = read_targets(run.path, options)
    faces, held_out = split(shards, seed=options.seed, teachers=_teachers(options))
    return _Distillation(run, options, _learner(options), targets, faces, held_out).train(loop, run.latest())


@dataclass(frozen=True)
class _Distillation:
    """A run with its net, what it learns, and the faces that it learns and is measured on."""

    run: RunFolder
    options: DistillationOptions
    learner: Learner
    targets: Targets
    faces: Faces
    held_out: Faces

    def train(self, loop: Loop | None, resume: Checkpoint | None, *, settle: bool = False) -> dict[str, Array]:
        """Train to the end; `settle` first initialises the statistics of the normalisation layers."""
        options = self.options
        batches = DistillationBatches(
            faces=self.faces,
            targets=self.targets,
            batch=options.batch,
            size=options.image_size,
            inner=options.inner,
            how=options.augmentation,
            seed=options.seed,
            first=self.run.note_data(self.faces.to_json(), resume.step if resume else 0),
        )
        if settle:
            self.learner.settle(batches(0)[0])
        measure = measure_agreement(self.held_out, self.targets, options)
        task = Task(batch=batches, schedule=options.rates, measure=measure)
        averages = train(self.run, self.learner, task, loop, resume=resume)
        return averages.values or self.learner.weights()


def _learnt(folder: Path, shards: Sequence[Shard]) -> tuple[Targets, dict[str, Array], dict[str, Any]]:
    """Read another run: its targets, its averaged weights, and a note for run.json."""
    run = RunFolder(folder)
    about, state = run.about(), run.latest()
    _check_kind(folder, about)
    if state is None:
        raise TrainError(f"{folder}: has no checkpoint to start from")
    options = DistillationOptions.from_json(about["options"])
    for shard in shards:
        if missing := [name for name in _teachers(options) if name not in shard.teachers]:
            raise TrainError(f"shard '{shard.name}' has no vectors of '{missing[0]}', a teacher of {folder}")
    weights = dict(state.averages or state.weights)
    return read_targets(folder, options), weights, {"run": folder.name, "step": state.step}


def _check_kind(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise TrainError unless the run is a distillation."""
    if about.get("kind") != KIND:
        raise TrainError(f"{folder}: is a run of another kind, '{about.get('kind')}'")


def _teachers(options: DistillationOptions) -> list[str]:
    """Return the names of the teachers."""
    return [options.teacher, *([options.second] if options.second else [])]


def _learner(options: DistillationOptions) -> Learner:
    """Create the net with its objective and optimiser."""
    return Learner(options.seeded_net(), DistillationObjective(options.relations), options.optimizer())


def measure_agreement(held_out: Faces, targets: Targets, options: DistillationOptions) -> Measure | None:
    """Create a function that compares the student with the teacher on held-out faces.

    Parameters
    ----------
    held_out : Faces
        Faces outside the training set.
    targets : Targets
        The vectors to reproduce.
    options : DistillationOptions
        Sizes of crops and images.

    Returns
    -------
    Measure or None
        None if there are fewer than `FEWEST_HELD_OUT` faces.
    """
    if len(held_out) < FEWEST_HELD_OUT:
        return None
    images = held_out_images(held_out, inner=options.inner, size=options.image_size)
    wanted = targets.of(held_out, np.arange(len(held_out)), np.zeros(len(held_out), bool))[0]

    def measure(embed: Callable[[Array], Array]) -> dict[str, float]:
        return agreement(np.asarray(embed(images), np.float32), wanted)

    return measure


@checked
def branch(source: Path, folder: Path, *, steps: int, decay: int | None = None, **changes: Any) -> RunFolder:
    """Create a run that continues from the last checkpoint of another for a fixed number of steps.

    Parameters
    ----------
    source : Path
        A distillation run; it is not changed.
    folder : Path
        The new run folder.
    steps : int
        Number of steps.
    decay : int, optional
        Number of last steps in which the learning rate falls to zero; all steps by default.
    **changes
        Options that differ from the source, such as image_size.

    Returns
    -------
    RunFolder
        The new run.

    Raises
    ------
    TrainError
        If `source` is of another kind or has no checkpoint, or `folder` is not empty.
    """
    old, new = RunFolder(source), RunFolder(folder)
    about, state = old.about(), old.latest()
    _check_kind(source, about)
    if state is None:
        raise TrainError(f"{source}: has no checkpoint to continue from")
    options = DistillationOptions.from_json(about["options"])
    decay = steps if decay is None else decay
    options = replace(options, length=state.step + steps, decay=decay, warm_up=0, **changes)
    targets = read_targets(source, options)
    new.begin({**about, "options": options.to_json(), "branch_of": {"run": source.name, "step": state.step}})
    _save_targets(folder, targets)
    write_checkpoint(new.checkpoints, state)
    return new


def read_targets(folder: Path, options: DistillationOptions) -> Targets:
    """Read the targets of a run.

    Parameters
    ----------
    folder : Path
        The run folder.
    options : DistillationOptions
        Options of the run.

    Returns
    -------
    Targets
        What the student learns.

    Raises
    ------
    TrainError
        If a file is missing or damaged.
    """
    matrix, middles = _array(folder / PROJECTION), _array(folder / MIDDLES)
    if options.second is not None and middles is None:
        raise TrainError(f"{folder / MIDDLES}: is missing, but the run has two teachers")
    projection = None if matrix is None else Projection(matrix, float("nan"), float("nan"), 0)
    return Targets(options.teacher, projection, options.second, middles)


def _save_targets(folder: Path, targets: Targets) -> None:
    """Write the fitted arrays into the run folder."""
    if targets.projection is not None:
        np.save(folder / PROJECTION, targets.projection.matrix)
    if targets.middles is not None:
        np.save(folder / MIDDLES, targets.middles)


def _array(path: Path) -> Array | None:
    """Read an array of a run; None if the file does not exist."""
    if not path.is_file():
        return None
    try:
        found: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TrainError(f"{path}: cannot be read; the file is damaged") from error
    return found

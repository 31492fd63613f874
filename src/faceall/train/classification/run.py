"""Run a classification training in a run folder that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from faceall.arguments import checked
from faceall.errors import TrainError
from faceall.train.classification.batches import (
    ClassificationBatches,
    LabelledImages,
    choose_triplets,
    measure_people,
)
from faceall.train.data.people import People, find_people, hold_out
from faceall.train.learner import Learner
from faceall.train.options import ClassificationOptions
from faceall.train.run_folder import RunFolder
from faceall.train.training import Loop, Task, train
from faceall.types import Array
from faceall.version import __version__

KIND = "identification"
"""The kind in run.json; it keeps its first name, so that earlier runs can be resumed."""
TRIPLET_MARGIN = 0.2
HELD_OUT = "held_out.txt"


@checked
def train_classifier(
    folder: Path,
    data: Path,
    options: ClassificationOptions | None = None,
    *,
    initial: Mapping[str, Array] | None = None,
    on_image: Callable[[], None] = lambda: None,
    loop: Loop | None = None,
) -> dict[str, Array]:
    """Start a classification training in a new folder, or resume the one in it.

    Parameters
    ----------
    folder : Path
        The run folder.
    data : Path
        Contains a folder of faces per person, as `faceall align` writes them.
    options : ClassificationOptions, optional
        Needed for a new run; a resumed run has its own.
    initial : mapping of str to array, optional
        Initial weights by the variables' paths; those of another loss are ignored. Random without.
    on_image : callable
        Called for every image that is read.
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
    known = run.about() if run.exists else None
    options = _options(folder, known, options)
    people, held_out = hold_out(
        find_people(data, options.rules, seed=options.seed), options.held_out, seed=options.seed
    )
    images, others = (LabelledImages(part, options.crop_side, on_image) for part in (people, held_out))
    resume = run.latest() if known is not None else None
    learner = Learner(options.seeded_net(), options.objective(len(people.names)), options.optimizer())
    if initial is not None and resume is None:
        own = learner.weights()
        learner.set_weights({**own, **{name: array for name, array in initial.items() if name in own}})
    batches = ClassificationBatches(
        images=images,
        rules=options.rules,
        batch=options.batch,
        people=options.people if options.by_triplets else 0,
        size=options.image_size,
        inner=options.inner,
        how=options.augmentation,
        seed=options.seed,
    )
    if initial is None and resume is None:
        learner.settle(batches(0)[0])
    measure = measure_people(images, others, inner=options.inner, size=options.image_size)
    if known is None:
        run.begin({"kind": KIND, "faceall": __version__, "options": options.to_json(), "data": []})
        _list_held_out(run, held_out)
    run.note_data(people.to_json(), resume.step if resume else 0)
    prepare = _triplets(learner, options) if options.loss == "triplet" else None
    task = Task(batch=batches, schedule=options.rates, measure=measure, prepare=prepare)
    averages = train(run, learner, task, loop, resume=resume)
    return averages.values or learner.weights()


def _list_held_out(run: RunFolder, held_out: People) -> None:
    """Write RUN/held_out.txt, a line NAME/FILE per image."""
    lines = [f"{file.parent.name}/{file.name}\n" for file in held_out.files]
    try:
        (run.path / HELD_OUT).write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise TrainError(f"{run.path / HELD_OUT}: cannot be written ({error.strerror or error})") from error


def _options(
    folder: Path, known: Mapping[str, Any] | None, given: ClassificationOptions | None
) -> ClassificationOptions:
    """Return the options of a new or of a resumed run."""
    if known is None:
        if given is None:
            raise TrainError(f"{folder}: contains no run to resume")
        return given
    if known.get("kind") != KIND:
        raise TrainError(f"{folder}: is a run of another kind, '{known.get('kind')}'")
    if given is not None and given.to_json() != known["options"]:
        raise TrainError(
            f"{folder}: the run there has other options; resume it without options, or choose a new folder"
        )
    return ClassificationOptions.from_json(known["options"])


def _triplets(learner: Learner, options: ClassificationOptions) -> Callable[[int, Array, Any], Any]:
    """Create a function that turns the labels of a batch into triplets, with the current net."""
    margin = TRIPLET_MARGIN if options.margin is None else options.margin

    def prepare(step: int, images: Array, labels: Any) -> Any:
        return choose_triplets(learner.embed, images, labels, margin=margin, seed=options.seed, step=step)

    return prepare

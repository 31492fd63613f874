"""`faceall train`: train an embedder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.training.options import loop_options, net_options
from faceall_cli.console import Console, shown
from faceall_cli.options import output_options
from faceall_cli.records import parity_of

if TYPE_CHECKING:
    from faceall.train import Loop

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEW = click.Path(path_type=Path)


@click.group()
def train() -> None:
    """Train an embedder from a teacher or from people.

    \b
    faceall align PHOTOS FACES                        cut out faces
    faceall train prepare FACES SHARD --teacher NAME  embed them with a teacher
    faceall train distill RUN SHARD...                train a student on that
    faceall train classify RUN FACES --loss arcface   or: train on known people
    faceall train finish RUN END SHARD... --steps 1000  decay the learning rate
    faceall train export END MODEL                    write a model folder

    Needs the extra `train`. A run can be killed at any time; the same command,
    or `resume`, continues it.
    """


@train.command()
@click.argument("faces", metavar="FACES", type=_FOLDER)
@click.argument("shard", metavar="SHARD", type=_NEW)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    required=True,
    metavar="MODEL",
    help="Name of an installed model; repeatable.",
)
@output_options
def prepare(console: Console, faces: Path, shard: Path, teachers: tuple[str, ...]) -> None:
    """Create a training set from crops and teachers' vectors.

    FACES is a folder that `faceall align` wrote. Running the command again continues an interrupted run.
    """
    from faceall import Embedder
    from faceall.train import prepare_shard

    embedders = {Path(name).name: Embedder(name) for name in teachers}
    with console.progress(1, "vectors") as bar:
        made = prepare_shard(faces, shard, embedders, progress=bar.move_to)
    console.record({"path": str(shard), "faces": len(made.crops), "teachers": sorted(made.teachers)})
    console.line(f"{len(made.crops)} faces, vectors by {', '.join(sorted(made.teachers))}: {shown(shard)}")


@train.command()
@click.argument("run", metavar="RUN", type=_NEW)
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=_FOLDER)
@click.option("--teacher", metavar="NAME", help="Name of the teacher. Default: the only one in the shards.")
@click.option("--second", metavar="NAME", help="A second teacher with equal weight.")
@click.option("--relations", type=float, default=4.0, show_default=True, help="Weight of the cosines between faces.")
@click.option(
    "--initialise-from",
    "teacher_graph",
    metavar="FILE.pb",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fit the initial weights of each layer to this FaceNet graph.",
)
@click.option(
    "--initial", type=_FOLDER, metavar="RUN", help="Start from the weights of another distillation of the same net."
)
@net_options
@loop_options
@output_options
def distill(
    console: Console,
    run: Path,
    shards: tuple[Path, ...],
    teacher: str | None,
    teacher_graph: Path | None,
    initial: Path | None,
    how: dict[str, Any],
    loop: Loop,
    **more: Any,
) -> None:
    """Train a student on a teacher's vectors, in the folder RUN."""
    from faceall.train import (
        DistillationOptions,
        common_inner,
        distill,
        initialise_from_teacher,
        only_teacher,
        open_shard,
    )

    if teacher_graph is not None and initial is not None:
        raise click.UsageError("--initialise-from and --initial exclude each other")
    opened = [open_shard(shard) for shard in shards]
    name = teacher or only_teacher(opened)
    options = DistillationOptions(**how, **more, teacher=name, inner=common_inner(opened))
    start = {}
    if teacher_graph is not None and not (run / "run.json").is_file():
        start = initialise_from_teacher(teacher_graph, opened, options, console.remark)
    distill(run, opened, options, **start, begin_with=initial, loop=loop)
    _print_end(console, run)


@train.command()
@click.argument("run", metavar="RUN", type=_NEW)
@click.argument("faces", metavar="FACES", type=_FOLDER)
@click.option(
    "--loss",
    type=click.Choice(["softmax", "center", "arcface", "triplet", "semi-hard"]),
    default="arcface",
    show_default=True,
    help="Loss; `triplet` chooses triplets as facenet does.",
)
@click.option("--margin", type=float, help="For arcface in radians (0.5), for triplets in squared distance (0.2).")
@click.option("--scale", type=float, default=64.0, show_default=True, help="Factor of the cosines.")
@click.option(
    "--center-factor", type=float, default=0.01, show_default=True, help="Weight of the distance to the centres."
)
@click.option(
    "--center-rate", type=float, default=0.05, show_default=True, help="Share of the way that a centre moves in a step."
)
@click.option("--people", type=click.IntRange(2), default=16, show_default=True, help="People per batch of triplets.")
@click.option(
    "--minimum", type=click.IntRange(1), default=1, show_default=True, help="Leave out people with fewer images."
)
@click.option("--maximum", type=click.IntRange(1), help="Draw this many images of people who have more.")
@click.option(
    "--balance",
    type=click.Choice(["none", "people", "repeat"]),
    default="none",
    show_default=True,
    help="Images per epoch: `none`, each once; `people`, each person equally often; `repeat`, images of people with up "
    "to 90 four times and with up to 200 twice.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 0.5),
    default=0.05,
    show_default=True,
    help="Share of the images to measure on instead of training on; listed in RUN/held_out.txt.",
)
@click.option("--initial", type=_FOLDER, metavar="RUN", help="Start from the weights of another run of the same net.")
@net_options
@loop_options
@output_options
def classify(
    console: Console,
    run: Path,
    faces: Path,
    minimum: int,
    maximum: int | None,
    balance: Any,
    initial: Path | None,
    how: dict[str, Any],
    loop: Loop,
    **more: Any,
) -> None:
    """Train a net on the people in FACES/NAME/*.jpg, in RUN."""
    from faceall.train import ClassificationOptions, DatasetRules, crop_sizes, run_weights, train_classifier

    rules = DatasetRules(minimum=minimum, maximum=maximum, balance=balance)
    inner, side = crop_sizes(faces)
    options = ClassificationOptions(**how, **more, rules=rules, inner=inner, side=side)
    train_classifier(run, faces, options, initial=run_weights(initial)[0] if initial else None, loop=loop)
    _print_end(console, run)


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@click.argument("data", metavar="DATA...", nargs=-1, required=True, type=_FOLDER)
@loop_options
@output_options
def resume(console: Console, run: Path, data: tuple[Path, ...], loop: Loop) -> None:
    """Resume a run with its own options.

    DATA are its shards or its folder of people.

    With the same data it ends exactly as if it had never stopped. With other shards it continues on those.
    """
    from faceall.train import resume_run

    resume_run(run, data, loop=loop)
    _print_end(console, run)


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@click.argument("end", metavar="END", type=_NEW)
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=_FOLDER)
@click.option(
    "--steps", type=click.IntRange(1), required=True, help="Number of steps, in which the rate falls to zero."
)
@click.option("--image-size", type=click.IntRange(32), help="Side of the images from here on. Default: as before.")
@loop_options
@output_options
def finish(
    console: Console,
    run: Path,
    end: Path,
    shards: tuple[Path, ...],
    steps: int,
    image_size: int | None,
    loop: Loop,
) -> None:
    """Finish a distillation at a constant rate in a new run.

    RUN can still be resumed. Running the command again continues END.
    """
    from faceall.train import branch, distill, open_shard

    if not (end / "run.json").is_file():
        branch(run, end, steps=steps, **({} if image_size is None else {"image_size": image_size}))
    distill(end, [open_shard(shard) for shard in shards], loop=loop)
    _print_end(console, end)


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@click.argument("model", metavar="MODEL", type=_NEW)
@click.option("--name", metavar="NAME", help="Name of the model. Default: the name of the run.")
@click.option("--licence", default="", help="Licence of the weights, for the manifest.")
@click.option("--source", default="", help="Origin of the model, for the manifest. Default: the run.")
@click.option("--half", is_flag=True, help="Store the weights in 16 bits: half the size, not for Caffe 1.0.")
@click.option("--last", is_flag=True, help="Use the weights of the last step, not their running averages.")
@click.option("--replace", is_flag=True, help="Replace an existing MODEL.")
@output_options
def export(console: Console, run: Path, model: Path, name: str | None, replace: bool, last: bool, **more: Any) -> None:
    """Export the net of a run as a model folder and verify it."""
    from faceall.train import ExportOptions, export_run

    how = ExportOptions(name=name or run.resolve().name, replace_existing=replace, **more)
    done = export_run(run, model, how, last=last)
    console.remark(done.report.to_text())
    console.record({"model": done.manifest.name, "path": str(model), "parity": parity_of(done.report)})
    console.line(f"{done.manifest.name}: {shown(model)}")


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@output_options
def show(console: Console, run: Path) -> None:
    """Show the measurements of a run."""
    from faceall.train import RunFolder

    folder = RunFolder(run)
    folder.about()
    results = folder.results()
    for values in results:
        console.record({"path": str(run), **values})
    if not results:
        console.remark(f"{shown(run)}: no measurement yet")
    names = [name for name in (results[-1] if results else {}) if name != "time"]
    if names:
        console.table([names, *([f"{values.get(name, '')}" for name in names] for values in results)])


def _print_end(console: Console, run: Path) -> None:
    """Print the last measurement of a run."""
    from faceall.train import RunFolder

    results = RunFolder(run).results()
    last = results[-1] if results else {}
    console.record({"path": str(run), **last})
    figures = ", ".join(f"{name} {value}" for name, value in last.items() if name != "time")
    console.line(f"{shown(run)}: {figures or 'no measurement yet'}")

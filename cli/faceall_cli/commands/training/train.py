"""`faceall train`: from faces to an embedder of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from faceall_cli.console import Console, shown
from faceall_cli.options import output_options

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEW = click.Path(path_type=Path)

_NET_OPTIONS = (
    click.option(
        "--architecture",
        type=click.Choice(["inception_resnet_v1", "mobile_facenet"]),
        default="inception_resnet_v1",
        show_default=True,
        help="The net.",
    ),
    click.option(
        "--width", type=float, default=0.34, show_default=True, help="Channels, relative to the published net."
    ),
    click.option(
        "--multiple", type=click.IntRange(1), default=8, show_default=True, help="Round channels to a multiple of this."
    ),
    click.option(
        "--embedding-size", type=click.IntRange(1), default=128, show_default=True, help="Numbers in a vector."
    ),
    click.option("--image-size", type=click.IntRange(32), default=112, show_default=True, help="Side of its pictures."),
    click.option("--batch", type=click.IntRange(2), default=64, show_default=True, help="Faces in a batch."),
    click.option("--rate", type=float, default=1e-3, show_default=True, help="The highest learning rate, of AdamW."),
    click.option(
        "--schedule",
        type=click.Choice(["constant", "cosine", "steps"]),
        default="constant",
        show_default=True,
        help="How the learning rate goes on. A constant one is ended by --decay, or later by `faceall train finish`.",
    ),
    click.option("--steps", "length", type=click.IntRange(1), help="How many steps. Default: until it is stopped."),
    click.option("--warm-up", type=click.IntRange(0), default=200, show_default=True, help="Steps to the full rate."),
    click.option("--decay", type=click.IntRange(0), default=0, help="Last steps, in which the rate falls to nothing."),
    click.option(
        "--milestone", "milestones", type=int, multiple=True, help="Where `steps` falls to a tenth; repeatable."
    ),
    click.option("--weight-decay", type=float, default=0.05, show_default=True, help="Of AdamW."),
    click.option(
        "--momentum",
        type=float,
        default=0.99,
        show_default=True,
        help="Of normalisation's statistics; less for short runs.",
    ),
    click.option(
        "--numbers",
        "policy",
        type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
        default="float32",
        show_default=True,
        help="What is computed in; the smaller ones pay on processors that have them.",
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything that is random."),
)

_CHANGES = tuple(
    click.option(f"--{name}", type=float, help=f"{text} Default: {default}.")
    for name, text, default in (
        ("rotation", "Degrees by which a face is turned, at most.", "8"),
        ("scale-change", "Share by which it grows or shrinks, at most.", "0.08"),
        ("shift", "Share of its side by which it moves, at most.", "0.04"),
        ("flip", "How often it is mirrored.", "0.5"),
        ("light", "Share by which light and contrast change, at most.", "0.25"),
        ("colour", "Share by which colours change, at most.", "0.08"),
        ("gray", "How often it loses its colours.", "0.08"),
        ("blur", "How often it is blurred.", "0.1"),
        ("jpeg", "How often it is compressed.", "0.1"),
    )
)

_LOOP_OPTIONS = (
    click.option("--threads", type=click.IntRange(1), help="Threads that compute. Default: as the backend chooses."),
    click.option("--measure-every", type=click.IntRange(1), default=200, show_default=True, help="In steps."),
    click.option("--save-every", type=float, default=180, show_default=True, help="Between checkpoints, in seconds."),
    click.option("--tensorboard", is_flag=True, help="Write events for TensorBoard into RUN/events."),
)


def _decorated(options: tuple[Any, ...]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _loop_options(command: Any) -> Any:
    """The options of how a training runs, as one argument `loop`."""

    @functools.wraps(command)
    def collected(*args: Any, **values: Any) -> Any:
        threads, tensorboard = values.pop("threads"), values.pop("tensorboard")
        loop = {
            "measure_every": values.pop("measure_every"),
            "checkpoint_every": values.pop("save_every"),
            "tensorboard": tensorboard,
            "progress": not values["quiet"],
        }
        if threads:
            from faceall.train import limit_threads

            limit_threads(threads)
        return command(*args, loop=loop, **values)

    return _decorated(_LOOP_OPTIONS)(collected)


def _net_options(command: Any) -> Any:
    """The options of net, optimiser and changes, as one argument `how` for the options of a training."""
    names = [option.name for option in _params(_NET_OPTIONS)]
    changes = [option.name for option in _params(_CHANGES)]

    @functools.wraps(command)
    def collected(*args: Any, **values: Any) -> Any:
        from faceall.train import Augmentation

        how = {name: values.pop(name) for name in names}
        given = {name.removesuffix("_change"): values.pop(name) for name in changes}
        how["augmentation"] = Augmentation(**{name: value for name, value in given.items() if value is not None})
        return command(*args, how=how, **values)

    return _decorated((*_NET_OPTIONS, *_CHANGES))(collected)


def _params(options: tuple[Any, ...]) -> list[click.Parameter]:
    command = _decorated(options)(lambda: None)
    return list(click.command()(command).params)


@click.group()
def train() -> None:
    """Train an embedder of your own, from a teacher or from people.

    \b
    faceall align PHOTOS FACES                          cut out faces
    faceall train prepare FACES SHARD --teacher NAME    what a teacher makes of them
    faceall train distill RUN SHARD...                  a student learns that
    faceall train people RUN FACES --loss arcface       or: tell people apart, FACES/NAME/*.jpg
    faceall train finish RUN END --steps 1000           let the learning rate fall to nothing
    faceall train export END MODEL                      write a model that faceall runs

    Needs the extra `train`. A run can be killed at any time; the same command, or `resume`, goes on.
    """


@train.command()
@click.argument("faces", metavar="FACES", type=_FOLDER)
@click.argument("shard", metavar="SHARD", type=_NEW)
@click.option(
    "--teacher", "teachers", multiple=True, required=True, metavar="MODEL", help="An installed model; repeatable."
)
@output_options
def prepare(console: Console, faces: Path, shard: Path, teachers: tuple[str, ...]) -> None:
    """Put the crops in FACES and what teachers make of them into SHARD, to learn from.

    FACES is what `faceall align` writes. Running again goes on where it was interrupted.
    """
    from faceall import Embedder
    from faceall.train import prepare_shard

    embedders = {Path(name).name: Embedder(name) for name in teachers}
    with console.progress(1, "vectors") as bar:
        made = prepare_shard(faces, shard, embedders, progress=bar.move_to)
    console.record({"shard": str(shard), "faces": len(made.crops), "teachers": sorted(made.teachers)})
    console.line(f"{len(made.crops)} faces, vectors of {', '.join(sorted(made.teachers))}: {shown(shard)}")


@train.command()
@click.argument("run", metavar="RUN", type=_NEW)
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=_FOLDER)
@click.option("--teacher", metavar="NAME", help="Whose vectors are learnt. Default: the only ones in the shards.")
@click.option("--second", metavar="NAME", help="Another teacher, learnt from as much as the first.")
@click.option("--relations", type=float, default=4.0, show_default=True, help="Weight of the cosines between faces.")
@click.option(
    "--inherit",
    metavar="FILE.pb",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin where this FaceNet graph stands: fit each layer to it, before the first step.",
)
@click.option(
    "--initial", type=_FOLDER, metavar="RUN", help="Begin with what another distillation of the same net has learnt."
)
@_net_options
@_loop_options
@output_options
def distill(
    console: Console,
    run: Path,
    shards: tuple[Path, ...],
    teacher: str | None,
    inherit: Path | None,
    initial: Path | None,
    how: dict[str, Any],
    loop: dict[str, Any],
    **more: Any,
) -> None:
    """Let a student learn a teacher's vectors from faces without names, in the folder RUN."""
    from faceall.train import (
        DistillationOptions,
        common_inner,
        distill,
        initialise_from_teacher,
        only_teacher,
        open_shard,
    )

    if inherit is not None and initial is not None:
        raise click.UsageError("--inherit and --initial exclude each other")
    opened = [open_shard(shard) for shard in shards]
    name = teacher or only_teacher(opened)
    options = DistillationOptions(**how, **more, teacher=name, inner=common_inner(opened))
    start = (
        {}
        if inherit is None or (run / "run.json").is_file()
        else initialise_from_teacher(inherit, opened, options, console.remark)
    )
    distill(run, opened, options, **start, begin_with=initial, **loop)
    _print_end(console, run)


@train.command()
@click.argument("run", metavar="RUN", type=_NEW)
@click.argument("faces", metavar="FACES", type=_FOLDER)
@click.option(
    "--loss",
    type=click.Choice(["softmax", "center", "arcface", "triplet", "semi-hard"]),
    default="arcface",
    show_default=True,
    help="What is learnt; triplet is facenet's choice of triplets.",
)
@click.option("--margin", type=float, help="Of arcface, radians (0.5); of triplets, squared distance (0.2).")
@click.option("--scale", type=float, default=64.0, show_default=True, help="What cosines are multiplied with.")
@click.option("--center-factor", type=float, default=0.01, show_default=True, help="Weight of the centres.")
@click.option("--center-rate", type=float, default=0.05, show_default=True, help="How far a centre goes in a step.")
@click.option("--people", type=click.IntRange(2), default=16, show_default=True, help="People in a batch of triplets.")
@click.option(
    "--minimum", type=click.IntRange(1), default=1, show_default=True, help="Leave out people with fewer pictures."
)
@click.option("--maximum", type=click.IntRange(1), help="Draw so many of people who have more pictures.")
@click.option(
    "--balance",
    type=click.Choice(["none", "people", "repeat"]),
    default="none",
    show_default=True,
    help="What an epoch holds: every picture once, every person as often, or the pictures of people with up to 90 "
    "four times and with up to 200 twice.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 0.5),
    default=0.05,
    show_default=True,
    help="Share of the pictures that is not learnt from but measured on; RUN/held_out.txt lists them.",
)
@click.option("--initial", type=_FOLDER, metavar="RUN", help="Begin with the weights of another run of the same net.")
@_net_options
@_loop_options
@output_options
def people(
    console: Console,
    run: Path,
    faces: Path,
    minimum: int,
    maximum: int | None,
    balance: Any,
    initial: Path | None,
    how: dict[str, Any],
    loop: dict[str, Any],
    **more: Any,
) -> None:
    """Let a net learn to tell people apart, from FACES/NAME/*.jpg, in the folder RUN."""
    from faceall.train import ClassificationOptions, DatasetRules, crop_sizes, run_weights, train_classifier

    rules = DatasetRules(minimum=minimum, maximum=maximum, balance=balance)
    inner, side = crop_sizes(faces)
    options = ClassificationOptions(**how, **more, rules=rules, inner=inner, side=side)
    train_classifier(run, faces, options, initial=run_weights(initial)[0] if initial else None, **loop)
    _print_end(console, run)


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@click.argument("data", metavar="DATA...", nargs=-1, required=True, type=_FOLDER)
@_loop_options
@output_options
def resume(console: Console, run: Path, data: tuple[Path, ...], loop: dict[str, Any]) -> None:
    """Go on with a run, with its own options: DATA are its shards, or the folder of its people.

    With the same data it ends exactly as if it had never stopped; other shards are learnt from as of now.
    """
    from faceall.train import resume_run

    resume_run(run, data, **loop)
    _print_end(console, run)


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@click.argument("end", metavar="END", type=_NEW)
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=_FOLDER)
@click.option("--steps", type=click.IntRange(1), required=True, help="How many, over which the rate falls to nothing.")
@click.option("--image-size", type=click.IntRange(32), help="Side of the pictures from here on. Default: as before.")
@_loop_options
@output_options
def finish(
    console: Console,
    run: Path,
    end: Path,
    shards: tuple[Path, ...],
    steps: int,
    image_size: int | None,
    loop: dict[str, Any],
) -> None:
    """Bring a distillation at a constant rate to its end in a new run END; RUN stays, and can go on.

    Running it again goes on with END where it was interrupted.
    """
    from faceall.train import branch, distill, open_shard

    if not (end / "run.json").is_file():
        branch(run, end, steps=steps, **({} if image_size is None else {"image_size": image_size}))
    distill(end, [open_shard(shard) for shard in shards], **loop)
    _print_end(console, end)


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@click.argument("model", metavar="MODEL", type=_NEW)
@click.option("--name", metavar="NAME", help="The model's name. Default: the run's.")
@click.option("--licence", default="", help="The terms of the weights, for the manifest.")
@click.option("--source", default="", help="Where the model comes from, for the manifest. Default: the run.")
@click.option("--half", is_flag=True, help="Store the weights in 16 bits: half the size, not for Caffe 1.0.")
@click.option("--last", is_flag=True, help="The weights of the last step, not their running averages.")
@click.option("--replace", is_flag=True, help="Replace a model that is at MODEL.")
@output_options
def export(console: Console, run: Path, model: Path, name: str | None, replace: bool, last: bool, **more: Any) -> None:
    """Write the net of a run as a model folder in Caffe's format; the vectors are compared before it is kept."""
    from faceall.train import export_run

    done = export_run(run, model, name=name or run.resolve().name, last=last, replace_existing=replace, **more)
    console.remark(done.report.to_text())
    console.record({"model": done.manifest.name, "path": str(model), "parity": done.report.to_json()})
    console.line(f"{done.manifest.name}: {shown(model)}")


@train.command()
@click.argument("run", metavar="RUN", type=_FOLDER)
@output_options
def show(console: Console, run: Path) -> None:
    """Show how a run went so far."""
    from faceall.train import RunFolder

    folder = RunFolder(run)
    folder.about()
    results = folder.results()
    for values in results:
        console.record(values)
    if not results:
        console.remark(f"{shown(run)}: no measurement yet")
    names = [name for name in (results[-1] if results else {}) if name != "time"]
    if names:
        console.table([names, *([f"{values.get(name, '')}" for name in names] for values in results)])


def _print_end(console: Console, run: Path) -> None:
    from faceall.train import RunFolder

    results = RunFolder(run).results()
    last = results[-1] if results else {}
    console.record({"run": str(run), **last})
    figures = ", ".join(f"{name} {value}" for name, value in last.items() if name != "time")
    console.line(f"{shown(run)}: {figures or 'no measurement yet'}")

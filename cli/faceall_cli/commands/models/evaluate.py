"""`faceall evaluate`: measure the accuracy of embedders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.models.identification import evaluate_open_set, write_open_set
from faceall_cli.console import Console, counted, shown
from faceall_cli.options import output_options

if TYPE_CHECKING:
    from faceall.embed import Embedder
    from faceall.evaluate import Evaluation, ModelResult, Validation

JSON_FILE, HTML_FILE = "evaluation.json", "report.html"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--pairs",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="List of pairs in LFW format or as CSV. Default: pairs.txt in DIR.",
)
@click.option(
    "--protocol",
    type=click.Choice(("lfw", "open-set")),
    default="lfw",
    show_default=True,
    help="lfw: pairs of images. open-set: DIR has one folder per person; searches of known people and strangers.",
)
@click.option("--people", type=click.IntRange(min=2), help="With open-set: number of people in a gallery.")
@click.option("--repeat", type=click.IntRange(min=1), help="With open-set: number of random galleries. Default: 10.")
@click.option("--model", "models", metavar="NAME", multiple=True, help="Embedder name or model folder; repeatable.")
@click.option("--all", "every", is_flag=True, help="Evaluate every installed embedder.")
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(("auto", "float32")),
    multiple=True,
    help="Precision of the nets; repeat for both. Default: auto.",
)
@click.option("--flip", is_flag=True, help="Average the vectors of a face and of its mirror image.")
@click.option("--subtract-mean", is_flag=True, help="Subtract the mean vector of the other folds, as facenet does.")
@click.option("--speed", is_flag=True, help="Also measure faces per second, one and sixteen at a time.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="REPORT_DIR",
    help=f"Write {JSON_FILE} and {HTML_FILE} to this folder, with curves and the worst pairs.",
)
@output_options
def evaluate(
    console: Console,
    folder: Path,
    pairs: Path | None,
    protocol: str,
    people: int | None,
    repeat: int | None,
    models: tuple[str, ...],
    every: bool,
    precisions: tuple[str, ...],
    flip: bool,
    subtract_mean: bool,
    speed: bool,
    out: Path | None,
) -> None:
    """Evaluate embedders on pairs of images (LFW protocol) or on searches (open-set identification).

    The list says for every pair whether it shows one person. Its lines are `NAME i j` or `NAME i NAME j`, for
    NAME/NAME_0001.jpg, or `path,path,same` in a .csv file. Accuracy is measured in ten folds, with a threshold chosen
    on the other folds. VAL is the share of pairs of one person that are accepted at a false-accept rate (FAR). Pairs
    with an image that is missing, unreadable or without a face are left out and counted.

    With --protocol open-set the first image of random people is in a gallery; their second image is searched, and the
    first of all other people, the strangers. FNIR is the share of known people who are not found at the threshold that
    returns a person for the share FPIR of the strangers.
    """
    from faceall.detect import Detector
    from faceall.errors import EvaluationError
    from faceall.evaluate import evaluate_pairs, read_pairs

    if protocol == "open-set":
        if pairs is not None or subtract_mean or speed:
            raise click.UsageError("--pairs, --subtract-mean and --speed: only with --protocol lfw")
        _make_folder(out)
        chosen = list(_embedders(models, every, precisions or ("auto",)))
        result = evaluate_open_set(console, folder, chosen, people=people, repeat=repeat or 10, flip=flip)
        if out is not None:
            write_open_set(console, out, result, json_file=JSON_FILE, html_file=HTML_FILE)
        return
    if people is not None or repeat is not None:
        raise click.UsageError("--people and --repeat: only with --protocol open-set")
    if pairs is None:
        pairs = folder / "pairs.txt"
        if not pairs.exists():
            raise EvaluationError(f"{folder}: contains no pairs.txt; give a list of pairs with --pairs FILE")
    listed = read_pairs(pairs, folder=folder)
    embedders = list(_embedders(models, every, precisions or ("auto",)))
    _make_folder(out)
    with console.progress(0, "images") as bar:
        found = evaluate_pairs(
            listed,
            embedders,
            Detector(),
            flip=flip,
            subtract_mean=subtract_mean,
            speed=speed,
            progress=bar.move_to,
        )
    _print_results(console, found)
    if out is not None:
        _write_report(console, out, found)


def _embedders(models: tuple[str, ...], every: bool, precisions: tuple[Any, ...]) -> Iterator[Embedder]:
    """Yield the selected models in the selected precisions; by default the default embedder."""
    from faceall.embed import Embedder
    from faceall.errors import ModelNotFoundError
    from faceall.models import installed_models

    if every and models:
        raise click.UsageError("--all and --model exclude each other", click.get_current_context())
    chosen: list[Any] = [model.path for model in installed_models("embedder")] if every else list(models) or [None]
    if not chosen:
        raise ModelNotFoundError("no embedder is installed; see: faceall models list")
    for model in dict.fromkeys(chosen):
        for precision in dict.fromkeys(precisions):
            yield Embedder(model, precision=precision)


def _make_folder(folder: Path | None) -> None:
    """Create the folder of the report before the evaluation starts."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{folder}: cannot be created ({error.strerror})") from error


def _print_results(console: Console, found: Evaluation) -> None:
    """Print one row or record per model, and what was left out."""
    from faceall.evaluate import model_as_json

    common = {key: value for key, value in found.to_json().items() if key != "models"}
    for result in found.results:
        console.record({**model_as_json(result), **common})
    console.table(_table(found), right=frozenset(range(2, 11)))
    same = int(found.same.sum())
    console.line(
        f"{counted(len(found.pairs), 'pair')} ({same:,} of one person, {len(found.pairs) - same:,} of two),"
        f" {counted(found.folds, 'fold')}; 95 % intervals in brackets"
    )
    _print_unusable(console, found)
    for validation in found.results[0].scores["squared_l2"].validations:
        if not validation.supported:
            console.remark(f"too few pairs of two people to distinguish a FAR of {validation.wanted:g} from zero")


def _table(found: Evaluation) -> list[tuple[str, ...]]:
    """Return the header and one row per model."""
    rates = [f"VAL @ {validation.wanted:g}" for validation in found.results[0].scores["squared_l2"].validations]
    heading = ["model", "precision", "dimensions", "accuracy", "", *rates, "AUC", "EER", "threshold"]
    if found.results[0].speed:
        heading += ["faces/s", "16 at once"]
    return [tuple(heading), *map(_row, found.results)]


def _row(result: ModelResult) -> tuple[str, ...]:
    """Return the cells of one model."""
    scores = result.scores["squared_l2"]
    low, high = scores.accuracy_interval
    cells = [result.name, result.precision, str(result.size)]
    cells += [f"{scores.accuracy:.4f} ± {scores.deviation:.4f}", f"[{low:.3f}, {high:.3f}]"]
    cells += map(_validation, scores.validations)
    cells += [f"{scores.area:.5f}", f"{scores.equal_error_rate:.4f}", f"{scores.threshold:.3f}"]
    if result.speed:
        cells += [f"{result.speed.alone:.0f}", f"{result.speed.batch:.0f}"]
    return tuple(cells)


def _validation(validation: Validation) -> str:
    """Return a VAL, marked if there are too few pairs for its rate."""
    return f"{validation.value:.4f}{'' if validation.supported else ' ?'}"


def _print_unusable(console: Console, found: Evaluation) -> None:
    """Print every image without a vector, and how many pairs were left out."""
    if not found.left_out:
        return
    for image in found.unusable:
        console.complain(f"faceall: {shown(image.message)}")
    images = counted(len(found.unusable), "image")
    console.complain(f"faceall: {counted(len(found.left_out), 'pair')} left out, {images} without a face vector")
    for result in found.results:
        text = f"accuracy with left-out pairs counted as wrong: {result.accuracy_of_all:.4f}"
        console.line(text if len(found.results) == 1 else f"{text} ({result.name}, {result.precision})")


def _write_report(console: Console, folder: Path, found: Evaluation) -> None:
    """Write the JSON and HTML files."""
    from faceall.evaluate import report_html
    from faceall_cli.files import write_whole

    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / JSON_FILE, text.encode("utf-8", "backslashreplace"))
    write_whole(folder / HTML_FILE, report_html(found).encode("utf-8", "backslashreplace"))
    console.remark(f"wrote {shown(folder / JSON_FILE)} and {shown(folder / HTML_FILE)}")

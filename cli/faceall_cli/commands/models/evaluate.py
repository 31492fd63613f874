"""`faceall evaluate`: measure the accuracy of embedders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.models.identification import (
    evaluate_open_set,
    print_open_set,
    read_search_additions,
    write_open_set,
)
from faceall_cli.commands.models.verification import (
    Models,
    evaluate_listed,
    list_pairs,
    print_verification,
    read_additions,
    write_verification,
)
from faceall_cli.console import Console
from faceall_cli.options import output_options

if TYPE_CHECKING:
    from faceall.embed import Embedder
    from faceall.evaluate import Factor

JSON_FILE, HTML_FILE = "evaluation.json", "report.html"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--pairs",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="List of pairs in LFW format, as .csv, or insightface's .bin with the images. Default: pairs.txt in DIR.",
)
@click.option(
    "--protocol",
    type=click.Choice(("lfw", "cfp-ff", "cfp-fp", "open-set")),
    default="lfw",
    show_default=True,
    help="lfw: a list of pairs. cfp-ff, cfp-fp: the pairs of CFP, whose folder DIR is. open-set: DIR has one folder per"
    " person; searches of known people and strangers.",
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
@click.option("--detector", metavar="NAME", help="mtcnn, or an installed face detector such as yunet. Default: mtcnn.")
@click.option("--flip", is_flag=True, help="Average the vectors of a face and of its mirror image.")
@click.option("--subtract-mean", is_flag=True, help="Subtract the mean vector of the other folds, as facenet does.")
@click.option(
    "--groups",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Lines of `path or person,group`: FMR and FNMR of each group at one threshold, and the worst-to-best ratio;"
    " with open-set FPIR and FNIR.",
)
@click.option(
    "--by",
    "factors",
    type=click.Choice(("age-gap", "size", "pose", "blur")),
    multiple=True,
    help="FMR and FNMR by the time between two photos (EXIF), or by the poorer of two faces; with open-set FPIR and"
    " FNIR; repeatable.",
)
@click.option(
    "--compare",
    "earlier",
    type=click.Path(path_type=Path),
    metavar="REPORT",
    help="Tell whether a model is better than those of an earlier report (its folder or JSON file), by paired tests.",
)
@click.option(
    "--errors",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    metavar="N",
    help="Number of worst pairs or searches of each kind in the report.",
)
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
    detector: str | None,
    flip: bool,
    subtract_mean: bool,
    groups: Path | None,
    factors: tuple[Factor, ...],
    earlier: Path | None,
    errors: int,
    speed: bool,
    out: Path | None,
) -> None:
    """Evaluate embedders on pairs of images (1:1) or on searches (open-set identification, 1:N).

    DIR contains the images, or is a .bin file. The list says for every pair whether it shows one person. Its lines are
    `NAME i j` or `NAME i NAME j`, for NAME/NAME_0001.jpg, or `path,path,same` in a .csv file. FNMR is the share of the
    pairs of one person that are rejected at the threshold that accepts the share FMR of the pairs of two people;
    FMR100, FMR1000 and FMR10000 are the FNMR at an FMR of 1 %, 0.1 % and 0.01 % per comparison. Accuracy and VAL are
    measured in ten folds, as facenet does. Pairs with an image that is missing, unreadable or without a face (failure
    to acquire, FTA) are left out and counted.

    With --protocol open-set the first image of random people is in a gallery; their second image is searched, and the
    first of all other people, the strangers. FNIR is the share of known people who are not found at the threshold that
    returns a person for the share FPIR of the strangers.
    """
    for_pairs = pairs is not None or subtract_mean
    _refuse_idle(protocol, for_pairs=for_pairs, for_searches=people is not None or repeat is not None)
    if protocol == "open-set":
        extra = read_search_additions(groups, factors, earlier)
        chosen = Models(list(_embedders(models, every, precisions or ("auto",))), detector)
        _make_folder(out)
        result = evaluate_open_set(console, folder, chosen, people=people, repeat=repeat or 10, flip=flip, speed=speed)
        result = extra.add_to(result, folder)
        print_open_set(console, result)
        if out is not None:
            write_open_set(console, out, result, json_file=JSON_FILE, html_file=HTML_FILE, worst=errors)
        return
    listed = list_pairs(folder, pairs, protocol)
    additions = read_additions(groups, factors, earlier)
    chosen = Models(list(_embedders(models, every, precisions or ("auto",))), detector)
    _make_folder(out)
    found = evaluate_listed(console, listed, chosen, flip=flip, subtract_mean=subtract_mean, speed=speed)
    found = additions.add_to(found, folder)
    print_verification(console, found)
    if out is not None:
        write_verification(console, out, found, json_file=JSON_FILE, html_file=HTML_FILE, worst=errors)


def _refuse_idle(protocol: str, *, for_pairs: bool, for_searches: bool) -> None:
    """Raise UsageError if an option was given that has no effect with the protocol."""
    if protocol == "open-set" and for_pairs:
        raise click.UsageError("--pairs and --subtract-mean: not with --protocol open-set")
    if protocol != "open-set" and for_searches:
        raise click.UsageError("--people and --repeat: only with --protocol open-set")


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

"""`faceall align`: crop the faces of a folder of photos for training."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall.cores import available_cores
from faceall.signals import stoppable
from faceall_cli.console import Console, counted, shown
from faceall_cli.group import INTERRUPTED, MISTAKE
from faceall_cli.options import PhotosPath, output_options

if TYPE_CHECKING:
    from faceall.train import AlignedPhoto, Alignment

_FINE = frozenset(("aligned", "unchanged"))


@click.command()
@click.argument("photos", metavar="DIR", type=PhotosPath(path_type=Path))
@click.argument("target", metavar="OUT", type=PhotosPath(path_type=Path))
@click.option(
    "--faces",
    type=click.Choice(["central", "surest", "all"]),
    default="central",
    show_default=True,
    help="Faces to crop: the large one near the centre, the one with the highest score, or all.",
)
@click.option(
    "--margin",
    type=click.FloatRange(-0.9, 4),
    help="Total margin around the face box, relative to its size. Default: 0.15, as for FaceNet.",
)
@click.option(
    "--template",
    type=click.Choice(["arcface-112", "openvino-0095"]),
    help="Rotate and scale each face so that its landmarks match a template, as for models with an alignment.",
)
@click.option(
    "--size", type=click.IntRange(8, 1024), default=160, show_default=True, help="Input side of the model in pixels."
)
@click.option(
    "--room",
    type=click.FloatRange(0, 4),
    default=0.15,
    show_default=True,
    help="How much larger crops are than the input, so that training can rotate and shift them; 0 for none.",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["jpg", "png"]),
    default="jpg",
    show_default=True,
    help="File format; jpg has quality 95.",
)
@click.option("--min-face", type=click.IntRange(min=12), default=20, show_default=True, help="Smallest face in pixels.")
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Number of processes. Default: one per core that may be used."
)
@output_options
def align(console: Console, photos: Path, target: Path, workers: int | None, **settings: Any) -> None:
    """Write aligned face crops of the photos in DIR to OUT.

    The folder structure is kept: DIR/Ada/1.jpg becomes OUT/Ada/1.jpg, DIR/Ada/1.png becomes OUT/Ada/1.png.jpg. With
    --faces all the crops are numbered: 1.jpg.1.jpg. OUT/align.jsonl has one line per photo with boxes, scores and
    landmarks; OUT/align.json records the options.

    A second run only processes new and changed photos. Finished crops survive Ctrl-C and a kill.
    """
    from faceall.train import Alignment

    start = time.monotonic()
    with stoppable(terminate=False) as stop:
        alignment = Alignment(
            photos, target, options=_make_options(**settings), workers=workers or available_cores(), stop=stop
        )
        statuses, crops = _print_photos(console, alignment, photos, target)
        _print_summary(console, alignment, statuses, crops, time.monotonic() - start)
    if stop.is_set():
        raise click.exceptions.Exit(INTERRUPTED)
    if not statuses.keys() & _FINE:
        raise click.exceptions.Exit(MISTAKE)


def _make_options(*, margin: float | None, template: str | None, suffix: Any, **others: Any) -> Any:
    from dataclasses import replace

    from faceall.models import FACENET_CROP, Alignment
    from faceall.train import AlignOptions

    if template and margin is not None:
        raise click.ClickException("--margin and --template exclude each other: a template determines the margin")
    rule = FACENET_CROP if margin is None else replace(FACENET_CROP, margin=margin)
    try:
        return AlignOptions(rule=Alignment(template) if template else rule, format=suffix, **others)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _print_photos(console: Console, alignment: Alignment, photos: Path, target: Path) -> tuple[Counter[str], int]:
    """Print every photo; return the number of photos by status, and the number of crops."""
    statuses: Counter[str] = Counter()
    crops = 0
    with console.progress(alignment.total, "photos") as bar:
        for photo in alignment:
            statuses[photo.status] += 1
            crops += len(photo.crops)
            console.record(_as_record(photo, photos, target))
            if console.verbose or photo.status not in _FINE:
                console.line(_as_line(photo))
            bar.step()
    return statuses, crops


def _as_record(photo: AlignedPhoto, photos: Path, target: Path) -> dict[str, Any]:
    """Return the result of one photo as JSON, with the paths of the photo and of its crops."""
    values = photo.to_json()
    crops = [{"path": str(target / crop.pop("file")), **crop} for crop in values["crops"]]
    return {**values, "path": str(photos / photo.path), "crops": crops}


def _as_line(photo: AlignedPhoto) -> str:
    facts = [shown(photo.message)] if photo.message else [counted(len(photo.crops), "crop")]
    return f"{photo.status:<10} {shown(photo.path)}: {', '.join(facts)}"


def _print_summary(console: Console, alignment: Alignment, statuses: Counter[str], crops: int, seconds: float) -> None:
    done = sum(statuses.values())
    parts = ", ".join(f"{number:,} {status}" for status, number in statuses.most_common())
    rate = f" ({done / seconds:,.0f} photos/s)" if done and seconds >= 0.1 else ""
    text = f"{counted(done, 'photo')} in {seconds:.1f} s{rate}: {parts}; {counted(crops, 'crop')} of "
    text += f"{alignment.options.side} x {alignment.options.side} pixels"
    if done < alignment.total:
        text += f"; stopped, {alignment.total - done:,} left for the next run"
    if not console.quiet:
        console.remark(text) if console.as_json else console.line(text)

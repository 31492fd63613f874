"""`faceall align`: cut the faces out of a folder of photos, to train on."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.gallery.photos import stopped_by_ctrl_c
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
    help="Which faces of a photo: the large one near the middle, the one the detector is surest of, or every one.",
)
@click.option(
    "--margin",
    type=click.FloatRange(-0.9, 4),
    help="Added to the face's box in all, in proportion to it. Default: as FaceNet has it, 0.15.",
)
@click.option(
    "--size", type=click.IntRange(8, 1024), default=160, show_default=True, help="Side of what the model sees, pixels."
)
@click.option(
    "--room",
    type=click.FloatRange(0, 4),
    default=0.15,
    show_default=True,
    help="How much larger a crop is than that, for training to turn and shift it; 0 for none.",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["jpg", "png"]),
    default="jpg",
    show_default=True,
    help="The kind of file; jpg has quality 95.",
)
@click.option(
    "--min-face", type=click.IntRange(min=12), default=20, show_default=True, help="Smallest face, in pixels."
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes. Default: one per processor core.")
@output_options
def align(console: Console, photos: Path, target: Path, workers: int | None, **settings: Any) -> None:
    """Cut the faces out of the photos in DIR, all of one size, into OUT.

    Folders are kept: DIR/Ada/1.jpg becomes OUT/Ada/1.jpg, DIR/Ada/1.png becomes OUT/Ada/1.png.jpg; with --faces all
    the crops are numbered, as 1.jpg.1.jpg. OUT/align.jsonl gets a line for every photo, with boxes, scores and
    landmarks, and OUT/align.json says how the crops were made.

    Running again does what is missing or has changed; Ctrl-C and kills lose nothing that is finished.
    """
    from faceall.train import Alignment

    start = time.monotonic()
    with stopped_by_ctrl_c() as stop:
        alignment = Alignment(
            photos, target, options=_options(**settings), workers=workers or os.cpu_count() or 1, stop=stop
        )
        statuses, crops = _print_photos(console, alignment)
        _print_summary(console, alignment, statuses, crops, time.monotonic() - start)
    if stop.is_set():
        raise click.exceptions.Exit(INTERRUPTED)
    if not statuses.keys() & _FINE:
        raise click.exceptions.Exit(MISTAKE)


def _options(*, margin: float | None, suffix: Any, **others: Any) -> Any:
    from dataclasses import replace

    from faceall.models import FACENET_CROP
    from faceall.train import AlignOptions

    rule = FACENET_CROP if margin is None else replace(FACENET_CROP, margin=margin)
    try:
        return AlignOptions(rule=rule, format=suffix, **others)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _print_photos(console: Console, alignment: Alignment) -> tuple[Counter[str], int]:
    """Report every photo; returns how many have each status, and the number of crops."""
    statuses: Counter[str] = Counter()
    crops = 0
    with console.progress(alignment.total, "photos") as bar:
        for photo in alignment:
            statuses[photo.status] += 1
            crops += len(photo.crops)
            console.record(photo.to_json())
            if console.verbose or photo.status not in _FINE:
                console.line(_as_line(photo))
            bar.step()
    return statuses, crops


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
        text += f"; stopped, {alignment.total - done:,} left for the next time"
    if not console.quiet:
        console.remark(text) if console.as_json else console.line(text)

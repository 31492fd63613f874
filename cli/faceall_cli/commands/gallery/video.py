"""`faceall video`: who appears in videos, and when."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.console import Console, counted, rounded, short_path, shown
from faceall_cli.group import MISTAKE
from faceall_cli.memory import share_memory_between_threads
from faceall_cli.options import PhotosPath, gallery_option, make_embedder, model_option, output_options

if TYPE_CHECKING:
    from faceall.gallery import Appearance, Gallery


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=PhotosPath(path_type=Path))
@click.option(
    "--every",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="Time between two frames that are searched; 0 searches all. The first frame of a scene is always searched.",
)
@click.option(
    "--min-face",
    type=click.IntRange(min=12),
    metavar="PIXELS",
    help="Smallest face. Default: 32, or 1/30 of the shorter side of a frame where that is more.",
)
@click.option(
    "--thumbnails",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the best view of each face there, and a contact sheet per video.",
)
@click.option("--register", "registers", is_flag=True, help="Register the faces: those that match a person join them.")
@click.option("--new-people", is_flag=True, help="With --register: group the faces that match no one into new people.")
@model_option
@gallery_option
@output_options
def video(
    console: Console,
    files: tuple[Path, ...],
    every: float,
    min_face: int | None,
    thumbnails: Path | None,
    registers: bool,
    new_people: bool,
    model: str | None,
    gallery: Path | None,
) -> None:
    """Show who of the gallery appears in videos, and when.

    A line per face, from its first to its last frame, with the time of the frame that shows it best. Faces are
    followed from frame to frame; a change of scene ends all. MP4, MOV, AVI, MKV, WebM and others are read, with the
    codecs that OpenCV knows (H.264, HEVC, VP9, MPEG-4, ...).

    With --register the faces become part of the gallery. They join people they match, and start no new ones
    unless --new-people is given. The exit code is 1 if a FILE is missing or cannot be read, after everything else
    was done.
    """
    from faceall.errors import ImageError
    from faceall.gallery.naming.paths import refuse_urls

    if new_people and not registers:
        raise click.UsageError("--new-people: only with --register")
    refuse_urls(files)
    share_memory_between_threads()
    failed = False
    with _opened(gallery, model, registers=registers) as opened:
        for path in files:
            try:
                found = _analysed(console, opened, path, every, min_face, registers=registers, new_people=new_people)
            except ImageError as error:
                console.error(str(error), path)
                failed = True
                continue
            _print(console, path, found)
            if thumbnails is not None and found:
                from faceall.gallery.contact_sheet import write_thumbnails

                for written in write_thumbnails(found, thumbnails):
                    console.remark(f"wrote {shown(written)}")
    if failed:
        raise click.exceptions.Exit(MISTAKE)


def _opened(gallery: Path | None, model: str | None, *, registers: bool) -> AbstractContextManager[Gallery]:
    """Open the gallery; it is created only to register in it."""
    from faceall.gallery import Gallery, open_to_fill

    if registers and model is None:
        return open_to_fill(gallery)
    return Gallery.open(gallery, embedder=make_embedder(model), read_only=not registers)


def _analysed(
    console: Console,
    opened: Gallery,
    path: Path,
    every: float,
    min_face: int | None,
    *,
    registers: bool,
    new_people: bool,
) -> Sequence[Appearance]:
    """Search or register one video."""
    with console.progress(0, "seconds") as bar:

        def show(seconds: float, duration: float | None) -> None:
            bar.move_to(int(seconds), None if duration is None else int(duration))

        options: dict[str, Any] = {"every": every, "min_face": min_face, "progress": show}
        if not registers:
            return opened.search_video(path, **options)
        found = opened.register_video(path, new_people=new_people, **options)
    console.remark(f"{found.result.status} {shown(short_path(path))}: {counted(len(found.appearances), 'face')}")
    return found.appearances


def _print(console: Console, path: Path, found: Sequence[Appearance]) -> None:
    """Print a line per face, and who is in the video."""
    for one in found:
        console.record(appearance_record(path, one))
        sure = f", {one.decision}" if one.person and one.decision else ""
        far = "" if one.distance is None else f", distance {one.distance:.3f}"
        times = f"{clock(one.start)} - {clock(one.end)}"
        console.line(f"{short_path(path)}  {times}  {shown(one.person or 'unknown')}{sure}{far}")
    if not found:
        console.line(f"{short_path(path)}: no face found")


def appearance_record(path: Path, one: Appearance) -> dict[str, Any]:
    """Return an appearance as JSON; times are in seconds from the start of the video."""
    values = {name: value for name, value in asdict(one).items() if name in ("person", "decision", "face_id")}
    return {
        "path": str(path),
        "person": values.pop("person"),
        "from": round(one.start, 3),
        "to": round(one.end, 3),
        "best_frame": round(one.best_frame, 3),
        "score": round(one.score, 6),
        "box": rounded(one.box),
        "distance": None if one.distance is None else round(one.distance, 6),
        **values,
    }


def clock(seconds: float) -> str:
    """Format a time of a video: 1:02:03.5."""
    minutes, rest = divmod(round(max(seconds, 0.0), 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"

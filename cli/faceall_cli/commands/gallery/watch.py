"""`faceall watch`: keep the gallery up to date with folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall.signals import stoppable
from faceall_cli.commands.gallery.register import result_line, result_record
from faceall_cli.console import Console, short_path
from faceall_cli.memory import share_memory_between_threads
from faceall_cli.options import PhotosPath, gallery_option, output_options

if TYPE_CHECKING:
    from faceall.gallery import NamesFrom


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=PhotosPath(path_type=Path))
@click.option(
    "--names-from",
    type=click.Choice(["auto", "folders", "files", "xmp", "none"]),
    default="auto",
    show_default=True,
    help="Where names come from, as for register.",
)
@click.option(
    "--poll",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Look every so many seconds: for network drives, which send no events.",
)
@gallery_option
@output_options
def watch(
    console: Console, folders: tuple[Path, ...], names_from: NamesFrom, poll: float | None, gallery: Path | None
) -> None:
    """Register the photos of folders, and each new, changed or moved one as it appears, until Ctrl-C.

    Only the folders that you name are watched. What is printed is on the disk. Photos that are removed are reported,
    also those that were removed before the start, and keep their faces; `faceall remove --missing` removes them. A
    folder that disappears is reported, and watched again when it returns. Events need faceall[watch]; without it the
    folders are searched every ten seconds.
    """
    from faceall.gallery import Gallery
    from faceall.gallery.registration.watching import SECONDS, events_available

    share_memory_between_threads()
    with Gallery.open(gallery) as opened, stoppable() as stop:
        seconds = poll or (None if events_available() else SECONDS)
        how = f", looking every {seconds:g} seconds" if seconds else ""
        console.remark(f"watching {', '.join(map(short_path, folders))}{how}; Ctrl-C ends it")
        for result in opened.watch(folders, names_from=names_from, poll=poll, stop=stop):
            console.record(result_record(result))
            console.line(result_line(result))

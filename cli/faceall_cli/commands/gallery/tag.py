"""`faceall tag`: write the names of faces to XMP sidecars."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from faceall_cli.console import Console, counted, short_path, shown
from faceall_cli.group import MISTAKE
from faceall_cli.options import PhotosPath, gallery_option, output_options


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=PhotosPath(path_type=Path))
@click.option(
    "--write",
    type=click.Choice(["sidecar", "none"]),
    default="sidecar",
    show_default=True,
    help="Where to write: sidecars beside the photos, or nowhere.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be written; the same as --write none.")
@gallery_option
@output_options
def tag(console: Console, paths: tuple[Path, ...], write: str, dry_run: bool, gallery: Path | None) -> None:
    """Write the names of the gallery to XMP sidecars, for digiKam, Lightroom and other programs.

    The photos themselves are never changed. photo.jpg.xmp is written, or photo.xmp extended if that exists; what other
    programs wrote there is kept. A name that faceall wrote follows the gallery; running it again changes nothing. PATHs
    limit it to photos and folders. `faceall register --names-from xmp` reads the names.
    """
    from faceall.gallery import Gallery

    statuses: Counter[str] = Counter()
    with Gallery.open(gallery, read_only=True) as opened:
        for found in opened.photos.tag(paths, write=write == "sidecar" and not dry_run):
            statuses[found.status] += 1
            record = {"path": str(found.path), "sidecar": str(found.sidecar), "status": found.status}
            console.record({**record, "people": list(found.people), "message": found.message})
            if console.verbose or found.status != "unchanged":
                text = found.message or ", ".join(found.people)
                console.line(f"{found.status:<11} {short_path(found.sidecar)}: {shown(text)}")
    parts = ", ".join(f"{number:,} {status}" for status, number in statuses.most_common())
    console.remark(f"{counted(sum(statuses.values()), 'photo')} with named faces" + (f": {parts}" if parts else ""))
    if statuses["failed"]:
        raise click.exceptions.Exit(MISTAKE)

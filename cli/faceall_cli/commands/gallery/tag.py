"""`faceall tag`: write the names of faces to XMP sidecars."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.gallery.people import open_existing, open_to_export
from faceall_cli.console import Console, counted, short_path, shown
from faceall_cli.group import MISTAKE
from faceall_cli.options import PhotosPath, gallery_option, output_options

if TYPE_CHECKING:
    from faceall.gallery import Gallery, TaggedPhoto


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
    programs wrote there is kept. A name that faceall wrote follows the gallery: it is changed or removed there when the
    gallery has another name or none, and a sidecar with nothing else is deleted. For a face that another program names
    differently nothing is written; both names are reported. If the XMP in a photo has regions, a new sidecar repeats
    them, as programs then read only the sidecar; if it names all faces already, no sidecar is written. Running it again
    changes nothing. PATHs limit it to photos and folders. `faceall register --names-from xmp` reads the names.
    """
    writes = write == "sidecar" and not dry_run
    found: list[TaggedPhoto] = []
    with _open(gallery, writes=writes) as opened:
        for photo in opened.photos.tag(paths, write=writes):
            found.append(photo)
            console.record(_record(photo))
            if console.verbose or photo.status != "unchanged" or photo.message:
                place = photo.path if photo.status == "unchanged" and not photo.sidecar.exists() else photo.sidecar
                console.line(f"{photo.status:<12} {short_path(place)}: {shown(_text(photo))}")
    console.remark(_summary(found, writes=writes))
    if any(photo.status == "failed" for photo in found):
        raise click.exceptions.Exit(MISTAKE)


def _open(gallery: Path | None, *, writes: bool) -> Gallery:
    """Open a gallery; writable if possible, so that its sidecars can say which gallery wrote them."""
    from faceall.gallery import Gallery

    if not writes:
        return Gallery.open(gallery, read_only=True)
    opened = open_to_export(gallery)
    if opened.place == str(opened.folder):
        return opened
    opened.close()  # Milvus, opened for reading
    return open_existing(gallery)


def _record(photo: TaggedPhoto) -> dict[str, Any]:
    """Return what became of one sidecar as JSON."""
    return {
        "path": str(photo.path),
        "sidecar": str(photo.sidecar),
        "status": photo.status,
        "people": list(photo.people),
        "message": photo.message,
        "removed": list(photo.removed),
        "conflicts": [asdict(conflict) for conflict in photo.conflicts],
    }


def _text(photo: TaggedPhoto) -> str:
    """Return the names that a sidecar has and has lost, and what is to be done."""
    if photo.status == "failed":
        return photo.message or ""
    differing = {conflict.gallery for conflict in photo.conflicts}
    names = ", ".join(name for name in photo.people if name not in differing)
    lost = f"without {', '.join(photo.removed)}" if photo.removed else ""
    return "; ".join(filter(None, (names, lost, photo.message)))


def _summary(found: list[TaggedPhoto], *, writes: bool) -> str:
    """Return the numbers of a run."""
    named = [photo for photo in found if photo.people or photo.status == "failed"]
    statuses = Counter(photo.status for photo in named)
    text = f"{counted(len(named), 'photo')} with named faces"
    if statuses:
        text += ": " + ", ".join(f"{number:,} {status}" for status, number in statuses.most_common())
    if lost := sum(bool(photo.removed) for photo in found):
        text += f"; names {'removed' if writes else 'to be removed'} from {counted(lost, 'sidecar')}"
    if differing := sum(bool(photo.conflicts) for photo in found):
        text += f"; names of another program differ in {counted(differing, 'photo')}"
    return text

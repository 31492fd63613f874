"""`faceall remove` and `faceall status`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall_cli.commands.gallery.people import open_existing
from faceall_cli.commands.gallery.receipts import proof_of, receipt_of
from faceall_cli.console import Console, counted, short_path, shown
from faceall_cli.options import (
    confirm,
    gallery_option,
    output_options,
    yes_option,
)

if TYPE_CHECKING:
    from faceall.gallery import Gallery, MatchThreshold, Removal

_MAX_TARGETS = 5


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="PATH|FACE_ID...")
@click.option("--missing", is_flag=True, help="Only photos in the folders PATH whose files do not exist any more.")
@yes_option
@gallery_option
@output_options
def remove(console: Console, targets: tuple[str, ...], missing: bool, yes: bool, gallery: Path | None) -> None:
    """Remove photos (by path or folder) or faces (by id).

    Vectors and thumbnails are deleted permanently. The photo files are kept. `faceall search` prints the ids of faces.
    A number is the id of a face; write ./7 for a photo with that name. Files with the same content are one photo.
    """
    from faceall.gallery.naming.paths import refuse_urls

    refuse_urls(targets)
    with open_existing(gallery) as opened:
        if missing:
            _remove_missing(console, opened, tuple(dict.fromkeys(map(os.path.abspath, targets))), yes)
            return
        confirm(lambda: f"remove from the gallery, permanently: {_contents(opened, targets)}", yes)
        _remove_each(console, opened, targets)


def _remove_missing(console: Console, opened: Gallery, folders: Sequence[str], yes: bool) -> None:
    """Remove the missing photos of folders; of none if one of them is refused."""
    confirm(lambda: f"remove from the gallery, permanently: {_missing_contents(opened, folders)}", yes)
    for folder in folders:  # after the answer, which may take as long as it takes to disconnect a drive
        opened.photos.missing(folder)
    for folder in folders:
        _report(console, opened.photos.remove_missing(folder), folder, "missing photo")


def _remove_each(console: Console, opened: Gallery, targets: Sequence[str]) -> None:
    """Remove photos and faces."""
    removed: dict[Path, str] = {}
    for target in targets:
        if _is_face(target):
            removal = opened.faces.remove([int(target)])
            console.record({"face_id": int(target), "removed": True, "receipt": receipt_of(removal)})
            console.line(f"removed face {target}{proof_of(removal)}")
        elif (twin := removed.get(Path(os.path.abspath(target)))) is not None:
            console.record({"path": os.path.abspath(target), "photos": 0, "removed_with": os.path.abspath(twin)})
            console.line(f"removed already: {short_path(target)} has the same content as {short_path(twin)}")
        else:
            removal = opened.photos.remove(target)
            removed.update((path, target) for path in removal.paths)
            _report(console, removal, target, "photo")


def _report(console: Console, removal: Removal, target: str, noun: str) -> None:
    """Report the photos that were removed with a path."""
    photos = len(removal.photos)
    console.record({"path": os.path.abspath(target), "photos": photos, "receipt": receipt_of(removal)})
    console.line(f"removed {counted(photos, noun)}: {short_path(target)}{proof_of(removal)}")


def _missing_contents(gallery: Gallery, folders: Sequence[str]) -> str:
    """Return how many photos of each folder are removed, and how many there are."""
    counts = ((len(gallery.photos.missing(one)), len(gallery.photos.below(one)), short_path(one)) for one in folders)
    return ", ".join(f"{gone:,} of {counted(photos, 'photo')} in {folder}" for gone, photos, folder in counts)


def _contents(gallery: Gallery, targets: Sequence[str]) -> str:
    """Return what is removed with some targets, with counts, for the question whether to go on."""
    faces = {int(target) for target in targets if _is_face(target)}
    photos = {
        photo.photo_id: photo for target in targets if not _is_face(target) for photo in gallery.photos.below(target)
    }
    faces |= {face.face_id for photo in photos.values() for face in photo.faces}
    names = ", ".join(shown(target) for target in targets[:_MAX_TARGETS])
    more = f" and {len(targets) - _MAX_TARGETS} more" if len(targets) > _MAX_TARGETS else ""
    return f"{counted(len(photos), 'photo')} and {counted(len(faces), 'face')} ({names}{more})"


def _is_face(target: str) -> bool:
    """Return whether a target is the id of a face; refuse a number that is also the name of a file."""
    if not (target.isdecimal() and len(target) < 19):
        return False
    if os.path.lexists(target):
        raise click.ClickException(
            f"{target} is the id of a face and the name of a file; write ./{target} for the file"
        )
    return True


@click.command()
@gallery_option
@output_options
def status(console: Console, gallery: Path | None) -> None:
    """Show the size of the gallery and missing files."""
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        found, detector = opened.status(), opened.detector
        threshold = _threshold_of(opened)
    values = {k: v for k, v in asdict(found).items() if k != "folder"}
    judged = None if threshold is None else threshold.to_json()
    console.record({"path": str(found.folder), **values, "detector": detector, "threshold": judged})
    console.line(f"{shown(found.folder)}: " + (f"{found.size / 1e6:,.1f} MB" if found.size else "on a server"))
    console.line(f"{counted(found.faces, 'face')} of {counted(found.people, 'person', 'people')}")
    console.line(f"{counted(found.photos, 'photo')} in {counted(found.files, 'file')}")
    for number, what in (
        (found.unnamed, "faces without a name"),
        (found.without_face, "photos without a face"),
        (found.unreadable, "unreadable photos"),
        (found.too_large, "photos that are too large"),
        (found.vanished, "missing files; their faces are kept (`faceall remove --missing FOLDER` removes them)"),
    ):
        if number:
            console.line(f"{number:,} {what}")
    if found.model:
        console.line(f"made with {found.model}, {found.dimension} dimensions; detector {detector}")
        if found.graph != "none":
            console.line(_describe_graph(found.graph))
        console.line(_describe_threshold(threshold))


def _describe_graph(graph: str) -> str:
    """Describe the search graph, which is not used where hnswlib cannot be."""
    from faceall.index.graph.graph import why_no_graphs

    if reason := why_no_graphs():
        return f"search graph not used, because {reason}; every search is exact"
    kind = "projected vectors, a quarter of their size" if graph == "projected" else "whole vectors"
    return f"search graph of {kind}; distances are exact"


def _threshold_of(opened: Gallery) -> MatchThreshold | None:
    """Return the threshold of searches; None if no model with one is installed."""
    from faceall.errors import FaceallError

    try:
        return opened.match_threshold
    except FaceallError:
        return None


def _describe_threshold(threshold: MatchThreshold | None) -> str:
    """Describe the threshold of searches with its interval."""
    if threshold is None:
        return "searches have no threshold: that of the model is not known, and fewer than 20 people have a name"
    if threshold.fpir is None:
        rate = threshold.false_accept_rate
        aim = "" if rate is None else f", for a false match rate of {rate:g} per comparison"
        return f"match: distance up to {threshold.distance:.3f}{aim}"
    low, high = threshold.interval or (threshold.distance, threshold.distance)
    source = "the scores of the model" if threshold.origin == "model" else "the scores of model and gallery"
    people = counted(threshold.people or 0, "person", "people")
    return (
        f"match: distance up to {threshold.distance:.3f} [{low:.3f}, {high:.3f}], possible: up to "
        f"{threshold.possible:.3f} (FPIR {threshold.fpir:.2%} with {people}, from {source})"
    )

"""Export a gallery, or some of its people, as a bundle; the format is in docs/explanation/gallery-bundle.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faceall.errors import IndexFileError
from faceall.gallery.bundle.archive import written_archive
from faceall.gallery.bundle.reader import MOST_FACES
from faceall.gallery.people.names import find_person
from faceall.gallery.records.bundles import BundleFace, BundlePerson, Contents, list_json, manifest_json
from faceall.gallery.records.checks import FlawError, check_vectors
from faceall.gallery.records.corrections import CORRECTIONS, Corrections
from faceall.gallery.store import GallerySnapshot, Store
from faceall.models import ModelFolder
from faceall.version import __version__


@dataclass(frozen=True)
class BundleExport:
    """The numbers of people and faces in a bundle, and its size in bytes."""

    path: Path
    people: int
    faces: int
    size: int


def export_bundle(
    store: Store,
    model: ModelFolder,
    path: Path,
    *,
    people: Sequence[str] | None = None,
    threshold: float | None = None,
    replace: bool = False,
) -> BundleExport:
    """Write a gallery as a bundle; the same gallery gives the same bytes.

    Parameters
    ----------
    store : Store
        The gallery.
    model : ModelFolder
        The embedder that made the vectors.
    path : Path
        The bundle to write.
    people : sequence of str, optional
        Export only the faces of these people; None: all faces, including unassigned ones.
    threshold : float, optional
        The largest squared distance of a match, None if unknown.
    replace : bool
        Replace an existing file.

    Returns
    -------
    BundleExport
        What was written.

    Raises
    ------
    UnknownPersonError
        One of the people does not exist.
    IndexFileError
        The file exists already or cannot be written, or there are too many faces.
    """
    with read_gallery(store, people) as gallery:
        check_count(path, len(gallery.faces))
        contents = Contents(model, threshold, gallery.people, gallery.faces, gallery.vectors)
        parts = {
            "people.json": list_json(contents.people),
            "faces.json": list_json(contents.faces),
            "vectors.f32": contents.vectors.astype("<f4", copy=False).tobytes(),
        }
        if corrections := gallery.corrections.to_bytes():
            parts[CORRECTIONS] = corrections
        _check(contents, parts, path)
        sums = {name: _sum(data) for name, data in parts.items()}
        for number, face in enumerate(contents.faces):
            sums[face.thumbnail] = _sum(gallery.thumbnail(number))
        with written_archive(path, replace=replace) as archive:
            archive.add("manifest.json", manifest_json(contents, sums, f"faceall {__version__}"))
            for name, data in parts.items():
                archive.add(name, data)
            for number, face in enumerate(contents.faces):
                archive.add(face.thumbnail, gallery.thumbnail(number))
    return BundleExport(path, len(contents.people), len(contents.faces), path.stat().st_size)


def check_count(path: Path, faces: int) -> None:
    """Raise IndexFileError if a bundle cannot hold so many faces."""
    if faces > MOST_FACES:
        raise IndexFileError(
            f"{path}: a bundle holds at most {MOST_FACES:,} faces, these are {faces:,}: export fewer people"
            " (--people NAME), or use faceall index export"
        )


@contextmanager
def read_gallery(store: Store, people: Sequence[str] | None = None) -> Iterator[GallerySnapshot]:
    """Read one snapshot of all faces, or those of some people.

    Raises
    ------
    UnknownPersonError
        One of the people does not exist.
    NotSupportedError
        The gallery's backend has no bundles.
    """
    with store.reading():
        chosen = None if people is None else {find_person(store, name) for name in people}
        with store.bundles.snapshot(chosen) as found:
            yield found


def _check(contents: Contents, parts: dict[str, bytes], path: Path) -> None:
    """Refuse to write what a reader would refuse."""
    try:
        for values in json.loads(parts["people.json"]):
            BundlePerson.from_json(values)
        for values in json.loads(parts["faces.json"]):
            BundleFace.from_json(values)
        check_vectors(contents.vectors)
        if CORRECTIONS in parts:
            Corrections.from_bytes(parts[CORRECTIONS])
    except FlawError as error:
        raise IndexFileError(f"{path}: the gallery holds data that a bundle cannot: {error}") from error


def _sum(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()

"""Give the names of regions to the stored faces that they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceall.gallery.metadata.regions import Region, overlap
from faceall.gallery.naming import fitting_name
from faceall.gallery.records import StoredFace, StoredPhoto
from faceall.gallery.store import Store
from faceall.types import Face

LEAST_OVERLAP = 0.2
"""Intersection over union from which a region and a face are the same; programs draw faces more or less closely."""


def match_regions(photo: StoredPhoto, regions: Sequence[Region]) -> list[tuple[StoredFace, Region]]:
    """Pair faces and regions that overlap, the best pairs first; each is used once."""
    if not photo.width or not photo.height:
        return []
    pairs = sorted(
        (
            (overlap(relative_box(face, photo), region.box), face.face_id, number)
            for face in photo.faces
            for number, region in enumerate(regions)
        ),
        reverse=True,
    )
    faces = {face.face_id: face for face in photo.faces}
    found: list[tuple[StoredFace, Region]] = []
    free = set(range(len(regions)))
    for shared, face_id, number in pairs:
        if shared >= LEAST_OVERLAP and face_id in faces and number in free:
            found.append((faces.pop(face_id), regions[number]))
            free.discard(number)
    return found


def relative_box(face: StoredFace | Face, photo: StoredPhoto) -> tuple[float, float, float, float]:
    """Return the box of a face as shares of the width and height of its photo, within it."""
    width, height = photo.width or 1, photo.height or 1
    x0, y0, x1, y1 = map(float, face.box)
    return max(0.0, x0 / width), max(0.0, y0 / height), min(1.0, x1 / width), min(1.0, y1 / height)


def name_faces(store: Store, digest: bytes, regions: Sequence[Region]) -> NamedFaces:
    """Assign the faces of a photo that have no name to the people of its regions, as a part of a change of `store`.

    Parameters
    ----------
    store : Store
        Where the photo is.
    digest : bytes
        Its SHA-256.
    regions : sequence of Region
        Its regions, relative to the upright image.

    Returns
    -------
    NamedFaces
        Who was named, the name of the primary face if it was one of them, and the names without a face.
    """
    known = store.photos.of(digest) if regions else None
    if known is None:
        return NamedFaces()
    unmatched = list(regions)
    names, primary = [], None
    with store.changing():
        (photo,) = store.photos.stored([known.id])
        for face, region in match_regions(photo, regions):
            unmatched.remove(region)
            name = fitting_name(region.name)
            if name and (face.person is None or not face.named):
                store.faces.assign([face.face_id], store.people.make(name))
                names.append(name)
                primary = name if face.primary else primary
    others = () if known.stale else tuple(region.name for region in unmatched)  # stale faces are not compared
    return NamedFaces(tuple(names), primary, others)


@dataclass(frozen=True)
class NamedFaces:
    """Who was named on a photo: the names, that of the primary face if it is one of them, and those without a face."""

    names: tuple[str, ...] = ()
    primary: str | None = None
    unmatched: tuple[str, ...] = ()

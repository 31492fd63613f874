"""Make the regions of an XMP document follow the gallery, keeping what other programs wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceall.gallery.metadata.matching import LEAST_OVERLAP
from faceall.gallery.metadata.regions import Box, Region, overlap
from faceall.gallery.metadata.writing import Entry, RegionDocument
from faceall.gallery.naming import fitting_name


@dataclass(frozen=True)
class NameConflict:
    """A face that another program's region names differently.

    Attributes
    ----------
    sidecar : str
        The name that the other program wrote; it is kept.
    gallery : str
        The name in the gallery; it is not written.
    """

    sidecar: str
    gallery: str


@dataclass(frozen=True)
class Revision:
    """What became of an XMP document.

    Attributes
    ----------
    content : bytes or None
        The new document; None if nothing changed.
    is_empty : bool
        Nothing is left of it: the removed names of faceall were all that it had.
    removed : tuple of str
        The names that faceall wrote and that the gallery no longer has here.
    conflicts : tuple of NameConflict
        The faces that another program names differently.
    """

    content: bytes | None = None
    is_empty: bool = False
    removed: tuple[str, ...] = ()
    conflicts: tuple[NameConflict, ...] = ()


def with_regions(
    document: bytes | None,
    faces: Sequence[Region],
    size: tuple[int, int],
    *,
    gallery: str | None = None,
    embedded: bytes | None = None,
    kept: Sequence[Box] = (),
    strict: bool = False,
) -> Revision:
    """Make an XMP document name these faces in both schemas, and no others by faceall.

    A face that another program names differently gets no name of faceall in either schema, so that they agree.

    Parameters
    ----------
    document : bytes or None
        The existing document.
    faces : sequence of Region
        All faces, relative to the stored image; the name is "" for one without a name.
    size : (width, height)
        Of the stored image in pixels.
    gallery : str, optional
        What distinguishes the gallery; names that another gallery wrote are not removed.
    embedded : bytes, optional
        The XMP in the photo. Programs that find regions in the sidecar take no others, so these are copied to it unless
        it has some of another program. If the sidecar has none and the photo names all faces, nothing is written.
    kept : sequence of Box
        Names of faceall here are not removed either.
    strict : bool
        Remove only names that say that `gallery` has written them; earlier versions did not write that.

    Raises
    ------
    UnsafeXmlError
        The existing document is not XMP or has a document type.
    """
    opened = RegionDocument(document)
    has_regions = bool(opened.mwg() or opened.microsoft())
    carried = embedded is not None and opened.carry_over(embedded)
    lists = (opened.mwg(), opened.microsoft())
    conflicts = _conflicts(lists, faces)
    if carried and not has_regions and _covers(lists, faces):
        return Revision(conflicts=tuple(conflicts.values()))
    dropped: list[Entry] = []
    removed: list[str] = []
    changed = carried and not strict
    owners = {gallery} if strict else {gallery, None}
    for is_mwg, entries in zip((True, False), lists, strict=True):
        own, others = _matched([one for one in entries if one.is_own], faces), _matched_others(entries, faces)
        for number, face in enumerate(faces):
            entry = own.get(number)
            if not face.name:
                continue
            if number in conflicts or number in others:
                dropped += [] if entry is None else [entry]
            elif entry is not None:
                changed |= entry.rename(face.name, gallery)
            else:
                opened.add_mwg(face, size, gallery) if is_mwg else opened.add_microsoft(face, gallery)
                changed = True
        current = [entry for number, entry in own.items() if faces[number].name]
        outdated = [one for one in entries if one.is_own and one not in current and one.gallery in owners]
        outdated = [one for one in outdated if not any(overlap(one.region.box, box) >= LEAST_OVERLAP for box in kept)]
        dropped += outdated
        removed += [one.region.name for one in outdated]
    opened.remove(dropped)
    return Revision(
        opened.to_bytes() if changed or dropped else None,
        bool(dropped) and (opened.is_empty or (embedded is not None and opened.repeats(embedded))),
        tuple(dict.fromkeys(removed)),
        tuple(conflicts.values()),
    )


def _covers(lists: Sequence[Sequence[Entry]], faces: Sequence[Region]) -> bool:
    """Return whether every face with a name has an entry, in one schema at least, that faceall need not rename."""
    named = {number for number, face in enumerate(faces) if face.name}
    return named <= {
        number
        for entries in lists
        for number, entry in _matched(entries, faces).items()
        if not entry.is_own or entry.region.name == faces[number].name
    }


def _conflicts(lists: Sequence[Sequence[Entry]], faces: Sequence[Region]) -> dict[int, NameConflict]:
    """Return which faces another program names differently, by their place in `faces`."""
    found: dict[int, NameConflict] = {}
    for entries in lists:
        for number, entry in _matched_others(entries, faces).items():
            name, written = faces[number].name, entry.region.name
            if name and fitting_name(written) != name:
                found.setdefault(number, NameConflict(written, name))
    return dict(sorted(found.items()))


def _matched_others(entries: Sequence[Entry], faces: Sequence[Region]) -> dict[int, Entry]:
    """Return the entries of other programs by the place of their face in `faces`."""
    return _matched([one for one in entries if not one.is_own], faces)


def _matched(entries: Sequence[Entry], faces: Sequence[Region]) -> dict[int, Entry]:
    """Pair entries and faces that overlap, the best pairs first; return the entries by the place of their face."""
    pairs = [
        (overlap(entry.region.box, face.box), entry.region.name == face.name, place, number)
        for place, entry in enumerate(entries)
        for number, face in enumerate(faces)
    ]
    found: dict[int, Entry] = {}
    free = set(range(len(entries)))
    for shared, _, place, number in sorted(pairs, reverse=True):
        if shared >= LEAST_OVERLAP and place in free and number not in found:
            found[number] = entries[place]
            free.discard(place)
    return found

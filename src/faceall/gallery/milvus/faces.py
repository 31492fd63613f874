"""Faces in Milvus, with their vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from faceall.gallery.milvus import judgements, rows
from faceall.gallery.milvus.connection import MOST, Row
from faceall.gallery.milvus.identity import condition_in
from faceall.gallery.milvus.layout import FACES
from faceall.gallery.milvus.photos import drop_faces, drop_photos
from faceall.gallery.milvus.work import Work, listed
from faceall.gallery.records import Page, Removal, StoredFace
from faceall.gallery.store import Near
from faceall.index.graph.exact import nearest
from faceall.index.storage.rows import Block
from faceall.types import Face, Float32Array, Matches

if TYPE_CHECKING:
    from faceall.gallery.milvus.store import MilvusStore

_SPARE = 8  # additional faces to request, because no photo may list some of them
_WIDER = 4  # factor of the next request, if those were not enough
_GROUP = 1_000
_LARGEST_KEY = (1 << 63) - 1


class MilvusFaces:
    """`FaceRecords` on Milvus."""

    def __init__(self, store: MilvusStore) -> None:
        self._store = store

    def __len__(self) -> int:
        if not self._store.has_faces:
            return 0
        stray = self._store.unlisted_faces()
        return self._store.connection.count(FACES.name) - len(stray)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and bool(self._rows([key]))

    # -- search -----------------------------------------------------------------------------------------------------

    def nearest(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None, exact: bool = False
    ) -> Matches:
        """Find the k nearest faces of each vector."""
        self._store.check_dimension(vectors)
        if exact:
            return nearest(np.ascontiguousarray(vectors, np.float32), self._blocks(_among(people)), k)
        found, _ = self._search(self._store.view(), vectors, k, people)
        width = min((len(hits) for hits in found), default=0)
        keys = np.array([[row["id"] for row, _ in hits[:width]] for hits in found], np.int64)
        distances = np.array([[distance for _, distance in hits[:width]] for hits in found], np.float32)
        return Matches(keys.reshape(len(found), width), distances.reshape(len(found), width))

    def near(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None
    ) -> tuple[list[list[Near]], bool]:
        """Return the nearest faces with their distances, and whether these are all faces."""
        self._store.check_dimension(vectors)
        work = self._store.view()
        found, complete = self._search(work, vectors, k, people)
        faces = self._as_faces({row["id"]: row for hits in found for row, _ in hits}, work)
        return [[(faces[row["id"]], distance) for row, distance in hits] for hits in found], complete

    def _search(
        self, work: Work, vectors: Float32Array, k: int, people: Sequence[int] | None
    ) -> tuple[list[list[tuple[Row, float]]], bool]:
        """Return rows of listed faces with distances; request more if too many of those found are not listed."""
        if not self._store.has_faces or not len(vectors):
            return [[] for _ in vectors], True
        wanted = min(k + _SPARE, MOST)
        while True:
            hits = self._store.connection.search(
                FACES.name, vectors, wanted, condition=_among(people), field=FACES.vector, fields=FACES.columns
            )
            work.faces.found({"id": key, **row} for one in hits for key, _, row in one)
            _read_beside(work, [row for one in hits for _, _, row in one], [key for one in hits for key, _, _ in one])
            found = self._rows((key for one in hits for key, _, _ in one), work)
            there = [[(found[key], distance) for key, distance, _ in one if key in found] for one in hits]
            complete = all(len(one) < wanted for one in hits)
            if complete or wanted >= MOST or min(map(len, there)) >= k:
                return [one[:k] for one in there], complete and all(len(one) <= k for one in there)
            wanted = min(wanted * _WIDER, MOST)

    def distances(self, vector: Float32Array, people: Sequence[int]) -> dict[int, Float32Array]:
        """Return for each of some people the squared distances of a vector (dimension,) to their faces, ascending."""
        found: dict[int, list[float]] = {person: [] for person in people}
        if people and self._store.has_faces:
            columns = ["id", "photo", "person", FACES.vector]
            scanned = self._store.connection.scan(FACES.name, _among(people), columns)
            for group in _groups(scanned):
                for row in self._listed_rows(group, self._store.view()).values():
                    difference = np.asarray(row[FACES.vector], np.float32) - vector
                    found[row["person"]].append(float(difference @ difference))
        return {person: np.sort(np.array(values, np.float32)) for person, values in found.items()}

    def of_people(self, people: Sequence[int]) -> dict[int, list[int]]:
        """Return the keys of the faces of some people, ascending."""
        found: dict[int, list[int]] = {person: [] for person in people}
        if people and self._store.has_faces:
            faces = self._store.view().faces
            with ThreadPoolExecutor(1) as pool:  # both requests at the same time
                assigned = pool.submit(faces.where, _among(people), lambda row: row["person"] in found)
                stray = self._store.unlisted_faces()
            for row in assigned.result():
                if row["id"] not in stray:
                    found[row["person"]].append(row["id"])
        return {person: sorted(keys) for person, keys in found.items()}

    def _blocks(self, condition: str) -> Iterator[Block]:
        """Yield the vectors of all listed faces that match a condition."""
        if not self._store.has_faces:
            return
        found = self._store.connection.scan(FACES.name, condition, ["id", "photo", FACES.vector])
        for group in _groups(found):
            there = self._listed_rows(group, self._store.view())
            keys = sorted(there)
            if keys:
                vectors = np.array([there[key][FACES.vector] for key in keys], np.float32)
                yield Block(np.array(keys, np.int64), vectors)

    # -- reads ------------------------------------------------------------------------------------------------------

    def vectors(self, keys: Sequence[int]) -> Float32Array:
        """Return (n, dimension) float32, a row per key; zeros for an unknown key."""
        vectors = np.zeros((len(keys), self._store.dimension or 0), np.float32)
        if self._store.has_faces:
            places = {key: place for place, key in enumerate(keys)}
            for row in self._store.connection.get(FACES.name, places, ["id", FACES.vector]):
                vectors[places[row["id"]]] = row[FACES.vector]
        return vectors

    def in_shared_order(self, keys: Sequence[int]) -> list[int]:
        """Return face keys ascending: Milvus has no ids that are the same on every device."""
        return sorted(keys)

    def stored(self, keys: Iterable[int]) -> dict[int, StoredFace]:
        """Return the faces with these keys; unknown keys are skipped."""
        work = self._store.view()
        return self._as_faces(self._rows(keys, work), work)

    def listed(
        self, *, person: int | None = None, photo: int | None = None, unassigned: bool = False
    ) -> list[StoredFace]:
        """Return faces ordered by key, optionally only those of a person, on a photo, or unassigned."""
        keys = [key for key, _, _ in self.assignments(person, photo=photo, unassigned=unassigned)]
        return self._in_order(keys)

    def page(
        self,
        *,
        person: int | None,
        photo: int | None,
        unassigned: bool,
        hidden: bool,
        largest_first: bool,
        limit: int,
        offset: int,
    ) -> Page[StoredFace]:
        """Return a page of what `listed` returns, ordered by key or by size; no face is hidden."""
        if hidden:
            return Page((), 0)
        keys = [key for key, _, _ in self.assignments(person, photo=photo, unassigned=unassigned)]
        if largest_first:
            faces = sorted(self._in_order(keys), key=lambda face: (-_area(face), face.face_id))
            return Page(tuple(faces[offset : offset + limit]), len(keys))
        return Page(tuple(self._in_order(keys[offset : offset + limit])), len(keys))

    def hidden(self) -> frozenset[int]:
        """Return no keys: faces cannot be hidden."""
        return frozenset()

    def set_hidden(self, keys: Iterable[int], *, hidden: bool) -> int:
        """Raise NotSupportedError if faces are to be hidden; otherwise return 0, because none is."""
        if not hidden:
            return 0
        raise self._store.not_supported("Milvus keeps no hidden faces")

    def _in_order(self, keys: Sequence[int]) -> list[StoredFace]:
        found: list[StoredFace] = []
        for start in range(0, len(keys), _GROUP):
            group = keys[start : start + _GROUP]
            faces = self.stored(group)
            found += [faces[key] for key in group if key in faces]
        return found

    def thumbnail(self, key: int) -> bytes | None:
        """Return the thumbnail of a face (JPEG), or None."""
        row = self._store.view().thumbnails.one(key) if self._is_key(key) else None
        return None if row is None else rows.jpeg_of(row)

    def outlines(self, keys: Iterable[int]) -> dict[int, tuple[Face, tuple[int, int] | None]]:
        """Return faces as they were detected, with the width and height of their images; unknown keys are skipped."""
        return {key: (face.as_face(), face.image_size) for key, face in self.stored(keys).items()}

    def thumbnails(self, keys: Sequence[int]) -> dict[int, bytes]:
        """Return the thumbnails of faces (JPEG); missing ones are left out."""
        found = self._store.view().thumbnails.get(key for key in keys if self._is_key(key))
        return {key: rows.jpeg_of(row) for key, row in found.items()}

    def owners(self, keys: Sequence[int]) -> dict[int, int | None]:
        """Return the person (row) of each face, None if unassigned; unknown keys are skipped."""
        return {key: row["person"] or None for key, row in self._rows(keys).items()}

    def assignments(
        self, person: int | None = None, *, photo: int | None = None, unassigned: bool = False
    ) -> Iterator[tuple[int, int, int | None]]:
        """Yield key, photo and person of every face, ordered by key."""
        if not self._store.has_faces:
            return iter(())
        wanted = rows.UNASSIGNED if unassigned else person
        conditions = [] if wanted is None else [f"person == {wanted}"]
        conditions += [] if photo is None else [f"photo == {photo}"]

        def holds(row: Row) -> bool:
            return wanted in (None, row["person"]) and photo in (None, row["photo"])

        if unassigned and person is not None:
            return iter(())
        stray = self._store.unlisted_faces()
        found = self._store.view().faces.where(" and ".join(conditions), holds)
        places = ((row["id"], row["photo"], row["person"] or None) for row in found if row["id"] not in stray)
        return iter(sorted(places))

    def of_videos(self) -> frozenset[int]:
        """Return the keys of the faces that were found in videos."""
        condition = f'record["{rows.SOURCE}"] == "video"'
        found = self._store.view().photos.where(condition, lambda row: row["record"].get(rows.SOURCE) == "video")
        return frozenset(key for row in found for key in listed(row))

    # -- changes ----------------------------------------------------------------------------------------------------

    def assign(self, keys: Sequence[int], person: int | None) -> None:
        """Assign faces to a person (row); None unassigns them."""
        self.assign_each(dict.fromkeys(keys, person))

    def assign_each(self, people: Mapping[int, int | None]) -> None:
        """Assign each face to a person of its own (row), or unassign it."""
        owners = {key: person or rows.UNASSIGNED for key, person in people.items()}
        with self._store.changing() as work:
            found = {key: row for key, row in self._rows(owners).items() if row["person"] != owners[key]}
            fresh = [key for key, row in found.items() if FACES.vector not in row]
            vectors = dict(zip(fresh, self.vectors(fresh).tolist(), strict=True))
            for key, row in found.items():
                if row["person"] != rows.UNASSIGNED:
                    work.maybe_empty.add(row["person"])
                work.faces.put({FACES.vector: vectors.get(key), **row, "person": owners[key]})
            work.maybe_empty -= set(owners.values())

    def remove(self, keys: Sequence[int]) -> Removal:
        """Remove faces permanently, and photos that have no face left."""
        with self._store.changing() as work:
            photos = work.photos.get({row["photo"] for row in self._rows(keys).values()})
            drop_faces(work, keys)
            empty = []
            for id_, row in photos.items():
                left = [face for face in listed(row) if face not in keys]
                primary = row["record"][rows.PRIMARY]
                if left:
                    work.photos.put(rows.with_faces(row, left, primary if primary in left else None))
                else:
                    empty.append(id_)
            paths = drop_photos(work, [photos[id_] for id_ in empty])
        return Removal(tuple(keys), tuple(empty), paths)

    # -- rows -------------------------------------------------------------------------------------------------------

    def _is_key(self, key: int) -> bool:
        return self._store.has_faces and 0 <= key <= _LARGEST_KEY

    def _rows(self, keys: Iterable[int], work: Work | None = None) -> dict[int, Row]:
        """Return the rows of listed faces by key; others are skipped."""
        wanted = [key for key in keys if self._is_key(key)]
        work = work or self._store.view()
        return self._listed_rows(work.faces.get(wanted).values(), work)

    def _listed_rows(self, found: Iterable[Row], work: Work) -> dict[int, Row]:
        """Return the rows that the row of their photo lists, by key."""
        faces = list(found)
        photos = work.photos.get({row["photo"] for row in faces})
        listed_by_photo = {id_: frozenset(listed(row)) for id_, row in photos.items()}
        return {row["id"]: row for row in faces if row["id"] in listed_by_photo.get(row["photo"], ())}

    def _as_faces(self, found: dict[int, Row], work: Work) -> dict[int, StoredFace]:
        photos = work.photos.get({row["photo"] for row in found.values()})
        people = work.people.get({row["person"] for row in found.values()} - {rows.UNASSIGNED})
        return {key: rows.stored_face(row, photos.get(row["photo"]), people) for key, row in found.items()}


def _read_beside(work: Work, found: Sequence[Row], keys: Sequence[int]) -> None:
    """Read photos, people and judgements of found faces at the same time; each request takes a server milliseconds."""
    with ThreadPoolExecutor(3) as pool:
        tasks: list[Future[Any]] = [
            pool.submit(work.photos.get, {row["photo"] for row in found}),
            pool.submit(work.people.get, {row["person"] for row in found} - {rows.UNASSIGNED}),
        ]
        if work.only_reads:
            tasks.append(pool.submit(judgements.read_said, work, keys))
        for task in tasks:
            task.result()


def count_by_person(places: Iterable[tuple[int, int, int | None]]) -> dict[int, tuple[int, int]]:
    """Return person -> number of faces and number of photos."""
    faces: dict[int, int] = defaultdict(int)
    photos: dict[int, set[int]] = defaultdict(set)
    for _, photo, person in places:
        if person is not None:
            faces[person] += 1
            photos[person].add(photo)
    return {person: (number, len(photos[person])) for person, number in faces.items()}


def _among(people: Sequence[int] | None) -> str:
    return "" if people is None else condition_in("person", list(people))


def _groups(found: Iterator[Row]) -> Iterator[list[Row]]:
    while group := list(islice(found, _GROUP)):
        yield group


def _area(face: StoredFace) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)

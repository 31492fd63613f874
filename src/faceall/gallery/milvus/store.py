"""The storage of a gallery in Milvus."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np

from faceall.errors import IndexDamagedError, IndexFileError, IndexMismatchError, IndexNewerError, NotSupportedError
from faceall.gallery.milvus import rows
from faceall.gallery.milvus.address import Address
from faceall.gallery.milvus.connection import Connection
from faceall.gallery.milvus.faces import MilvusFaces
from faceall.gallery.milvus.identity import FaceIds
from faceall.gallery.milvus.journal import MilvusJournal
from faceall.gallery.milvus.layout import FACES, FORMAT, NOTES, PEOPLE, PHOTOS, SMALL, THUMBNAILS
from faceall.gallery.milvus.people import MilvusPeople
from faceall.gallery.milvus.photos import MilvusPhotos
from faceall.gallery.milvus.transfer import MilvusTransfer
from faceall.gallery.milvus.work import Work, listed, sweep, unlisted_faces
from faceall.gallery.records import GalleryStatistics, GalleryStatus, Removal
from faceall.gallery.store import BundleRecords, ReembeddingRecords
from faceall.index.maintenance.compaction import Compaction
from faceall.index.maintenance.verification import Statistics, Verification
from faceall.index.storage.agreement import describe_mismatch
from faceall.types import Float32Array
from faceall.version import __version__

_HEAD = "meta/gallery"
_SECRET = "secret"
_SAMPLE = 200  # vectors to search for in `verify`
_NEIGHBOURS = 10
_WORTH_SEALING = 1_000  # new faces from which milvus-lite seals its segments


class MilvusStore:
    """`Store` on Milvus, for any number of writers and readers on any number of machines and threads.

    A change is one unit of work: it is collected in memory, visible to the reads of its own thread, and written at
    the end in an order in which no reader sees an incomplete photo. There is no lock between writers; if two change the
    same row at the same time, the last write wins.

    Parameters
    ----------
    address : Address
        The gallery.
    read_only : bool, default False
        Refuse changes, and do not create a missing gallery.

    Raises
    ------
    IndexFileError
        If the gallery does not exist (`read_only`) or cannot be reached.
    IndexBusyError
        If another process has the folder of milvus-lite open.
    IndexNewerError
        If a newer version of faceall wrote it.
    IndexDamagedError
        If its format is invalid.
    MissingDependencyError
        If pymilvus or milvus-lite is not installed.
    """

    def __init__(self, address: Address, *, read_only: bool = False) -> None:
        if read_only and address.path is not None and not address.path.exists():
            raise _missing(str(address))
        self.connection = Connection(address)
        self.address, self.read_only = address, read_only
        self.photos, self.faces, self.people = MilvusPhotos(self), MilvusFaces(self), MilvusPeople(self)
        self.transfer = MilvusTransfer(self)
        self.journal = MilvusJournal(self)
        self._face_ids = FaceIds(self.connection)
        self._lock, self._making = threading.RLock(), threading.Lock()
        self._work: Work | None = None
        self._reads = threading.local()
        self._owner: int | None = None
        self._head: dict[str, Any] = {}
        self._has_faces = False
        self._new_faces = 0
        try:
            self._open()
        except BaseException:
            self.connection.close()
            raise

    def _open(self) -> None:
        there = {name.removeprefix(f"{self.address.name}_") for name in self.connection.collections()}
        if self.read_only and NOTES.name not in there:
            raise _missing(self.name)
        wanted = (one for one in SMALL if one is NOTES or not self.read_only or one.name in there)
        self.connection.make(dict.fromkeys(wanted, 2))
        self._read_head()
        if not self._head:
            if self.read_only:
                raise _missing(self.name)
            self._write_head(
                {"format": FORMAT, "writer": __version__, "model": None, "dimension": None, _SECRET: token_hex(16)}
            )
        elif _SECRET not in self._head and not self.read_only:  # an older faceall has made it
            self._write_head({**self._head, _SECRET: token_hex(16)})
        if not self.read_only:
            sweep(self.connection, has_faces=self.has_faces)

    # -- properties -------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The location as shown in messages, without credentials."""
        return self.connection.name

    @property
    def folder(self) -> Path:
        """The folder of its files on this machine, such as uploads.

        Raises
        ------
        IndexFileError
            If it cannot be created.
        """
        folder = self.address.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise IndexFileError(f"{folder} cannot be made: {error.strerror}") from error
        return folder

    @property
    def waits_for_server(self) -> bool:
        """Whether the gallery is on a server, not in milvus-lite."""
        return self.address.path is None

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors."""
        if self._head.get("model") is None:
            self._read_head()
        return self._head.get("model")

    @property
    def dimension(self) -> int | None:
        """Length of a vector, None before the first face."""
        if self._head.get("dimension") is None:
            self._read_head()
        return self._head.get("dimension")

    @property
    def secret(self) -> str:
        """A random text that distinguishes the gallery from others; its name until it is opened for writing."""
        self._read_head()  # another process may have written another one at the same time
        return str(self._head.get(_SECRET, self.address.name))

    @property
    def has_faces(self) -> bool:
        """Whether the collection of faces exists; it is created when the dimension of the vectors is known."""
        if not self._has_faces and (dimension := self.dimension) is not None:
            with self._making:
                if not self._has_faces:
                    self.connection.make({FACES: dimension})
                    self._has_faces = True
        return self._has_faces

    def adopt(self, *, model: str | None, dimension: int) -> None:
        """Set the embedder of an empty gallery, or check it.

        Raises
        ------
        IndexMismatchError
            The gallery holds vectors of another embedder.
        """
        if (self._head.get("model"), self._head.get("dimension")) == (model, dimension):
            return  # it stays the same
        self._read_head()
        found = (self._head.get("model"), self._head.get("dimension"))
        if found == (model, dimension):
            return
        if found != (None, None):
            raise self._mismatch(dimension, model)
        if self.read_only:
            return
        with self._lock:
            self._write_head({**self._head, "model": model, "dimension": dimension})
            self._read_head()  # another process may have been faster
            if (self._head.get("model"), self._head.get("dimension")) != (model, dimension):
                raise self._mismatch(dimension, model)
            _ = self.has_faces  # creates the collection

    def check_dimension(self, vectors: Float32Array) -> None:
        """Check the dimension of vectors.

        Parameters
        ----------
        vectors : (n, dimension) float32
            Queries or new vectors.

        Raises
        ------
        IndexMismatchError
            If the gallery holds vectors of another dimension.
        """
        if self.dimension not in (None, vectors.shape[-1]):
            raise self._mismatch(vectors.shape[-1], None)

    def _mismatch(self, dimension: int, model: str | None) -> IndexMismatchError:
        found, size = self._head.get("model"), self._head.get("dimension")
        text = describe_mismatch(found, size, model, dimension)
        return IndexMismatchError(f"{self.name} {text}: use that model or another gallery")

    def _read_head(self) -> None:
        found = self.connection.get(NOTES.name, [_HEAD], ["key", "value"])
        head = found[0]["value"] if found else {}
        number = head.get("format", FORMAT) if isinstance(head, dict) else None
        if not isinstance(number, int) or number < 1:
            raise IndexDamagedError(f"{self.name} is damaged: its format is {number!r}, expected a number")
        if number > FORMAT:
            raise IndexNewerError(
                f"{self.name} was written by a newer faceall (format {number}, this one reads up to {FORMAT}):"
                " upgrade faceall"
            )
        self._head = dict(head)

    def _write_head(self, head: dict[str, Any]) -> None:
        self.connection.put(NOTES.name, [{"key": _HEAD, "value": head, NOTES.vector: [0.0, 0.0]}])
        self.connection.settle()
        self._head = head

    # -- units of work ----------------------------------------------------------------------------------------------

    @property
    def is_changing(self) -> bool:
        """Whether the calling thread is inside `changing`."""
        return self._work is not None and self._owner == threading.get_ident()

    def view(self) -> Work:
        """Return the tables as the calling thread sees them."""
        if self._work is not None and self.is_changing:
            return self._work
        return getattr(self._reads, "work", None) or self._new_work()

    def _new_work(self, *, only_reads: bool = False) -> Work:
        return Work(self.connection, has_faces=self.has_faces, only_reads=only_reads)

    @contextmanager
    def reading(self) -> Iterator[Work]:
        """Group several reads: each row is read once, and the reads see all writes acknowledged before the first."""
        if self.is_changing or getattr(self._reads, "work", None) is not None:
            yield self.view()
            return
        self._reads.work = self._new_work(only_reads=True)
        try:
            yield self._reads.work
        finally:
            self._reads.work = None

    @contextmanager
    def changing(self) -> Iterator[Work]:
        """Group changes into a unit of work, which is written at the end; a nested one is part of the outer one.

        Raises
        ------
        IndexFileError
            If the gallery was opened for reading only, or a write fails.
        """
        if self.read_only:
            raise IndexFileError(f"{self.name} was opened for reading only")
        with self._lock:
            if self._work is not None:
                yield self._work
                return
            self._work, self._owner = self._new_work(), threading.get_ident()
            try:
                yield self._work
                work = self._work
            finally:
                self._work, self._owner = None, None
            work.write()

    def new_face_ids(self, count: int) -> list[int]:
        """Return face ids that no other writer uses."""
        with self._lock:
            self._new_faces += count
            return self._face_ids.take(count)

    def unlisted_faces(self) -> set[int]:
        """Return faces that no photo lists: their writer has not finished, or was killed."""
        work = self.view()
        if work.stray is not None:
            return work.stray
        found = unlisted_faces(self.connection, has_faces=self.has_faces)
        if work.only_reads:
            work.stray = found
        return found

    # -- settings and status ----------------------------------------------------------------------------------------

    def setting(self, key: str) -> Any:
        """Return the value stored under a name, or None."""
        row = self.view().notes.one(f"meta/{key}")
        return None if row is None else row["value"]["value"]

    def put_setting(self, key: str, value: Any) -> None:
        """Store a JSON value under a name; None removes it."""
        with self.changing() as work:
            if value is None:
                work.notes.drop(f"meta/{key}")
            else:
                work.notes.put({"key": f"meta/{key}", "value": {"value": value}})

    def status(self) -> GalleryStatus:
        """Count everything, and check which files are missing on the disk."""
        work = self.view()
        places = list(self.faces.assignments())
        photos = work.photos.where("id > 0", lambda _: True)
        files = [file for row in photos for file in rows.files_of(row)]
        states = [row["state"] for row in photos]
        return GalleryStatus(
            folder=self.name,
            faces=len(places),
            people=len({person for _, _, person in places} - {None}),
            photos=len(photos),
            files=len(files),
            unnamed=sum(person is None for _, _, person in places),
            without_face=sum(row["state"] == "ok" and not listed(row) for row in photos),
            unreadable=states.count("unreadable"),
            too_large=states.count("too-large"),
            vanished=sum(not os.path.exists(file.path) for file in files),
            model=self.model,
            dimension=self.dimension,
            size=0 if self.address.path is None else _bytes_below(self.address.path),
        )

    def problems(self) -> list[str]:
        """Read everything and return what is inconsistent, a line each."""
        work = self.view()
        photos = {row["id"]: row for row in work.photos.where("id > 0", lambda _: True)}
        counting = {face: id_ for id_, row in photos.items() for face in listed(row)}
        faces = {key: (photo, person) for key, photo, person in self.faces.assignments()}
        thumbnails = {row["id"] for row in self.connection.scan(THUMBNAILS.name, "", ["id"])}
        people = {row["id"] for row in self.connection.scan(PEOPLE.name, "", ["id"])}
        owners = {person for _, person in faces.values() if person is not None}
        counted = (
            ("faces that no photo lists", sum(counting.get(key) != photo for key, (photo, _) in faces.items())),
            ("faces that a photo lists but that do not exist", len(counting.keys() - faces.keys())),
            ("faces without a thumbnail", len(faces.keys() - thumbnails)),
            ("thumbnails without a face", len(thumbnails - faces.keys() - self.unlisted_faces())),
            ("photos without a file", sum(not row["record"]["files"] for row in photos.values())),
            ("people without a face", len(people - owners)),
            ("faces of people who do not exist", len(owners - people)),
            ("vectors with values that are not finite", self._odd_vectors()),
        )
        return [f"{number} {what}" for what, number in counted if number]

    def _odd_vectors(self) -> int:
        if not self.has_faces:
            return 0
        found = self.connection.scan(FACES.name, "", ["id", FACES.vector])
        return sum(not np.isfinite(np.asarray(row[FACES.vector], np.float32)).all() for row in found)

    def verify(self) -> Verification:
        """Read and compare everything, and measure recall against exact search."""
        keys = np.array([key for key, _, _ in self.faces.assignments()], np.int64)
        if not len(keys):
            return Verification(tuple(self.problems()), 0, "none", None, 0)
        chosen = np.random.default_rng(0).choice(keys, min(_SAMPLE, len(keys)), replace=False)
        queries, count = self.faces.vectors(chosen.tolist()), min(_NEIGHBOURS, len(keys))
        found, truth = self.faces.nearest(queries, count), self.faces.nearest(queries, count, exact=True)
        farthest = truth.distances[:, -1:] * (1 + 1e-5) + 1e-6  # other faces may be equally far
        recall = float((found.distances <= farthest).mean())
        return Verification(tuple(self.problems()), len(keys), "current", recall, len(queries), count)

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes; the size of the server's files is unknown."""
        found = self.status()
        thumbnails = sum(len(rows.jpeg_of(row)) for row in self.connection.scan(THUMBNAILS.name, "", ["id", "jpeg"]))
        index = Statistics(
            vectors=found.faces,
            dimension=found.dimension,
            metric="l2",
            model=found.model,
            database=found.size,
            free=0,
            payload=4 * found.faces * (found.dimension or 0),
            graph=0,
            links=None,
            build_effort=None,
            effort=None,
            recall=None,
            tombstones=0,
        )
        return GalleryStatistics(index, found.faces, found.people, found.photos, 0, thumbnails)

    def migration_command(self, model: str) -> str:
        """Return what to run to switch the gallery to an installed model, for messages."""
        command = f"faceall index migrate --model {shlex.quote(model)}"
        return f"faceall index move {self.name} FOLDER, there {command}, and move it back"

    @property
    def bundles(self) -> BundleRecords:
        """Raise NotSupportedError: exports copy the gallery into a folder first, and an import is one transaction."""
        raise self.not_supported("Milvus has no transaction in which people and faces could be merged")

    @property
    def reembedding(self) -> ReembeddingRecords:
        """Raise NotSupportedError: all vectors of a collection have one dimension, and there are no transactions."""
        raise self.not_supported("Milvus cannot replace all vectors in one step")

    def compact(self) -> Compaction:
        """Raise NotSupportedError: the server compacts by itself."""
        raise self.not_supported("Milvus compacts its segments by itself")

    def backup(self, target: Path, *, beside: Sequence[str] = ()) -> int:
        """Raise NotSupportedError: the server has its own tool."""
        raise self.not_supported("back up the server with its own tool, milvus-backup")

    def not_supported(self, reason: str) -> NotSupportedError:
        """Return the error for what needs a gallery in a folder."""
        return NotSupportedError(
            f"{self.name}: {reason}; this needs a gallery in a folder; move this one there, and back afterwards:"
            f" faceall index move {self.name} FOLDER"
        )

    def remaining(self, removal: Removal) -> int:
        """Count rows of removed things that can still be found."""
        faces = [THUMBNAILS.name, *[FACES.name] * self.has_faces]
        left = sum(len(self.connection.get(name, removal.faces, ["id"])) for name in faces)
        return left + len(self.connection.get(PHOTOS.name, removal.photos, ["id"]))

    # -- closing ----------------------------------------------------------------------------------------------------

    def tidied(self, removal: Removal) -> Removal:
        """Ask the server to compact its segments after a removal; it does so later, so there is no receipt."""
        if removal.count:
            sweep(self.connection, has_faces=self.has_faces)
            self.connection.compact(self.collections())
        return removal

    def collections(self) -> tuple[str, ...]:
        """Return the names of the existing collections."""
        return (*(collection.name for collection in SMALL), *[FACES.name] * self.has_faces)

    def close(self, *, save: bool = True) -> None:
        """Close the connection; a second call does nothing.

        milvus-lite searches unsealed rows ten times slower, so many new faces are sealed first.
        """
        if save and self.address.path is not None and self._new_faces >= _WORTH_SEALING:
            self.connection.seal((FACES.name, PHOTOS.name))
            self._new_faces = 0
        self.connection.close()


def _missing(name: str) -> IndexFileError:
    return IndexFileError(f"{name}: there is no gallery yet; register photos first: faceall register PHOTOS")


def _bytes_below(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

"""A gallery in a folder: one SQLite database with the records and vectors, and the graph file beside it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceall.errors import IndexDamagedError, IndexFileError
from faceall.gallery.embedded import removal as removals
from faceall.gallery.embedded.bundles import EmbeddedBundles
from faceall.gallery.embedded.faces import EmbeddedFaces
from faceall.gallery.embedded.journal import EmbeddedJournal
from faceall.gallery.embedded.maintenance.health import find_problems
from faceall.gallery.embedded.maintenance.reembedding import EmbeddedReembedding
from faceall.gallery.embedded.maintenance.repair import gallery_statistics, verify_gallery
from faceall.gallery.embedded.maintenance.transfer import EmbeddedTransfer
from faceall.gallery.embedded.people import EmbeddedPeople
from faceall.gallery.embedded.photos import EmbeddedPhotos
from faceall.gallery.embedded.tables import schema
from faceall.gallery.records import GalleryStatistics, GalleryStatus, Removal
from faceall.index import FaceIndex
from faceall.index.graph import graph_file
from faceall.index.maintenance.compaction import Compaction, compact
from faceall.index.maintenance.verification import Verification, backup

_SETTING = "gallery."


class EmbeddedStore:
    """`Store` on a `FaceIndex`, whose database also holds the gallery's tables.

    A change is a transaction, one at a time; a read uses one snapshot.
    """

    def __init__(self, index: FaceIndex) -> None:
        self.index = index
        self.photos, self.faces, self.people = EmbeddedPhotos(index), EmbeddedFaces(index), EmbeddedPeople(index)
        self.transfer, self.bundles = EmbeddedTransfer(index), EmbeddedBundles(index)
        self.reembedding, self.journal = EmbeddedReembedding(index), EmbeddedJournal(index)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> EmbeddedStore:
        """Open the gallery in a folder, or create one there.

        Parameters
        ----------
        folder : Path
            The folder.
        read_only : bool
            Never write; then the gallery has to exist.

        Raises
        ------
        IndexFileError
            The gallery cannot be opened; subclasses name the reason.
        """
        index = FaceIndex(folder, metric="l2", read_only=read_only)
        try:
            _prepare(index)
        except BaseException:
            index.close(save=False)
            raise
        return cls(index)

    @property
    def name(self) -> str:
        """The folder as text, for messages."""
        return self.index.name

    @property
    def folder(self) -> Path:
        """The folder."""
        return Path(self.index.name)

    @property
    def read_only(self) -> bool:
        """Whether the gallery was opened for reading only."""
        return self.index.read_only

    @property
    def waits_for_server(self) -> bool:
        """Return False: a change waits for the disk only."""
        return False

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors."""
        return self.index.model

    @property
    def dimension(self) -> int | None:
        """Number of dimensions of a vector, None before the first one."""
        return self.index.dimension

    def adopt(self, *, model: str | None, dimension: int) -> None:
        """Declare which embedder makes the vectors; raise IndexMismatchError if another one has made those stored."""
        if model is not None:  # otherwise the first vector sets the dimension
            self.index.adopt(model=model, dimension=dimension)

    def reading(self) -> AbstractContextManager[object]:
        """Return a context in which all reads use one snapshot."""
        return self.index.reading()

    def changing(self) -> AbstractContextManager[object]:
        """Return a context in which all changes are stored, or none; a nested one joins the outer one."""
        return self.index.transaction()

    def setting(self, key: str) -> Any:
        """Return a stored setting, None if there is none.

        Raises
        ------
        IndexDamagedError
            If it cannot be read.
        """
        with self.index.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (_SETTING + key,)).fetchone()
        if row is None:
            return None
        try:
            found = json.loads(row[0])
        except (ValueError, TypeError):
            found = None
        if found is None:
            raise IndexDamagedError(f"{self.name} is damaged: its {key} cannot be read; run: faceall calibrate")
        return found

    def put_setting(self, key: str, value: Any) -> None:
        """Store a setting, a value that JSON can hold; None removes it."""
        with self.index.transaction() as connection:
            if value is None:
                connection.execute("DELETE FROM meta WHERE key = ?", (_SETTING + key,))
            else:
                row = (_SETTING + key, json.dumps(value))
                connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", row)

    def status(self) -> GalleryStatus:
        """Count everything, and check which files are gone."""
        index, folder = self.index, self.folder
        with index.reading() as connection:

            def count(statement: str) -> int:
                return int(connection.execute(f"SELECT count(*) FROM {statement}").fetchone()[0])

            paths = [row[0] for row in connection.execute("SELECT path FROM files")]
            counted = {
                "faces": count("faces"),
                "people": count("people"),
                "photos": count("photos"),
                "unnamed": count("faces WHERE person IS NULL"),
                "without_face": count("photos WHERE state = 'ok' AND id NOT IN (SELECT photo FROM faces)"),
                "unreadable": count("photos WHERE state = 'unreadable'"),
                "too_large": count("photos WHERE state = 'too-large'"),
            }
            vanished = sum(not os.path.exists(path) for path in paths)
        return GalleryStatus(
            folder=folder,
            files=len(paths),
            vanished=vanished,
            model=index.model,
            dimension=index.dimension,
            size=sum(file.stat().st_size for file in folder.glob("faces.*")),
            graph=graph_file.kind(folder),
            **counted,
        )

    def problems(self) -> list[str]:
        """Return the problems of the gallery, one line each. This reads the whole database."""
        return find_problems(self.index)

    def verify(self) -> Verification:
        """Read everything and compare: database, vectors, graph, thumbnails, and recall against exact search."""
        return verify_gallery(self.index)

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes, and return the parameters of the graph."""
        return gallery_statistics(self.index)

    def migration_command(self, model: str) -> str:
        """Return the command that switches the gallery to an installed model, for messages."""
        return f"faceall index migrate --model {shlex.quote(model)}"

    def compact(self) -> Compaction:
        """Release the space of removed faces; raise IndexBusyError while another process writes."""
        return compact(self.index)

    def backup(self, target: Path, *, beside: Sequence[str] = ()) -> int:
        """Copy one snapshot of the gallery into a new folder; return the size in bytes of the copy."""
        return backup(self.index, target, beside=beside)

    def remaining(self, removal: Removal) -> int:
        """Count the rows that removed faces and photos still have."""
        return removals.remaining(self.index, removal)

    def tidied(self, removal: Removal) -> Removal:
        """Remove the data of a removal from every file; return the removal with its receipt."""
        if removal.count:
            self.index.save()
        else:  # the graph is not concerned
            self.index.empty_log()
        return replace(removal, receipt=self.index.receipt())

    def close(self, *, save: bool = True) -> None:
        """Close the files; a second call does nothing."""
        self.index.close(save=save)


def _prepare(index: FaceIndex) -> None:
    """Create the gallery's tables, or bring existing ones to the current format."""
    with index.reading() as connection:
        found = schema.version(connection, index.name)
    if found == schema.SCHEMA:
        return
    if not index.read_only:
        with index.transaction() as connection:
            schema.upgrade(connection, index.name)
    elif found:
        index.adapt_reader(schema.adapt)
    else:
        raise IndexFileError(f"{index.name} is a face index without the photos and people of a gallery")

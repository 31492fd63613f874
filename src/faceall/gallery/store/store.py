"""The store of a gallery, composed of its records."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from faceall.gallery.records import GalleryStatistics, GalleryStatus, Removal
from faceall.gallery.store.bundles import BundleRecords
from faceall.gallery.store.faces import FaceRecords
from faceall.gallery.store.journal import JournalRecords
from faceall.gallery.store.people import PersonRecords
from faceall.gallery.store.photos import PhotoRecords
from faceall.gallery.store.reembedding import ReembeddingRecords
from faceall.gallery.store.transfer import Transfer
from faceall.index.maintenance.compaction import Compaction
from faceall.index.maintenance.verification import Verification


class Store(Protocol):
    """The storage of one gallery."""

    @property
    def photos(self) -> PhotoRecords:
        """Photos and their files."""

    @property
    def faces(self) -> FaceRecords:
        """Faces with their vectors."""

    @property
    def people(self) -> PersonRecords:
        """People and clusters."""

    @property
    def journal(self) -> JournalRecords:
        """Changes of people."""

    @property
    def name(self) -> str:
        """The location as shown in messages, without credentials."""

    @property
    def transfer(self) -> Transfer:
        """Access for moving the gallery to another place."""

    @property
    def folder(self) -> Path:
        """The folder of its files on this machine, such as uploads."""

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""

    @property
    def waits_for_server(self) -> bool:
        """Whether a change mostly waits for a server, so that other work can be done meanwhile."""

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors."""

    @property
    def dimension(self) -> int | None:
        """Length of a vector, None before the first face."""

    def adopt(self, *, model: str | None, dimension: int) -> None:
        """Set the embedder of an empty gallery, or check it.

        Raises
        ------
        IndexMismatchError
            The gallery holds vectors of another embedder.
        """

    def reading(self) -> AbstractContextManager[object]:
        """Group several reads; they see one snapshot if the backend has snapshots."""

    def changing(self) -> AbstractContextManager[object]:
        """Group several changes; they are committed at the end, and discarded on an error.

        Reads inside see them. Other readers never see a photo without all its faces, or a face without its photo.
        """

    def setting(self, key: str) -> Any:
        """Return the value stored under a name, or None."""

    def put_setting(self, key: str, value: Any) -> None:
        """Store a JSON value under a name; None removes it."""

    def status(self) -> GalleryStatus:
        """Count everything, and check which files are missing on the disk."""

    def problems(self) -> list[str]:
        """Read everything and return what is inconsistent, a line each."""

    def verify(self) -> Verification:
        """Read and compare everything, and measure recall against exact search."""

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes."""

    def migration_command(self, model: str) -> str:
        """Return what to run to switch the gallery to an installed model, for messages."""

    @property
    def bundles(self) -> BundleRecords:
        """Records as bundles need them.

        Raises
        ------
        NotSupportedError
            The backend has no bundles.
        """

    @property
    def reembedding(self) -> ReembeddingRecords:
        """New vectors of another model.

        Raises
        ------
        NotSupportedError
            The backend cannot exchange its vectors.
        """

    def compact(self) -> Compaction:
        """Release the space of removed faces.

        Raises
        ------
        IndexBusyError
            Others are writing.
        NotSupportedError
            The backend does that by itself.
        """

    def backup(self, target: Path, *, beside: Sequence[str] = ()) -> int:
        """Copy one moment of the gallery, with some folders beside it, into a new folder; return its bytes.

        Raises
        ------
        IndexFileError
            The folder exists already or cannot be written.
        NotSupportedError
            The backend has its own tool.
        """

    def remaining(self, removal: Removal) -> int:
        """Count rows of removed things that can still be found."""

    def tidied(self, removal: Removal) -> Removal:
        """Clean up after a removal; add the receipt if the backend issues one."""

    def close(self, *, save: bool = True) -> None:
        """Release the files or the connection; a second call does nothing."""

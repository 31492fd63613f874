"""`gallery.index`: maintenance, exports and imports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from faceall.analysis.analyser import FaceEmbedder, known_label
from faceall.arguments import checked_methods
from faceall.gallery.bundle.export import BundleExport, check_count, export_bundle
from faceall.gallery.bundle.merge import BundleImport, import_bundle, merge
from faceall.gallery.context import Context
from faceall.gallery.maintenance.migration import Migration
from faceall.gallery.maintenance.portable import export_folder, read_vectors
from faceall.gallery.maintenance.temporary_copy import in_folder
from faceall.gallery.people.removal import UPLOADS
from faceall.gallery.records import GalleryStatistics, Removal
from faceall.gallery.registration.options import Progress
from faceall.index.maintenance.compaction import Compaction
from faceall.index.maintenance.verification import Verification


@checked_methods
class GalleryIndex:
    """The index of a gallery: verify, back up, compact, migrate, export, import. Use it as `gallery.index`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def __repr__(self) -> str:
        return f"<index of {self._store.name}>"

    def problems(self) -> list[str]:
        """Read everything and return the inconsistencies, one line each."""
        return self._store.problems()

    def verify(self) -> Verification:
        """Check database, vectors, graph and thumbnails, and measure the recall against an exact search."""
        return self._store.verify()

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes, and describe how the graph is built."""
        return self._store.statistics()

    def remaining(self, removal: Removal) -> int:
        """Count the rows of removed faces and photos that can still be found; 0 after a complete removal."""
        return self._store.remaining(removal)

    def compact(self) -> Compaction:
        """Release the space of removed faces.

        Raises
        ------
        IndexBusyError
            Another process is writing.
        FaceallError
            The gallery is not in a folder.
        """
        return self._store.compact()

    def backup(self, directory: str | os.PathLike[str]) -> int:
        """Copy a consistent snapshot of the gallery, uploads included, into a new folder; it can be in use.

        Returns
        -------
        int
            Size of the copy in bytes.

        Raises
        ------
        IndexFileError
            The folder exists or cannot be written.
        FaceallError
            The gallery is not in a folder.
        """
        return self._store.backup(Path(os.path.abspath(directory)), beside=(UPLOADS,))

    def migrate(
        self,
        embedder: FaceEmbedder,
        *,
        thumbnails: bool = False,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Migration:
        """Switch to another model; iterate over the result to run it, one `MigratedPhoto` per photo.

        Names, boxes and face ids stay. Searches use the old vectors until all faces have new ones, and all vectors are
        exchanged in one transaction. Faces that other processes register in the meantime are included.

        Parameters
        ----------
        embedder : FaceEmbedder
            The new model.
        thumbnails : bool, default False
            Embed the stored thumbnails of missing photos, which is less accurate. By default their faces become stale:
            kept, but not found until a later registration or migration finds the photo.
        progress : callable, optional
            Called with the number of processed photos and the total.
        stop : threading.Event, optional
            Set it to stop early; a later run continues there.

        Raises
        ------
        FaceallError
            No photo exists any more, or the gallery is not in a folder (while iterating).
        IndexBusyError
            Another process has been writing for too long (while iterating).
        """
        records = self._store.reembedding
        self._context.analyser.use(embedder)
        return Migration(records, embedder, thumbnails=thumbnails, progress=progress, stop=stop)

    def export_bundle(
        self, path: str | os.PathLike[str], *, people: Sequence[str] | None = None, replace: bool = False
    ) -> BundleExport:
        """Write one file with vectors, people, thumbnails and the model's manifest, for a phone or another machine.

        Parameters
        ----------
        path : path-like
            The file to write.
        people : sequence of str, optional
            Export only their faces; by default all faces, unassigned ones included.
        replace : bool, default False
            Overwrite an existing file.

        Raises
        ------
        UnknownPersonError
            One of the people does not exist.
        ModelNotFoundError
            The gallery's model is not installed.
        IndexFileError
            The file exists or cannot be written.
        """
        context, store = self._context, self._store
        if len(store.faces) or not self._store.read_only:
            context.require_same_model()
        model = context.analyser.embedder.model
        target, judged = Path(os.path.abspath(path)), context.pair_threshold
        threshold = None if judged is None else judged.distance
        if people is None:
            check_count(target, len(store.faces))  # before all of them are copied out of Milvus
        with in_folder(store, people) as source:
            return export_bundle(source, model, target, people=people, threshold=threshold, replace=replace)

    def import_bundle(
        self, path: str | os.PathLike[str], *, restore: bool = False, progress: Progress | None = None
    ) -> BundleImport:
        """Merge the people and faces of a bundle into the gallery in one transaction, without duplicates.

        Parameters
        ----------
        path : path-like
            A bundle, as `export_bundle` writes it.
        restore : bool, default False
            Also add faces that were removed from this gallery.
        progress : callable, optional
            Called with the number of processed faces and the total.

        Raises
        ------
        IndexDamagedError, IndexNewerError, IndexFileError
            The bundle is damaged, written by a newer faceall, or cannot be read.
        IndexMismatchError
            It has vectors of another model.
        """
        return import_bundle(self._store, Path(os.path.abspath(path)), restore=restore, progress=progress)

    def export_folder(self, directory: str | os.PathLike[str]) -> BundleExport:
        """Write vectors, faces, people and thumbnails into a new folder that other programs can read.

        Raises
        ------
        IndexFileError
            The folder exists or cannot be written.
        """
        with in_folder(self._store) as source:
            return export_folder(source, Path(os.path.abspath(directory)))

    def import_vectors(self, source: str | os.PathLike[str], *, made_by: str | None = None) -> BundleImport:
        """Import an exported folder, or vectors of FaceAll, facenet or face_recognition, in one transaction.

        Parameters
        ----------
        source : path-like
            The folder or file to import.
        made_by : str, optional
            The model that made the vectors, if the source does not state it. With the name of an installed model, the
            vectors can be compared with photos.

        Raises
        ------
        IndexDamagedError, IndexNewerError, IndexFileError
            The source is damaged, written by a newer faceall, or cannot be read.
        IndexMismatchError
            It has vectors of another model.
        """
        label = None if made_by is None else known_label(made_by)
        return merge(self._store, read_vectors(Path(os.path.abspath(source)), label))

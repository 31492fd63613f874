"""`gallery.index`: maintenance, exports and imports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from faceall.analysis.analyser import FaceEmbedder, known_label
from faceall.gallery.bundle.export import BundleExport, export_bundle
from faceall.gallery.bundle.merge import BundleImport, import_bundle, merge
from faceall.gallery.context import Context
from faceall.gallery.maintenance.migration import Migration
from faceall.gallery.maintenance.portable import export_folder, read_vectors
from faceall.gallery.people.removal import UPLOADS
from faceall.gallery.records import GalleryStatistics, Removal
from faceall.gallery.registration.options import Progress
from faceall.index.maintenance.compaction import Compaction
from faceall.index.maintenance.verification import Verification


class GalleryIndex:
    """The index of a gallery: verify, back up, compact, migrate, export, import. Use it as `gallery.index`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def __repr__(self) -> str:
        return f"<index of {self._store.name}>"

    def problems(self) -> list[str]:
        """Check the records against each other and return what is wrong, one line each. Reads everything."""
        return self._store.problems()

    def verify(self) -> Verification:
        """Read everything and compare: database, vectors, graph, thumbnails, and recall against exact search."""
        return self._store.verify()

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes, and describe how the graph is built."""
        return self._store.statistics()

    def remaining(self, removal: Removal) -> int:
        """Count the rows of removed things that can still be found: 0 when everything is gone."""
        return self._store.remaining(removal)

    def compact(self) -> Compaction:
        """Release the space of removed faces.

        Raises
        ------
        IndexBusyError
            Others are writing.
        FaceallError
            The gallery is not in a folder.
        """
        return self._store.compact()

    def backup(self, directory: str | os.PathLike[str]) -> int:
        """Copy a consistent snapshot of the gallery, uploads included, into a new folder while others use it.

        Returns
        -------
        int
            The bytes of the copy.

        Raises
        ------
        IndexFileError
            The folder exists already or cannot be written.
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

        Names, boxes and face ids stay. Searches use the old vectors until the end; a crash leaves all old or all new
        vectors. Faces that others register meanwhile are included.

        Parameters
        ----------
        embedder : FaceEmbedder
            The new model.
        thumbnails : bool, default False
            Where a photo is gone, embed its stored thumbnails, which is less accurate. By default its faces become
            stale: kept, but not found until a later registration finds the photo again.
        progress : callable, optional
            Called with the number of photos done and of all photos.
        stop : threading.Event, optional
            Set it to stop early; a later run continues there.

        Raises
        ------
        FaceallError
            No photo exists any more, or the gallery is not in a folder (while iterating).
        IndexBusyError
            Others are writing for too long (while iterating).
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
        return export_bundle(store, model, target, people=people, threshold=threshold, replace=replace)

    def import_bundle(
        self, path: str | os.PathLike[str], *, restore: bool = False, progress: Progress | None = None
    ) -> BundleImport:
        """Merge the people and faces of a bundle into the gallery, all or nothing; no face is removed or doubled.

        Parameters
        ----------
        path : path-like
            A bundle that `export_bundle` wrote.
        restore : bool, default False
            Bring back faces that were removed from this gallery.
        progress : callable, optional
            Called with the number of faces done and of all faces.

        Raises
        ------
        IndexDamagedError, IndexNewerError, IndexFileError
            The bundle is damaged, written by a newer faceall, or cannot be read.
        IndexMismatchError
            It holds vectors of another model.
        """
        return import_bundle(self._store, Path(os.path.abspath(path)), restore=restore, progress=progress)

    def export_folder(self, directory: str | os.PathLike[str]) -> BundleExport:
        """Write vectors, faces, people and thumbnails into a new folder that other programs can read.

        Raises
        ------
        IndexFileError
            The folder exists already or cannot be written.
        """
        return export_folder(self._store, Path(os.path.abspath(directory)))

    def import_vectors(self, source: str | os.PathLike[str], *, made_by: str | None = None) -> BundleImport:
        """Import what `export_folder` wrote, or vectors of FaceAll, facenet or face_recognition, all or none.

        Parameters
        ----------
        source : path-like
            The folder or file to import.
        made_by : str, optional
            The model that made the vectors, where the source does not say. The name of an installed model makes them
            comparable with photos.

        Raises
        ------
        IndexDamagedError, IndexNewerError, IndexFileError
            The source is damaged, written by a newer faceall, or cannot be read.
        IndexMismatchError
            It holds vectors of another model.
        """
        label = None if made_by is None else known_label(made_by)
        return merge(self._store, read_vectors(Path(os.path.abspath(source)), label))

"""What keeps a gallery well, and takes it to other machines, programs and models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from faceall.analysis.analyser import FaceEmbedder, known_label
from faceall.gallery.bundle.export import BundleExport, export_bundle
from faceall.gallery.bundle.merge import BundleImport, import_bundle, merge
from faceall.gallery.maintenance.migration import Migration
from faceall.gallery.maintenance.portable import export_folder, read_vectors
from faceall.gallery.people.removal import UPLOADS
from faceall.gallery.questions import Questions
from faceall.gallery.records import GalleryStatistics
from faceall.gallery.registration.registration import Progress
from faceall.index.maintenance import Verification, backup
from faceall.index.maintenance_compact import Compaction, compact


class Upkeep(Questions):
    """Exports and imports, another model, and maintenance."""

    def export_bundle(
        self, path: str | os.PathLike[str], *, people: Sequence[str] | None = None, replace: bool = False
    ) -> BundleExport:
        """Write one file with vectors, people, thumbnails and the model's manifest, for a phone or another machine.

        people   whose faces; None: all faces, those of nobody too
        replace  a file that is at `path`

        Raises UnknownPersonError, ModelNotFoundError where the gallery's model is not installed, or IndexFileError.
        """
        index = self._index
        if len(index) or not self._store.read_only:
            self._agree()
        model = self._analyser.embedder.model
        target, judged = Path(os.path.abspath(path)), self.match_threshold
        threshold = None if judged is None else judged.distance
        return export_bundle(index, model, target, people=people, threshold=threshold, replace=replace)

    def import_bundle(
        self, path: str | os.PathLike[str], *, restore: bool = False, progress: Progress | None = None
    ) -> BundleImport:
        """Merge the people and faces of a bundle into the gallery, all or nothing; none is removed, none doubled.

        restore   bring back faces that were removed here
        progress  called with the number of faces done and of all

        Raises IndexDamagedError, IndexNewerError, IndexMismatchError (of another model) or IndexFileError.
        """
        index = self._index
        return import_bundle(index, Path(os.path.abspath(path)), restore=restore, progress=progress)

    def migrate(
        self,
        embedder: FaceEmbedder,
        *,
        thumbnails: bool = False,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Migration:
        """Change the model: iterate over what this returns, a `MigratedPhoto` per photo, and all vectors are exchanged.

        thumbnails  where a photo is gone, embed its stored thumbnails, which is less sure; else its faces are put
                    aside: kept, but not found until a later run finds the photo again
        progress    called with the number of photos done and of all
        stop        set it to end early; a later run goes on there

        Names, boxes and face ids stay. Until the end everybody searches the old vectors; a crash leaves all old or all
        new. Faces that others register meanwhile are taken along.
        Raises, while iterating, FaceallError where no photo is there any more, IndexBusyError if others write for long.
        """
        index = self._index
        self._analyser.use(embedder)
        return Migration(index, embedder, thumbnails=thumbnails, progress=progress, stop=stop)

    def verify(self) -> Verification:
        """Read everything and compare: database, vectors, graph, thumbnails, and recall against exact search."""
        return self._store.verify()

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes, and how the graph is built."""
        return self._store.statistics()

    def compact(self) -> Compaction:
        """Give back the space of removed faces. Raises IndexBusyError while others write."""
        return compact(self._index)

    def backup(self, directory: str | os.PathLike[str]) -> int:
        """Copy one moment of the gallery, uploads too, into a new folder while others use it; returns its bytes.

        Raises IndexFileError where something is there already or it cannot be written.
        """
        return backup(self._index, Path(os.path.abspath(directory)), beside=(UPLOADS,))

    def export_folder(self, directory: str | os.PathLike[str]) -> BundleExport:
        """Write vectors, faces, people and thumbnails into a new folder that other programs read.

        Raises IndexFileError where something is there already or it cannot be written.
        """
        return export_folder(self._index, Path(os.path.abspath(directory)))

    def import_vectors(self, source: str | os.PathLike[str], *, made_by: str | None = None) -> BundleImport:
        """Take up what `export_folder` wrote, or vectors of FaceAll, facenet or face_recognition, all or none.

        made_by  the model that made the vectors, where the source does not say; the name of an installed one makes
                 them comparable with photos

        Raises IndexDamagedError, IndexNewerError, IndexMismatchError (of another model) or IndexFileError.
        """
        label = None if made_by is None else known_label(made_by)
        return merge(self._index, read_vectors(Path(os.path.abspath(source)), label))

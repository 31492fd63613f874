"""`Gallery`: photos go in, and a picture finds who is on it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import TracebackType

from faceall.errors import (
    FaceallError,
    ImageError,
    IndexDamagedError,
    IndexFileError,
    IndexMismatchError,
    UnknownFaceError,
)
from faceall.gallery import browse, clusters, folders, people, schema
from faceall.gallery.analysis import (
    Analyser,
    Comparison,
    FaceDetector,
    FaceEmbedder,
    as_image,
    compare_pictures,
    known_label,
)
from faceall.gallery.browse import Page, StoredPhoto
from faceall.gallery.bundle import BundleExport, export_bundle
from faceall.gallery.bundle_merge import BundleImport, import_bundle, merge
from faceall.gallery.explanation import agreement_of, draw_explanation
from faceall.gallery.health import find_problems
from faceall.gallery.maintenance import GalleryStatistics, gallery_statistics, verify_gallery
from faceall.gallery.migrate import Migration
from faceall.gallery.naming import Candidate, find_candidates
from faceall.gallery.people import GalleryStatus, Person, StoredFace
from faceall.gallery.photos import PhotoResult
from faceall.gallery.portable import export_folder, read_vectors
from faceall.gallery.register import Progress, Registration
from faceall.gallery.removal import (
    Removal,
    delete_faces,
    delete_person,
    delete_photo,
    delete_photos_at,
    remaining,
    remove_uploads,
)
from faceall.gallery.search import (
    PersonResult,
    Query,
    SearchResult,
    keys_of_people,
    list_faces,
    load_face,
    load_faces,
    match_faces,
    match_people,
)
from faceall.gallery.thresholds import (
    Calibration,
    MatchThreshold,
    NamedVectors,
    read_calibration,
    read_named_vectors,
    threshold_in_force,
    write_calibration,
)
from faceall.gallery.workers import Workers
from faceall.index import FaceIndex
from faceall.index.maintenance import Verification, backup
from faceall.index.maintenance_compact import Compaction, compact
from faceall.models import data_folder
from faceall.types import Faces, Image

DATABASE = "faces.db"


def default_folder() -> Path:
    """Where the gallery lies unless told otherwise: FACEALL_GALLERY, else "gallery" in the user's data folder."""
    given = os.environ.get("FACEALL_GALLERY")
    if given:
        return Path(given).expanduser()
    return data_folder() / "gallery"


def holds_gallery(folder: Path) -> bool:
    """Whether there is a gallery in `folder`; raises IndexFileError where that cannot be told."""
    try:
        (folder / DATABASE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise IndexFileError(f"{folder} cannot be used: {error.strerror}") from error
    return True


class Gallery:
    """Photos, the faces on them, and the people these belong to; in one folder, safe at every moment.

    A photo that was reported as registered survives a crash. The gallery keeps vectors and small thumbnails, so it
    works without the photos themselves. Several processes may use one folder at once. Open it with `Gallery.open`.
    """

    def __init__(self, index: FaceIndex, folder: Path, analyser: Analyser) -> None:
        self._index = index
        self._folder = folder
        self._analyser = analyser

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        detector: FaceDetector | None = None,
        embedder: FaceEmbedder | None = None,
        read_only: bool = False,
    ) -> Gallery:
        """Open the gallery in a folder, or make one there.

        path       the folder; by default FACEALL_GALLERY, else "gallery" in the user's data folder
        detector   by default a `Detector`, made when the first picture is looked at
        embedder   by default an `Embedder`, likewise
        read_only  never write; the gallery has to be there

        Raises IndexFileError (cannot be made or used), IndexDamagedError or IndexNewerError.
        """
        folder = Path(os.path.abspath(default_folder() if path is None else path))
        if read_only and not holds_gallery(folder):
            raise IndexFileError(f"{folder}: there is no gallery yet; register photos first: faceall register PHOTOS")
        index = FaceIndex(folder, metric="l2", read_only=read_only)
        try:
            _prepare(index)
        except BaseException:
            index.close(save=False)
            raise
        return cls(index, folder, Analyser(detector, embedder, remembered=lambda: index.model))

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors, None before the first face."""
        return self._index.model

    def __len__(self) -> int:
        """How many faces there are."""
        return len(self._index)

    def __repr__(self) -> str:
        return f"Gallery('{self._folder}')"

    def status(self) -> GalleryStatus:
        """Count what it holds, and the files that are no longer where they were seen."""
        return people.read_status(self._index, self._folder)

    def problems(self) -> list[str]:
        """What is wrong with its files, a line each; none in a sound gallery. Reads everything."""
        return find_problems(self._index)

    # -- photos in --------------------------------------------------------------------------------------------------

    def register(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        person: str | None = None,
        unnamed: bool = False,
        strict: bool = False,
        workers: Workers | None = None,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Registration:
        """Take up photos: iterate over what this returns, a `PhotoResult` per file, each committed before it comes.

        paths     files, and folders that are searched at any depth
        person    whose photos these are. By default a photo below a given folder belongs to the person that its own
                  folder is called after; one directly in a given folder, or given itself, is called after its file's
                  name without the number (the folder's name, where the file's says nothing: 1.jpg, IMG_0042.jpg)
        unnamed   the paths say nothing about who it is: faces that are new belong to nobody
        strict    take up no photo whose chief face is poor: small, blurred, turned away or cut by the edge
        workers   processes that look at the photos, here or on other machines; by default this process does
        progress  called now and then with the number of files done and of all
        stop      set it to end early; what is finished is kept and reported

        Of several faces the chief one (large and central) belongs to the person. The others are stored too and found
        by `search`, filed under nobody. Files that have not changed since the last time cost next to nothing.

        Raises, while iterating, IndexMismatchError if another model made the gallery, ModelNotFoundError if none is
        installed, IndexBusyError if others write for too long.
        """
        given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        if not all(map(os.fspath, given)):
            raise FaceallError("an empty path names no photos; write . for the current folder")
        trouble: list[PhotoResult] = []

        def note(error: ImageError) -> None:
            name, _, reason = str(error).rpartition(": ")
            trouble.append(PhotoResult(Path(name), "unreadable", message=reason))

        candidates = find_candidates(given, known=[found.name for found in self.people()], on_error=note)
        if person is not None:
            name = people.checked_name(person)
            candidates = [replace(candidate, person=name) for candidate in candidates]
        elif unnamed:
            candidates = [replace(candidate, person=None) for candidate in candidates]
        return self._registration(
            candidates, person is not None, strict=strict, first=trouble, workers=workers, progress=progress, stop=stop
        )

    def register_candidates(self, candidates: Iterable[Candidate], *, refile: bool = False) -> Registration:
        """Take up files as `register` does, each with a person of its own, or nobody.

        refile  file the chief face of a known photo under its candidate's person, whoever it belonged to
        """
        tidy = [
            replace(candidate, person=None if candidate.person is None else people.checked_name(candidate.person))
            for candidate in candidates
        ]
        return self._registration(tidy, refile)

    def _registration(
        self,
        candidates: Sequence[Candidate],
        refile: bool,
        *,
        strict: bool = False,
        first: Sequence[PhotoResult] = (),
        workers: Workers | None = None,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Registration:
        return Registration(
            self._index,
            self._analyser,
            candidates,
            refile=refile,
            strict=strict,
            agree=self._agree,
            first=first,
            workers=workers,
            progress=progress,
            stop=stop,
        )

    # -- questions --------------------------------------------------------------------------------------------------

    def search(
        self,
        source: Image | str | os.PathLike[str],
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
    ) -> list[SearchResult]:
        """Who is on a picture: for every face, surest first, the k nearest faces of the gallery.

        source     a path, or pixels (H, W, 3) uint8 RGB
        threshold  the largest distance (squared L2, 0..4) that counts; None: all are given, and `match_threshold`
                   says on which side of it each lies
        people     only faces of these count; None: all faces, those of nobody too
        returns    one result per face; none where there is no face

        Raises ImageError, ModelError, UnknownPersonError, or IndexMismatchError if another model made the gallery.
        """
        return match_faces(self._index, self._ask(source, k, threshold, people), k, threshold)

    def search_people(
        self,
        source: Image | str | os.PathLike[str],
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
    ) -> list[PersonResult]:
        """Who is on a picture: for every face, surest first, the k nearest people; as `search` otherwise."""
        return match_people(self._index, self._ask(source, k, threshold, people), k, threshold)

    def explain(
        self,
        source: Image | str | os.PathLike[str],
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
    ) -> Image:
        """A picture of a search: the query and what was found, with boxes, landmarks, distances and the thresholds.

        It also tells how many of the nearest faces an exact search finds, too.
        returns  (height, width, 3) uint8 RGB

        Raises what `search` raises.
        """
        query = self._ask(source, k, threshold, people)
        results = match_faces(self._index, query, k, threshold)
        every = match_faces(self._index, query, k, None)
        exact = self._index.search(query.vectors, k, exact=True, only=query.only).distances if len(query.faces) else ()
        return draw_explanation(
            query.image,
            query.faces,
            results,
            agreements=[agreement_of(quick.matches, row) for quick, row in zip(every, exact, strict=True)],
            face_of=self._face_of,
        )

    def _face_of(self, face_id: int) -> tuple[Faces, bytes]:
        """A stored face, one in its photo, and its thumbnail."""
        with self._index.reading() as connection:
            return load_face(connection, face_id), self.thumbnail(face_id)

    def _ask(
        self,
        source: Image | str | os.PathLike[str],
        k: int,
        threshold: float | None,
        people: Sequence[str] | None,
    ) -> Query:
        """Find the faces of a query and their vectors, and check what is asked of them."""
        if k < 1:
            raise FaceallError(f"k is {k}, expected a whole number from 1")
        if threshold is not None and not 0 <= threshold <= 4:
            raise FaceallError(f"threshold is {threshold:g}, expected a squared distance from 0 to 4")
        only = None
        if people is not None:
            with self._index.reading() as connection:
                only = keys_of_people(connection, people)
        image = as_image(source)
        self._agree()
        faces, vectors = self._analyser.find(image)
        judged = self.match_threshold if threshold is None else MatchThreshold(threshold, None, "given")
        return Query(image, faces, vectors, judged, only)

    @property
    def calibration(self) -> Calibration | None:
        """The threshold that was chosen on the gallery's own people, for the model that made its vectors."""
        with self._index.reading() as connection:
            return read_calibration(connection, self._index.name, self._index.model)

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        """Store it; None forgets the one that is stored."""
        with self._index.transaction() as connection:
            write_calibration(connection, calibration)

    @property
    def match_threshold(self) -> MatchThreshold | None:
        """Up to which distance faces match: the gallery's own threshold, else the model's, else None."""
        return threshold_in_force(self.calibration, self._analyser.embedder.model.manifest)

    def named_vectors(self, *, most_people: int, most_faces: int) -> NamedVectors:
        """The vectors of the people who have a name; a sample, the same every time, where there are more of them.

        most_people, most_faces  at most so many people, and so many faces of each
        """
        with self._index.reading() as connection:
            return read_named_vectors(
                connection,
                self._index.dimension or 0,
                most_people=most_people,
                most_faces=most_faces,
                unnamed=clusters.cluster_names(connection),
            )

    def compare(
        self, first: Image | str | os.PathLike[str], second: Image | str | os.PathLike[str]
    ) -> Comparison | None:
        """The chief faces of two pictures compared, which need not be in the gallery; None if one shows no face."""
        return compare_pictures(first, second, self._analyser)

    def people(self) -> list[Person]:
        """Everybody, by name, with the number of their faces and photos."""
        with self._index.reading() as connection:
            return people.list_people(connection, unnamed=clusters.cluster_names(connection))

    def faces(self, *, person: str | int | None = None, path: str | os.PathLike[str] | None = None) -> list[StoredFace]:
        """The faces of a person, of the photo that a path held, or all. Raises UnknownPersonError."""
        with self._index.reading() as connection:
            row = None if person is None else people.find_person(connection, person)
            return list_faces(connection, row, None if path is None else Path(os.path.abspath(path)))

    def page_of_people(
        self, *, text: str | None = None, named: bool | None = None, limit: int = 100, offset: int = 0
    ) -> Page[Person]:
        """Some people by name, with the face that shows each best.

        text   only those with this in their name, in capitals or not
        named  only those who have a name (True), or only clusters (False)
        """
        with self._index.reading() as connection:
            return browse.page_of_people(connection, text=text, named=named, limit=limit, offset=offset)

    def person(self, person_id: int) -> Person:
        """Who has an id. Raises UnknownPersonError."""
        with self._index.reading() as connection:
            return browse.one_person(connection, person_id)

    def page_of_faces(
        self,
        *,
        person: int | None = None,
        photo: int | None = None,
        nobody: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> Page[StoredFace]:
        """Some faces by their ids: of a person, on a photo (by their ids), of nobody, where that is asked for."""
        with self._index.reading() as connection:
            return browse.page_of_faces(
                connection, person=person, photo=photo, nobody=nobody, limit=limit, offset=offset
            )

    def face(self, face_id: int) -> StoredFace:
        """The face of an id. Raises UnknownFaceError."""
        with self._index.reading() as connection:
            found = load_faces(connection, [face_id]) if face_id in self._index else {}
        if not found:
            raise people.unknown_face(self._index, face_id)
        return found[face_id]

    def page_of_photos(self, *, person: int | None = None, limit: int = 100, offset: int = 0) -> Page[StoredPhoto]:
        """Some photos that show a face, by their ids; those of a person, by id, where that is asked for."""
        with self._index.reading() as connection:
            return browse.page_of_photos(connection, person=person, limit=limit, offset=offset)

    def photo(self, photo_id: int) -> StoredPhoto:
        """The photo of an id. Raises UnknownFaceError."""
        with self._index.reading() as connection:
            return browse.one_photo(connection, photo_id)

    def photo_seen_at(self, path: str | os.PathLike[str]) -> StoredPhoto | None:
        """The photo that a path held when it was last seen; None where none was seen there."""
        with self._index.reading() as connection:
            return browse.photo_seen_at(connection, Path(os.path.abspath(path)))

    def photo_with(self, digest: bytes) -> StoredPhoto | None:
        """The photo whose file has this SHA-256, 32 bytes; None where there is none."""
        with self._index.reading() as connection:
            return browse.photo_with(connection, digest)

    def paths_of_photos(self, photo_ids: Iterable[int]) -> dict[int, tuple[Path, ...]]:
        """Where photos, by their ids, were seen, the first place first; those that are not there have none."""
        with self._index.reading() as connection:
            return browse.paths_of_photos(connection, photo_ids)

    def thumbnail(self, face_id: int) -> bytes:
        """A face as a small JPEG. Raises UnknownFaceError."""
        if face_id not in self._index:
            raise people.unknown_face(self._index, face_id)
        with self._index.reading() as connection:
            row = connection.execute("SELECT jpeg FROM thumbnails WHERE face = ?", (face_id,)).fetchone()
        if row is None:
            raise people.unknown_face(self._index, face_id)
        if not isinstance(row[0], bytes):
            raise IndexDamagedError(f"the thumbnail of face {face_id} is damaged: faceall index repair cuts it anew")
        return row[0]

    # -- changes by hand --------------------------------------------------------------------------------------------

    def rename_person(self, old: str | int, new: str) -> None:
        """Give a person, by name or id, another name. Raises UnknownPersonError, or NameTakenError."""
        people.rename_person(self._index, old, new)

    def merge_people(self, old: str | int, into: str | int) -> int:
        """File all faces of one person under another, by name or id; returns how many. Raises UnknownPersonError."""
        return people.merge_people(self._index, old, into)

    def name_face(self, face_id: int, person: str) -> None:
        """File one face under a person, new or known. Raises UnknownFaceError."""
        people.name_face(self._index, face_id, person)

    def cluster(self, *, threshold: float | None = None, known: bool = False) -> clusters.Clustering:
        """Group the faces that are filed under nobody by who they seem to be.

        threshold  the largest mean distance (squared L2, 0..4) between faces of one person; None: `clusters.LIMIT`
        known      let them join people who have a name, too; otherwise these stay as they are

        A group is a person called "unnamed 12" until `rename_person` gives a name. Later runs let new faces join, and
        open groups; they never take one apart or join two. Two faces of one photo are never the same person.
        Raises FaceallError for a threshold that is none.
        """
        limit = clusters.LIMIT if threshold is None else threshold
        if not 0 < limit <= 4:
            raise FaceallError(f"threshold is {limit:g}, expected a squared distance above 0, up to 4")
        return clusters.cluster_faces(self._index, limit=limit, known=known)

    def unassign(self, face_ids: Iterable[int]) -> int:
        """File faces under nobody, and never again where they were by clustering; returns how many had a person.

        Raises UnknownFaceError, and then changes nothing.
        """
        return clusters.unassign(self._index, face_ids)

    def split_person(self, name: str | int, face_ids: Iterable[int], *, to: str | None = None) -> str:
        """Take faces of a person (name or id) out to another or (None) to a new cluster; returns what that is called.

        Raises UnknownPersonError, UnknownFaceError, or FaceallError for a face of somebody else; then nothing changes.
        """
        return clusters.split(self._index, name, face_ids, to)

    def write_folders(self, directory: str | os.PathLike[str], *, photos: bool = False) -> int:
        """Write every face into a folder per person or cluster, and one per face that is alone.

        directory  a new or empty folder
        photos     copies of the whole photos, where they are still there, rather than thumbnails
        returns    how many folders that made

        Raises FaceallError.
        """
        return folders.write_folders(self.faces(), Path(directory), thumbnail=self.thumbnail, photos=photos)

    def remove_person(self, name: str) -> int:
        """Remove a person's faces for good; returns how many. Raises UnknownPersonError.

        Photos that are left without a face are forgotten too; registering them again brings them back.
        """
        return self.delete_person(name).count

    def remove_face(self, face_id: int) -> None:
        """Remove one face for good. Raises UnknownFaceError."""
        self.delete_faces([face_id])

    def remove_photo(self, path: str | os.PathLike[str]) -> int:
        """Remove the photo at a path, or all below a folder, for good; returns how many. Raises UnknownFaceError."""
        return len(self.delete_photos_at(path).photos)

    def delete_person(self, person: int | str) -> Removal:
        """Remove a person, by id or name, with all their faces for good. Raises UnknownPersonError."""
        return self._saved(delete_person(self._index, person))

    def delete_faces(self, face_ids: Iterable[int]) -> Removal:
        """Remove faces for good, all or none; photos too that show no other. Raises UnknownFaceError."""
        return self._saved(delete_faces(self._index, face_ids))

    def delete_photo(self, photo_id: int) -> Removal:
        """Remove a photo, by its id, with all its faces for good. Raises UnknownFaceError."""
        return self._saved(delete_photo(self._index, photo_id))

    def delete_photos_at(self, path: str | os.PathLike[str]) -> Removal:
        """Remove the photo at a path, or all below a folder, for good. Raises UnknownFaceError."""
        if not os.fspath(path):
            raise UnknownFaceError("an empty path names no photo")
        return self._saved(delete_photos_at(self._index, Path(os.path.abspath(path))))

    def remaining(self, removal: Removal) -> int:
        """How many rows of what was removed can still be found: 0 when everything is gone."""
        return remaining(self._index, removal)

    def _saved(self, removal: Removal) -> Removal:
        """The removal with its receipt, after every file was rid of what went."""
        remove_uploads(self._folder, removal.paths)
        if removal.count:
            self._index.save()
        return replace(removal, receipt=self._index.receipt())

    # -- from and to other machines ---------------------------------------------------------------------------------

    def export_bundle(
        self, path: str | os.PathLike[str], *, people: Sequence[str] | None = None, replace: bool = False
    ) -> BundleExport:
        """Write one file with vectors, people, thumbnails and the model's manifest, for a phone or another machine.

        people   whose faces; None: all faces, those of nobody too
        replace  a file that is at `path`

        Raises UnknownPersonError, ModelNotFoundError where the gallery's model is not installed, or IndexFileError.
        """
        if len(self) or not self._index.read_only:
            self._agree()
        model = self._analyser.embedder.model
        target, judged = Path(os.path.abspath(path)), self.match_threshold
        threshold = None if judged is None else judged.distance
        return export_bundle(self._index, model, target, people=people, threshold=threshold, replace=replace)

    def import_bundle(
        self, path: str | os.PathLike[str], *, restore: bool = False, progress: Progress | None = None
    ) -> BundleImport:
        """Merge the people and faces of a bundle into the gallery, all or nothing; none is removed, none doubled.

        restore   bring back faces that were removed here
        progress  called with the number of faces done and of all

        Raises IndexDamagedError, IndexNewerError, IndexMismatchError (of another model) or IndexFileError.
        """
        return import_bundle(self._index, Path(os.path.abspath(path)), restore=restore, progress=progress)

    # -- another model ----------------------------------------------------------------------------------------------

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
        self._analyser.use(embedder)
        return Migration(self._index, embedder, thumbnails=thumbnails, progress=progress, stop=stop)

    # -- maintenance ------------------------------------------------------------------------------------------------

    def verify(self) -> Verification:
        """Read everything and compare: database, vectors, graph, thumbnails, and recall against exact search."""
        return verify_gallery(self._index)

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes, and how the graph is built."""
        return gallery_statistics(self._index)

    def compact(self) -> Compaction:
        """Give back the space of removed faces. Raises IndexBusyError while others write."""
        return compact(self._index)

    def backup(self, directory: str | os.PathLike[str]) -> int:
        """Copy one moment of the gallery into a new folder while others use it; returns its bytes.

        Raises IndexFileError where something is there already or it cannot be written.
        """
        return backup(self._index, Path(os.path.abspath(directory)))

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

    # -- the end ----------------------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Load the models now rather than at the first picture."""
        self._analyser.warm_up()

    def close(self) -> None:
        """Release the files; a second call does nothing."""
        self._index.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._index.close(save=error is None)

    def _agree(self) -> None:
        """Refuse to mix vectors of two models; tell an empty gallery which one it will hold."""
        try:
            self._index.adopt(model=self._analyser.model_label, dimension=self._analyser.embedder.size)
        except IndexMismatchError as error:
            command = f"faceall index migrate --model {shlex.quote(self._analyser.embedder.model.manifest.name)}"
            raise IndexMismatchError(f"{error}, or switch the gallery to this one: {command}") from error


def _prepare(index: FaceIndex) -> None:
    """Make the gallery's tables, or check those that are there."""
    with index.reading() as connection:
        found = schema.version(connection, index.name)
    if found == schema.SCHEMA:
        return
    if index.read_only:
        raise IndexFileError(f"{index.name} is a bare face index, without the photos and people of a gallery")
    with index.transaction() as connection:
        schema.create(connection, index.name)

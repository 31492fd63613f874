"""`Gallery`: register photos, search for the people in an image."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias

from faceall.analysis.analyser import (
    AnalysedImage,
    Analyser,
    Comparison,
    FaceDetector,
    FaceEmbedder,
    compare_images,
)
from faceall.arguments import checked_methods
from faceall.gallery.addresses import is_address
from faceall.gallery.context import Context
from faceall.gallery.decisions import set_target_fpir, target_fpir
from faceall.gallery.naming import Candidate, NamesFrom
from faceall.gallery.opening import default_place, open_store
from faceall.gallery.people.history import erase_expired
from faceall.gallery.people.names import validate_name
from faceall.gallery.people.removal import finish_removal
from faceall.gallery.records import GalleryStatus, PhotoResult
from faceall.gallery.registration.options import Progress, RegistrationOptions, Workers
from faceall.gallery.search import PersonResult, SearchResult, match_faces, match_people
from faceall.gallery.search.query import SearchOptions, analyse_image, make_query
from faceall.gallery.thresholds import Calibration, MatchThreshold, read_calibration, write_calibration
from faceall.images import ImageSource
from faceall.index import FaceIndex
from faceall.models import Manifest
from faceall.types import Image, Results
from faceall.video import EVERY, VideoProgress, track_faces

if TYPE_CHECKING:
    from faceall.gallery.faces import GalleryFaces
    from faceall.gallery.index import GalleryIndex
    from faceall.gallery.people.people import GalleryPeople
    from faceall.gallery.photos import GalleryPhotos
    from faceall.gallery.registration.registration import Registration
    from faceall.gallery.videos import Appearance, VideoResult

_DETECTOR = "detector"  # the setting that names the gallery's detector; absent for MTCNN

Source: TypeAlias = ImageSource | AnalysedImage
"""What can be searched for: pixels (H, W, 3) uint8 RGB, a path, or an image that was analysed already."""


@checked_methods
class Gallery:
    """Photos, the faces on them, and the people these belong to, in one folder or in Milvus.

    A photo that was reported as registered survives a crash. The gallery keeps vectors and small thumbnails, so it
    works without the photos themselves. Several processes may use one gallery at once. Open it with `Gallery.open`.
    It can be pickled and copied by where it is, and used after a fork: either opens it again.

    Attributes
    ----------
    people : GalleryPeople
        List, rename, merge, split, cluster and remove people.
    photos : GalleryPhotos
        List, look up and remove photos.
    faces : GalleryFaces
        List faces, assign them to people, remove them.
    index : GalleryIndex
        Verify, back up, compact, migrate, export and import.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._analyser = context.analyser
        self._opening: Callable[[], Gallery] = functools.partial(Gallery.open, context.store.name)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        detector: FaceDetector | None = None,
        embedder: FaceEmbedder | None = None,
        read_only: bool = False,
    ) -> Gallery:
        """Open the gallery in a folder or in Milvus, or create one there.

        Parameters
        ----------
        path : path-like, optional
            A folder, or an address: milvus://HOST:PORT/NAME, milvuss://... (TLS), milvus-lite:///PATH.db. By default
            FACEALL_GALLERY, else "gallery" in the user's data folder.
        detector : FaceDetector, optional
            By default a `Detector`, created when the first image is analysed.
        embedder : FaceEmbedder, optional
            By default an `Embedder`, created likewise.
        read_only : bool, default False
            Never write; the gallery must exist.

        Raises
        ------
        IndexFileError
            It cannot be created, reached or used; or one of its subclasses IndexDamagedError, IndexNewerError,
            IndexBusyError.
        MissingDependencyError
            Milvus without pymilvus.
        """
        store = open_store(default_place() if path is None else path, read_only=read_only)
        analyser = Analyser(
            detector, embedder, remembered=lambda: store.model, detector_name=lambda: store.setting(_DETECTOR)
        )
        if not read_only and (expired := erase_expired(store)):
            finish_removal(store, expired)
        gallery = cls(Context(store, analyser))
        given = default_place() if path is None else path
        place = given if is_address(given) else store.name
        gallery._opening = functools.partial(
            Gallery.open, place, detector=detector, embedder=embedder, read_only=read_only
        )
        return gallery

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy where the gallery is; it is opened again there, with its own connection."""
        return self._opening, ()

    # -- parts, each loaded when it is first used ----------------------------------------------------------------------

    @functools.cached_property
    def people(self) -> GalleryPeople:
        """People: names, groups, questions, history and the bin."""
        from faceall.gallery.people.people import GalleryPeople

        return GalleryPeople(self._context)

    @functools.cached_property
    def photos(self) -> GalleryPhotos:
        """Registered photos, their files and metadata."""
        from faceall.gallery.photos import GalleryPhotos

        return GalleryPhotos(self._context)

    @functools.cached_property
    def faces(self) -> GalleryFaces:
        """Stored faces and their people."""
        from faceall.gallery.faces import GalleryFaces

        return GalleryFaces(self._context)

    @functools.cached_property
    def index(self) -> GalleryIndex:
        """The store: checks, backups, bundles and the change to another model."""
        from faceall.gallery.index import GalleryIndex

        return GalleryIndex(self._context)

    # -- description ------------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """Where the gallery is: a folder, or an address without credentials."""
        return self._store.name

    @property
    def folder(self) -> Path:
        """The folder of its files; for a gallery in Milvus, of those that this machine keeps."""
        return self._store.folder

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors, None before the first face."""
        return self._store.model

    @property
    def detector(self) -> str:
        """The detector of the gallery: "mtcnn" or the name of an installed detector."""
        return str(self._store.setting(_DETECTOR) or "mtcnn")

    def choose_detector(self, name: str) -> None:
        """Set the detector of the gallery permanently; registered photos keep their faces.

        Raises
        ------
        ModelNotFoundError
            If no detector with that name is installed.
        """
        from faceall.detect import Detector

        Detector(name)
        self._store.put_setting(_DETECTOR, None if name == "mtcnn" else name)

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self._store.faces)

    def __repr__(self) -> str:
        return f"Gallery('{self._store.name}')"

    def status(self) -> GalleryStatus:
        """Count faces, people, photos, files, and missing files."""
        return self._store.status()

    # -- registration -----------------------------------------------------------------------------------------------

    def register(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        person: str | None = None,
        names_from: NamesFrom = "auto",
        unnamed: bool = False,
        strict: bool = False,
        min_face: float | None = None,
        workers: Workers | Literal["auto"] | None = None,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> list[PhotoResult]:
        """Register photos.

        The primary face of a photo (large and central) is assigned to the person. Other faces are stored unassigned;
        `search` finds them too. Unchanged files are skipped.

        Parameters
        ----------
        paths : path-like, or iterable of path-like
            Files, and folders that are searched recursively.
        person : str, optional
            The person of all these photos, including registered ones.
        names_from : {"auto", "folders", "files", "xmp", "none"}, default "auto"
            Where names come from otherwise. With "auto" a folder names its photos if it looks like a person's (no
            date, no word of a camera, program or event) and most primary faces in it agree; `iter_register` reports
            what was decided. "folders" takes the nearest folder without checking the faces, "files" the file name
            without dates, counters and copies, "xmp" the face regions in the metadata; these three also name
            registered photos that have no name.
        unnamed : bool, default False
            Use no names from paths, and remove those that registered photos got from paths or `person`; names given by
            hand and all faces stay. `people.undo` gives the names back.
        strict : bool, default False
            Refuse photos whose primary face is small, blurred, turned away or cut off by the edge.
        min_face : float, optional
            Side in pixels of the smallest face to search for, at least 12. By default it follows the photo: 20 pixels,
            or a sixtieth of the shorter side in photos where that is more. It is stored with each photo.
        workers : Workers or "auto", optional
            Processes that analyse the photos, on this or other machines; by default this process. With "auto" processes
            of this machine if they are faster: for a thousand small photos and more. A script that uses processes needs
            ``if __name__ == "__main__":``.
        progress : callable, optional
            Called from time to time with the number of processed files and the total.
        stop : threading.Event, optional
            Set it to stop early; finished photos are kept and reported.

        Returns
        -------
        list of PhotoResult
            One per file, in order; each was committed. Names from folders are decided.

        Raises
        ------
        IndexMismatchError
            The gallery has vectors of another model.
        ModelNotFoundError
            No embedder is installed.
        IndexBusyError
            Another process has been writing for too long.
        """
        from faceall.gallery.registration.paths import NameOptions, register_paths

        names = NameOptions(person=person, names_from=names_from, unnamed=unnamed)
        options = RegistrationOptions(strict=strict, min_face=min_face, workers=workers, progress=progress, stop=stop)
        registration = register_paths(self._context, paths, names, options)
        results = list(registration)
        return [registration.decided(result) for result in results]

    def iter_register(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        person: str | None = None,
        names_from: NamesFrom = "auto",
        unnamed: bool = False,
        strict: bool = False,
        min_face: float | None = None,
        workers: Workers | Literal["auto"] | None = None,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Registration:
        """Register photos as `register` does, while iterating over the result.

        Returns
        -------
        Registration
            An iterator of `PhotoResult`, one per file, each committed before it is yielded. Photos are read only while
            iterating. Names from folders are decided after the last one: until then they are `undecided`.

        Raises
        ------
        FaceallError
            A path is empty or a URL. While iterating: the errors of `register`.
        """
        from faceall.gallery.registration.paths import NameOptions, register_paths

        names = NameOptions(person=person, names_from=names_from, unnamed=unnamed)
        options = RegistrationOptions(strict=strict, min_face=min_face, workers=workers, progress=progress, stop=stop)
        return register_paths(self._context, paths, names, options)

    def watch(
        self,
        folders: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        names_from: NamesFrom = "auto",
        poll: float | None = None,
        stop: Event | None = None,
    ) -> Iterator[PhotoResult]:
        """Register the photos of folders, and then each one that appears, while iterating over the result.

        Parameters
        ----------
        folders : path-like or iterable of path-like
            Existing folders.
        names_from : str, default "auto"
            As for `register`.
        poll : float, optional
            Look every so many seconds instead of waiting for events of the file system (package watchfiles).
        stop : threading.Event, optional
            Set it to end.

        Yields
        ------
        PhotoResult
            What changed, each after it was committed; a file that is gone has the status "removed" and keeps its
            faces, also one that was gone before. A folder that is gone itself is "unreadable", and is watched again
            when it returns; so is a folder that is empty at the start and had photos.

        Raises
        ------
        FaceallError
            A path is not a folder, or the system cannot watch so many folders; and what `register` raises.
        """
        given = [folders] if isinstance(folders, str | os.PathLike) else folders
        from faceall.gallery.registration.paths import NewPhotos
        from faceall.gallery.registration.watching import watch_folders

        return watch_folders(
            NewPhotos(self._context), [Path(one) for one in given], names_from=names_from, poll=poll, stop=stop
        )

    def register_candidates(self, candidates: Iterable[Candidate], *, reassign: bool = False) -> Registration:
        """Register files that each have their own person or none, while iterating over the result.

        Parameters
        ----------
        candidates : iterable of Candidate
            The files and their people.
        reassign : bool, default False
            Reassign the primary face of a registered photo to the person of its candidate; without one it loses a
            name that came with its registration.

        Returns
        -------
        Registration
            An iterator of `PhotoResult`, as of `iter_register`.

        Raises
        ------
        FaceallError
            A name is empty, too long or has control characters. While iterating: the errors of `register`.
        """
        tidy = [
            replace(candidate, person=None if candidate.person is None else validate_name(candidate.person))
            for candidate in candidates
        ]
        from faceall.gallery.registration.registration import Registration

        return Registration(self._context, tidy, RegistrationOptions(reassign="all" if reassign else "none"))

    # -- videos -----------------------------------------------------------------------------------------------------

    def search_video(
        self,
        path: str | os.PathLike[str],
        *,
        every: float = EVERY,
        min_face: float | None = None,
        progress: VideoProgress | None = None,
    ) -> list[Appearance]:
        """Find who appears in a video and when.

        Parameters
        ----------
        path : path-like
            A video, in a format and codec that OpenCV's decoder knows.
        every : float, default 0.5
            Seconds between two frames that are searched; the first frame of each scene is searched too.
        min_face : float, optional
            Side in pixels of the smallest face; by default 32, or a thirtieth of the shorter side of a frame.
        progress : callable, optional
            Called with the time of the present frame and the duration in seconds, None if unknown.

        Returns
        -------
        list of Appearance
            Every face, followed from its first to its last frame, in order of time.

        Raises
        ------
        UnreadableImageError
            The video cannot be read.
        IndexMismatchError
            The gallery has vectors of another model.
        """
        from faceall.gallery.videos import identify_tracks

        video = Path(os.path.abspath(path))
        self._context.require_same_model()
        tracks = track_faces(video, every=every, min_face=min_face, analyser=self._analyser, progress=progress)
        return identify_tracks(self._context, video, list(tracks))

    def register_video(
        self,
        path: str | os.PathLike[str],
        *,
        new_people: bool = False,
        every: float = EVERY,
        min_face: float | None = None,
        progress: VideoProgress | None = None,
    ) -> VideoResult:
        """Register the faces of a video: the best view of each, with the times at which it is seen.

        Faces that match a person of the gallery join that person; the others are stored without a person, and
        `people.cluster` makes no new people of them.

        Parameters
        ----------
        path : path-like
            A video.
        new_people : bool, default False
            Make people of the faces that match no one: one without a name per group of similar faces. For a video that
            is registered already, of its faces without a person.
        every, min_face, progress
            As for `search_video`.

        Returns
        -------
        VideoResult
            The status is "unchanged" for a video that is registered already; it is not searched again.

        Raises
        ------
        UnreadableImageError
            The video cannot be read; nothing is stored.
        IndexMismatchError
            The gallery has vectors of another model.
        """
        from faceall.gallery.videos import VideoResult, known_video, register_tracks, registered_appearances

        video = Path(os.path.abspath(path))
        limit = self.people.cluster_threshold if new_people else None
        info, known = known_video(self._context, video)
        if known is not None:
            return VideoResult(known, tuple(registered_appearances(self._store, video, info.digest, limit=limit)))
        self._context.require_same_model()
        tracks = track_faces(video, every=every, min_face=min_face, analyser=self._analyser, progress=progress)
        return register_tracks(self._context, info, list(tracks), limit=limit)

    # -- search -----------------------------------------------------------------------------------------------------

    def analyse(self, source: ImageSource) -> AnalysedImage:
        """Detect and embed the faces of an image, to reuse them in several searches.

        Returns
        -------
        AnalysedImage
            Can be passed to `search`, `search_people` and `explain`.

        Raises
        ------
        ImageError
            The image cannot be read.
        ModelError
            A model is missing or damaged.
        IndexMismatchError
            The gallery has vectors of another model.
        """
        return analyse_image(self._context, source)

    def search(
        self,
        source: Source,
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Results[SearchResult]:
        """Find the k nearest faces of the gallery for every face in an image.

        Parameters
        ----------
        source : path-like, (H, W, 3) uint8 array or AnalysedImage
            The image to search for, RGB.
        k : int, default 5
            Number of faces to return per face of the image.
        threshold : float, optional
            Only matches up to this distance (squared L2, 0..4). By default all are returned, and `match_threshold`
            decides which of them count as matches.
        people : sequence of str, optional
            Search only their faces; by default all, unassigned ones included.
        since, until : str, optional
            Search only photos from the first to the last day, YYYY-MM-DD. The date of a photo is the one that the
            camera noted, else that of its oldest file.

        Returns
        -------
        Results of SearchResult
            One per face of the image, most certain detection first; empty if there is no face. A list with `to_dicts`
            and `to_pandas`.

        Raises
        ------
        ImageError
            The image cannot be read.
        ModelError
            A model is missing or damaged.
        UnknownPersonError
            One of the people does not exist.
        ArgumentError
            A date is not one.
        IndexMismatchError
            The gallery has vectors of another model.
        """
        options = SearchOptions(k=k, threshold=threshold, people=people, since=since, until=until)
        return match_faces(self._store, make_query(self._context, source, options), k, threshold)

    def search_people(
        self,
        source: Source,
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[PersonResult]:
        """Find the k nearest people for every face in an image; parameters and errors are those of `search`."""
        options = SearchOptions(k=k, threshold=threshold, people=people, since=since, until=until)
        return match_people(self._store, make_query(self._context, source, options), k, threshold)

    def explain(
        self,
        source: Source,
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Image:
        """Draw a search: the image and its matches with boxes, landmarks, distances and thresholds.

        The drawing also states how many of the nearest faces agree with an exact search. Parameters and errors are
        those of `search`.

        Returns
        -------
        (H, W, 3) uint8
            RGB.
        """
        options = SearchOptions(k=k, threshold=threshold, people=people, since=since, until=until)
        from faceall.gallery.search.explanation import explain_search

        return explain_search(self._store, make_query(self._context, source, options), k, threshold)

    def compare(self, first: ImageSource, second: ImageSource) -> Comparison | None:
        """Compare the primary faces of two images, registered or not.

        Returns
        -------
        Comparison or None
            None if no face was found in one of the images.

        Raises
        ------
        ImageError
            An image cannot be read.
        ModelError
            A model is missing or damaged.
        """
        return compare_images(first, second, self._analyser)

    @property
    def calibration(self) -> Calibration | None:
        """The calibration by pairs, if one is stored for the gallery's model; set it to None to remove it."""
        return read_calibration(self._store)

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        write_calibration(self._store, calibration)

    @property
    def fpir(self) -> float:
        """The target false-positive identification rate: the share of searches of strangers that return a match."""
        return target_fpir(self._store)

    def choose_fpir(self, fpir: float | None) -> None:
        """Set the target false-positive identification rate; None restores the default of 1 %.

        Raises
        ------
        ArgumentError
            If the rate is not above 0 and at most 0.5.
        """
        set_target_fpir(self._store, fpir)

    @property
    def match_threshold(self) -> MatchThreshold | None:
        """The threshold of searches, from the target FPIR, the model, and the size and people of the gallery."""
        return self._context.match_threshold

    @property
    def installed_manifest(self) -> Manifest:
        """The manifest of the embedder in use.

        Raises
        ------
        ModelNotFoundError
            If no embedder is installed.
        """
        return self._analyser.embedder.model.manifest

    @property
    def pair_threshold(self) -> MatchThreshold | None:
        """The match threshold for comparing two faces; its false match rate is per comparison."""
        return self._context.pair_threshold

    # -- life cycle -------------------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Load the models now instead of at the first image."""
        self._analyser.warm_up()

    def close(self) -> None:
        """Release the files or the connection; a second call does nothing."""
        self._store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close(save=error is None)

    @property
    def _index(self) -> FaceIndex:
        return self._context.store.index  # type: ignore[attr-defined, no-any-return]  # tests look inside a folder

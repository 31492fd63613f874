"""Detect faces in batches of images and embed them across photos; uses no database."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from faceall.analysis import Analyser, Note, make_thumbnail, notes_on, primary_face
from faceall.cores import available_cores
from faceall.gallery.records import Analysis
from faceall.gallery.records.near_duplicates import print_of
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.images import Reduction, decode_image
from faceall.types import Array, Faces, Image

_Task: TypeAlias = Callable[[], list[Faces]]

DETECT_FILES = 32
_SEARCHED_AHEAD = 2  # batches; while one ends, the cores that it no longer needs start the next
_DETECT_PIXELS = 12_000_000
_EMBED_FACES = 16
_SIDE_NEEDED = 0.65
"""Side from which a face has the pixels that the embedder needs, as a share of its input's side.

With twice as many pixels the vector of a face of 72 pixels moves by 0.018, that of a face of 40 pixels by 0.094
(squared distance, medians of 14 portraits, for an input of 112 pixels). The threshold of a match is about 1.3.
"""


@dataclass
class Timings:
    """Seconds per stage; reading and detection run in parallel, so only the time spent waiting for them counts."""

    reading: float = 0.0
    detection: float = 0.0
    embedding: float = 0.0
    storage: float = 0.0

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)


@dataclass(frozen=True, eq=False)
class _Search:
    """The search for the faces of a batch.

    Attributes
    ----------
    batch : list of ScannedFile
        The files.
    shown : list of (ScannedFile, Image)
        Those with an image.
    stale : list of Faces
        The stale faces of each of these.
    found : callable
        Waits for the faces of those without stale ones, and returns them.
    """

    batch: list[ScannedFile]
    shown: list[tuple[ScannedFile, Image]]
    stale: list[Faces]
    found: Callable[[], list[Faces]]


class BatchAnalyzer:
    """Analyses scanned files; the ones it has seen are in `files`, in order.

    Parameters
    ----------
    analyser : Analyser
        Finds and embeds faces.
    timings : Timings
        Is given the time spent.
    check_model : callable, optional
        Called before each batch that has images.
    stale_faces : callable, optional
        Returns the stale faces of a photo; a photo with some is not searched for others.
    """

    def __init__(
        self,
        analyser: Analyser,
        timings: Timings,
        *,
        check_model: Callable[[], None] = lambda: None,
        stale_faces: Callable[[ScannedFile], Faces] = lambda file: Faces.empty(),
    ) -> None:
        self.files: deque[ScannedFile] = deque()
        self._analyser, self._timings = analyser, timings
        self._check_model, self._stale_faces = check_model, stale_faces
        self._crops: list[tuple[ScannedFile, int, Image]] = []

    @property
    def reduction(self) -> Reduction:
        """By which factor photos may be reduced while they are decoded."""
        return self._analyser.reduction

    def analyse(self, batch: list[ScannedFile]) -> None:
        """Find the faces of a batch and cut them out; the images are released."""
        self._finish(self._search(batch, _run_now))

    def analyse_all(self, batches: Iterable[list[ScannedFile]]) -> Iterator[None]:
        """Analyse batches, and yield after each; further batches are searched while the faces of one are cut out."""
        detecting = ThreadPoolExecutor(_SEARCHED_AHEAD, "faceall-detect")
        waiting: deque[_Search] = deque()
        try:
            for batch in batches:
                waiting.append(self._search(batch, lambda task: detecting.submit(task).result))
                if len(waiting) > _SEARCHED_AHEAD:
                    self._finish(waiting.popleft())
                    yield
            while waiting:
                self._finish(waiting.popleft())
                yield
        finally:
            detecting.shutdown(wait=False, cancel_futures=True)

    def _search(self, batch: list[ScannedFile], start: Callable[[_Task], _Task]) -> _Search:
        """Start to search the images of a batch for faces."""
        shown = [(file, file.image) for file in batch if file.image is not None]
        if not shown:
            return _Search(batch, [], [], list)
        self._check_model()
        stale = [self._stale_faces(file) for file, _ in shown]
        new = [image for (_, image), faces in zip(shown, stale, strict=True) if not len(faces)]
        detector = self._analyser.detector
        return _Search(batch, shown, stale, start(lambda: detector.detect_batch(new) if new else []))

    def _finish(self, search: _Search) -> None:
        """Wait for the faces of a batch and cut them out; the images are released."""
        with self._timings.measure("detection"):
            found = iter(search.found())
        with self._timings.measure("embedding"):
            faces_of = [
                _scaled(faces, file.size, image, back=True) if len(faces) else next(found)
                for (file, image), faces in zip(search.shown, search.stale, strict=True)
            ]
            self._decode_finer(search.shown, faces_of)
            for (file, image), faces in zip(search.shown, faces_of, strict=True):
                self._cut_out(file, image, faces)
        self.files.extend(search.batch)

    def _decode_finer(self, shown: Sequence[tuple[ScannedFile, Image]], faces_of: Sequence[Faces]) -> None:
        """Decode those photos again with more pixels whose reduction took pixels of a face that the embedder needs."""
        needed = {
            file: _reduction_for(file, image, self._side_needed() / _sides(faces).min())
            for (file, image), faces in zip(shown, faces_of, strict=True)
            if file.content is not None and len(faces) and _sides(faces).min() < self._side_needed()
        }

        def decode(file: ScannedFile) -> Image:
            return decode_image(file.content or b"", reduction=lambda width, height: needed[file]).pixels

        with ThreadPoolExecutor(min(len(needed), available_cores()) or 1) as pool:
            for file, pixels in zip(needed, pool.map(decode, needed), strict=True):
                file.image = pixels

    def _side_needed(self) -> float:
        """Return the side in pixels from which more pixels of a face do not change its vector."""
        return _SIDE_NEEDED * max(self._analyser.embedder.model.manifest.input_size)

    def _cut_out(self, file: ScannedFile, image: Image, faces: Faces) -> None:
        """Cut out the faces, given in pixels of `image`; small ones from the finer image, if there is one."""
        views = [_View(image, faces.take([number])) for number in range(len(faces))]
        if file.image is not None and file.image is not image:
            small = _sides(faces) < self._side_needed()
            views = [view.on(file.image) if small[number] else view for number, view in enumerate(views)]
        _describe(file, image, faces, views, self._analyser)
        for number, view in enumerate(views):
            self._crops.append((file, number, self._analyser.embedder.crop(view.image, view.faces)[0]))

    def embed(self, *, everything: bool) -> None:
        """Embed full batches of faces, across photos; with `everything` the rest too."""
        while len(self._crops) >= _EMBED_FACES or (everything and self._crops):
            batch = self._crops[:_EMBED_FACES]
            with self._timings.measure("embedding"):
                vectors = self._analyser.embedder.embed_crops(np.stack([crop for _, _, crop in batch]))
            for (file, number, _), vector in zip(batch, vectors, strict=True):
                assert file.analysis is not None
                file.analysis.vectors[number] = vector
                file.pending -= 1
            self._crops = self._crops[_EMBED_FACES:]


def batches(
    files: Iterator[ScannedFile], timings: Timings, stopped: Callable[[], bool] = lambda: False
) -> Iterator[list[ScannedFile]]:
    """Group files into batches that fit the detector; end early when `stopped` returns True."""
    batch: list[ScannedFile] = []
    pixels = 0
    while not stopped():
        with timings.measure("reading"):
            file = next(files, None)
        if file is None:
            break
        batch.append(file)
        pixels += 0 if file.image is None else file.image.shape[0] * file.image.shape[1]
        if pixels >= _DETECT_PIXELS or len(batch) >= DETECT_FILES:
            yield batch
            batch, pixels = [], 0
    yield batch


def _run_now(task: _Task) -> _Task:
    """Run a task here, and return what returns its result."""
    found = task()
    return lambda: found


@dataclass(frozen=True, eq=False)
class _View:
    """One face in pixels of an image."""

    image: Image
    faces: Faces

    def on(self, other: Image) -> _View:
        """Return the face on the same image at another size."""
        return _View(other, _scaled(self.faces, (other.shape[1], other.shape[0]), self.image))


def _sides(faces: Faces) -> Array:
    """Return the mean of width and height of each face, (n,)."""
    return np.asarray((faces.boxes[:, 2:] - faces.boxes[:, :2]).mean(axis=1))


def _reduction_for(file: ScannedFile, image: Image, finer: float) -> int:
    """Return by which factor a photo may be reduced so that it is at least `finer` times as large as `image`."""
    width = image.shape[1] if file.size is None else file.size[0]
    allowed = width / image.shape[1] / finer
    return next((factor for factor in (4, 2) if factor <= allowed), 1)


def _scaled(faces: Faces, size: tuple[int, int] | None, image: Image, *, back: bool = False) -> Faces:
    """Return faces on `image` as faces on the photo of `size`; with `back` the other way round."""
    if size is None or size == (image.shape[1], image.shape[0]):
        return faces
    scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
    scale = (1 / scale).astype(np.float32) if back else scale
    return Faces(faces.boxes * np.tile(scale, 2), faces.scores, faces.landmarks * scale)


def _describe(file: ScannedFile, image: Image, faces: Faces, views: Sequence[_View], analyser: Analyser) -> None:
    """Replace the image of a file by the analysis of its faces, without their vectors.

    The faces are given in pixels of `image`, which may be a reduction of the photo; `views` shows each with the pixels
    that it needs.
    """
    width, height = file.size or (image.shape[1], image.shape[0])
    primary = primary_face(faces, image.shape) if len(faces) else None
    notes = () if primary is None else notes_on(views[primary].image, views[primary].faces[0])
    if file.truncated:
        notes = (*notes, Note("truncated", "the end of the file is missing"))
    file.analysis = Analysis(
        width=width,
        height=height,
        faces=_scaled(faces, file.size, image),
        smallest_face=analyser.smallest_face(width, height),
        taken=file.metadata.taken,
        camera=file.metadata.camera,
        primary=primary,
        thumbnails=tuple(make_thumbnail(view.image, view.faces[0]) for view in views),
        vectors=np.zeros((len(faces), analyser.embedder.size), np.float32),
        notes=notes,
        print=None if primary is None else print_of(image),
    )
    file.image, file.content, file.pending = None, None, len(faces)

"""The faces of a video as tracks: when each was seen, its best view and the vector of that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np

from faceall.analysis import Analyser, FaceDetector, make_thumbnail
from faceall.arguments import checked
from faceall.types import Faces, Float32Array
from faceall.video.frames import EVERY, Frame, VideoFile, open_video
from faceall.video.tracking import OpenTrack, Tracker, View

_BATCH = 8  # frames that are searched together
_BATCH_PIXELS = 16_000_000
_GAP = 1.0  # seconds, and at least twice the time between two frames
_SMALLEST, _SHARE = 32.0, 1 / 30  # the smallest face: pixels, and share of the shorter side of a frame
_CERTAIN = 0.95  # score from which a face that was seen in one frame only counts


VideoProgress: TypeAlias = Callable[[float, float | None], None]
"""Called with the time of the present frame and the duration of the video in seconds, None if unknown."""


@dataclass(frozen=True, eq=False)
class Track:
    """A face of a video, followed from its first to its last frame.

    Attributes
    ----------
    start, end : float
        The times of the first and the last frame that shows it, in seconds from the start of the video.
    views : int
        In how many frames it was found.
    best : View
        The view in which it can be recognised best.
    vector : (D,) float32
        The embedding of that view, of unit length.
    """

    start: float
    end: float
    views: int
    best: View
    vector: Float32Array

    @property
    def thumbnail(self) -> bytes:
        """The face as a square JPEG."""
        return make_thumbnail(self.best.image, self.best.inside)


@checked
def track_faces(
    path: str | os.PathLike[str],
    *,
    every: float = EVERY,
    min_face: float | None = None,
    analyser: Analyser | None = None,
    progress: VideoProgress | None = None,
) -> Iterator[Track]:
    """Find the faces of a video and follow each through its frames.

    Parameters
    ----------
    path : path-like
        A video file.
    every : float
        Seconds between two frames that are searched; the first frame of each scene is searched too.
    min_face : float, optional
        Side in pixels of the smallest face, at least 12; by default 32, or a thirtieth of the shorter side of a frame
        where that is more. A custom detector has its own limit.
    analyser : Analyser, optional
        The detector and the embedder; by default those of faceall.
    progress : callable, optional
        Called with the time of the present frame and the duration of the video in seconds, None if unknown.

    Yields
    ------
    Track
        Each after its end, so nearly in the order of time.

    Raises
    ------
    UnreadableImageError
        The video cannot be read.
    """
    used = analyser or Analyser()
    tracker = Tracker(max(_GAP, 2.1 * every))
    with open_video(path) as video:
        detector = _detector(used, video, min_face)
        frames = video.frames(every)
        while batch := list(islice(frames, _batch_size(video))):
            found = detector.detect_batch([frame.image for frame in batch])
            yield from _embedded(used, _ended(tracker, batch, found))
            if progress is not None:
                progress(batch[-1].seconds, video.duration)
        yield from _embedded(used, tracker.finish())


def _detector(analyser: Analyser, video: VideoFile, min_face: float | None) -> FaceDetector:
    """Return the analyser's detector for frames: they are upright, and smaller faces are too blurred."""
    if analyser.has_own_detector:
        return analyser.detector
    from faceall.detect import Detector

    smallest = max(_SMALLEST, _SHARE * min(video.width, video.height))
    return Detector(analyser.detector_name() or "mtcnn", min_face=min_face or smallest, rotate=False)


def _batch_size(video: VideoFile) -> int:
    return max(1, min(_BATCH, _BATCH_PIXELS // max(1, video.width * video.height)))


def _ended(tracker: Tracker, frames: Sequence[Frame], found: Sequence[Faces]) -> list[OpenTrack]:
    """Add frames to the tracker; return the tracks that ended."""
    return [track for frame, faces in zip(frames, found, strict=True) for track in tracker.add(frame, faces)]


def _embedded(analyser: Analyser, ended: Sequence[OpenTrack]) -> Iterator[Track]:
    """Compute the vectors of tracks; one that was seen once, by an uncertain detection, is dropped."""
    kept = [track for track in ended if track.views > 1 or track.best.face.score >= _CERTAIN]
    if not kept:
        return
    crops = [analyser.embedder.crop(one.best.image, Faces.of([one.best.inside])) for one in kept]
    vectors = analyser.embedder.embed_crops(np.concatenate(crops))
    for track, vector in sorted(zip(kept, vectors, strict=True), key=lambda pair: pair[0].start):
        yield Track(track.start, track.end, track.views, track.best, vector)

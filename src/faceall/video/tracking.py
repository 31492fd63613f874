"""Follow faces from frame to frame: by overlap with where their motion leads, and by nearness."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from faceall.analysis.quality import cut, sharpness, turn
from faceall.types import Array, Face, Faces, Image
from faceall.video.frames import Frame

_OVERLAP = 0.15  # intersection over union with the predicted place from which it is the same face
_NEAR = 0.9  # of the side: distance of the centres up to which it is the same face without an overlap
_SIZES = 1.7  # largest ratio of the sides of one face in two frames
_MARGIN = 0.6  # of the side, kept around a face
_GOOD_SIDE, _GOOD_SHARPNESS = 96.0, 0.3  # from where a larger or sharper face is no better


@dataclass(frozen=True, eq=False)
class View:
    """A face in one frame of a video.

    Attributes
    ----------
    seconds : float
        The time of the frame.
    face : Face
        The face, in pixels of the frame.
    quality : float
        How well it can be recognised, 0 to 1: by score, size, sharpness and pose.
    image : (h, w, 3) uint8
        The part of the frame around the face, RGB.
    inside : Face
        The face, in pixels of `image`.
    size : tuple of int
        Width and height of the frame.
    """

    seconds: float
    face: Face
    quality: float
    image: Image
    inside: Face
    size: tuple[int, int]


@dataclass(eq=False)
class OpenTrack:
    """A face that is being followed."""

    start: float
    end: float
    box: Array
    best: View
    views: int = 1
    motion: Array = field(default_factory=lambda: np.zeros(4, np.float64))  # pixels per second

    def predicted(self, seconds: float) -> Array:
        """Return where the box should be at a time."""
        return self.box + self.motion * min(seconds - self.end, 1.0)

    def add(self, frame: Frame, face: Face) -> None:
        """Continue with a face of a frame."""
        box = face.box.astype(np.float64)
        passed = max(frame.seconds - self.end, 1e-3)
        self.motion = 0.5 * self.motion + 0.5 * (box - self.box) / passed
        self.box, self.end, self.views = box, frame.seconds, self.views + 1
        if (quality := quality_of(frame.image, face)) > self.best.quality:
            self.best = view_of(frame, face, quality)


class Tracker:
    """Follows faces through frames that are added in order.

    Parameters
    ----------
    gap : float
        Seconds that a face may be out of sight.
    """

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._open: list[OpenTrack] = []
        self._scene = 0

    def add(self, frame: Frame, faces: Faces) -> list[OpenTrack]:
        """Add a frame with its faces; return the tracks that have ended before it."""
        ended = self._ended(frame)
        followed = self._pairs(frame, faces)
        for number, face in enumerate(faces):
            if number in followed:
                followed[number].add(frame, face)
            else:
                best = view_of(frame, face, quality_of(frame.image, face))
                self._open.append(OpenTrack(frame.seconds, frame.seconds, face.box.astype(np.float64), best))
        return ended

    def finish(self) -> list[OpenTrack]:
        """Return the tracks that are still open."""
        ended, self._open = self._open, []
        return ended

    def _ended(self, frame: Frame) -> list[OpenTrack]:
        """Close tracks at a change of scene, and those that were out of sight for too long."""
        if frame.scene != self._scene:
            self._scene = frame.scene
            return self.finish()
        ended = [track for track in self._open if frame.seconds - track.end > self._gap]
        self._open = [track for track in self._open if track not in ended]
        return ended

    def _pairs(self, frame: Frame, faces: Faces) -> dict[int, OpenTrack]:
        """Return the track of each face, by its number; the best pairs first, each track and face once."""
        rated = []
        for track in self._open:
            place = track.predicted(frame.seconds)
            for number, face in enumerate(faces):
                if (likeness := _likeness(place, face.box.astype(np.float64))) > 0:
                    rated.append((likeness, number, track))
        pairs: dict[int, OpenTrack] = {}
        for _, number, track in sorted(rated, key=lambda one: -one[0]):
            if number not in pairs and not any(track is other for other in pairs.values()):
                pairs[number] = track
        return pairs


def _likeness(one: Array, other: Array) -> float:
    """Return how well two boxes fit, 0 for two faces: their overlap, or if there is none, their nearness."""
    sides = [max(float(box[2] - box[0] + box[3] - box[1]) / 2, 1.0) for box in (one, other)]
    if max(sides) > _SIZES * min(sides):
        return 0.0
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = max(float(width), 0.0) * max(float(height), 0.0)
    areas = [float(box[2] - box[0]) * float(box[3] - box[1]) for box in (one, other)]
    overlap = common / max(sum(areas) - common, 1.0)
    if overlap >= _OVERLAP:
        return 1.0 + overlap
    apart = float(np.linalg.norm((one[:2] + one[2:] - other[:2] - other[2:]) / 2)) / min(sides)
    return max(0.0, 1.0 - apart / _NEAR)


def quality_of(image: Image, face: Face) -> float:
    """Rate how well a face can be recognised, 0 to 1."""
    x0, y0, x1, y1 = face.box.tolist()
    size: float = min(1.0, (x1 - x0 + y1 - y0) / 2 / _GOOD_SIDE)
    pose = max(0.0, 1.0 - abs(turn(face)))
    whole: float = max(0.0, 1.0 - 2 * cut(image.shape, face))
    return float(face.score) * size * pose * whole * min(1.0, sharpness(image, face) / _GOOD_SHARPNESS)


def view_of(frame: Frame, face: Face, quality: float) -> View:
    """Keep a face with its surroundings."""
    height, width = frame.image.shape[:2]
    x0, y0, x1, y1 = face.box.tolist()
    margin = _MARGIN * max(x1 - x0, y1 - y0)
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    right, bottom = min(width, int(x1 + margin) + 1), min(height, int(y1 + margin) + 1)
    offset = np.array([left, top], np.float32)
    inside = Face(face.box - np.tile(offset, 2), face.score, face.landmarks - offset)
    part = frame.image[top:bottom, left:right].copy()
    return View(frame.seconds, face, quality, part, inside, (width, height))

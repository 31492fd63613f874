"""Faces as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.types import Face


@dataclass(frozen=True)
class Moment:
    """When a video shows a face, in seconds from its start.

    Attributes
    ----------
    seconds : float
        The frame in which the face was cut out.
    first, last : float
        The first and the last frame that show it.
    """

    seconds: float
    first: float
    last: float


@dataclass(frozen=True)
class StoredFace:
    """A face of the gallery.

    Attributes
    ----------
    face_id : int
        Its id.
    person : str or None
        The person's name; None if unassigned.
    path : Path
        A file with its photo, as last seen.
    box : tuple of float
        x0, y0, x1, y1 in pixels.
    score : float
        Confidence of the detector, 0 to 1.
    photo_id, person_id : int, int or None
        Ids of its photo and person.
    named : bool
        False if the person is a cluster without a name.
    primary : bool
        Whether it is the primary face of its photo.
    landmarks : tuple of (x, y)
        Left eye, right eye, nose, left and right corner of the mouth, in pixels.
    hidden : bool
        Whether a user has hidden it.
    moment : Moment or None
        When the video shows it; None for a photo. Then `path` is a video, and the box is on the frame.
    image_size : (int, int) or None
        Width and height of the photo or frame in pixels; None if they are not known.
    """

    face_id: int
    person: str | None
    path: Path
    box: tuple[float, float, float, float]
    score: float
    photo_id: int = 0
    person_id: int | None = None
    named: bool = True
    primary: bool = False
    landmarks: tuple[tuple[float, float], ...] = ()
    hidden: bool = False
    moment: Moment | None = None
    image_size: tuple[int, int] | None = None

    def as_face(self) -> Face:
        """Return the face as it was detected."""
        return Face(np.array(self.box, np.float32), self.score, np.array(self.landmarks, np.float32))


@dataclass(frozen=True, eq=False)
class PendingFace:
    """A stale face of a photo: its id, and where it is on the photo."""

    id: int
    face: Face

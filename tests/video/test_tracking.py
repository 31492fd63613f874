"""Faces that are followed from frame to frame."""

from __future__ import annotations

import numpy as np
from videos import POINTS, squares

from faceall.types import Face, Faces
from faceall.video.frames import Frame
from faceall.video.tracking import OpenTrack, Tracker


def face(x: float, y: float = 60, side: float = 60, score: float = 0.99) -> Face:
    """A frontal face."""
    box = np.array([x, y, x + side, y + side], np.float32)
    return Face(box, score, box[:2] + POINTS * side)


def follow(*steps: tuple[float, list[Face]], scenes: dict[float, int] | None = None) -> list[OpenTrack]:
    """The tracks of faces at some seconds, in the order in which they end."""
    tracker, ended = Tracker(1.0), []
    image = squares()
    for seconds, faces in steps:
        scene = 0 if scenes is None else scenes.get(seconds, 0)
        ended += tracker.add(Frame(seconds, image, scene), Faces.of(faces))
    return ended + tracker.finish()


def spans(tracks: list[OpenTrack]) -> list[tuple[float, float, int]]:
    """Start, end and number of views of each track."""
    return [(track.start, track.end, track.views) for track in tracks]


def test_a_moving_face_is_one_track() -> None:
    """Slow enough to overlap."""
    assert spans(follow((0.0, [face(10)]), (0.5, [face(30)]), (1.0, [face(50)]))) == [(0.0, 1.0, 3)]


def test_a_fast_face_is_followed_by_its_motion() -> None:
    """From the third frame on it lies where its motion leads, without an overlap with the frame before."""
    assert spans(follow(*[(0.5 * number, [face(10 + 50 * number)]) for number in range(5)])) == [(0.0, 2.0, 5)]


def test_two_faces_that_pass_each_other_stay_apart() -> None:
    """Their motion tells them apart where their boxes nearly touch."""
    steps = [(0.25 * number, [face(20 + 20 * number, 40), face(220 - 20 * number, 110)]) for number in range(9)]
    tracks = follow(*steps)
    assert spans(tracks) == [(0.0, 2.0, 9)] * 2
    assert sorted(round(float(track.box[0])) for track in tracks) == [60, 180]


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    """The face may be out of sight for a second."""
    there = [face(10)]
    assert spans(follow((0.0, there), (0.5, []), (1.0, there))) == [(0.0, 1.0, 2)]
    assert spans(follow((0.0, there), (1.5, []), (2.0, there))) == [(0.0, 0.0, 1), (2.0, 2.0, 1)]


def test_a_change_of_scene_ends_all_tracks() -> None:
    """Even if the next face is at the very same place."""
    assert len(follow((0.0, [face(10)]), (0.5, [face(10)]), scenes={0.5: 1})) == 2


def test_a_face_of_another_size_at_the_place_is_another_face() -> None:
    """Nobody doubles in size within half a second."""
    assert len(follow((0.0, [face(50, side=30)]), (0.5, [face(40, side=90)]))) == 2


def test_the_best_view_is_kept() -> None:
    """The larger, frontal, certain one, with its surroundings and the face in their pixels."""
    turned = face(60, side=60)
    turned = Face(turned.box, 0.99, turned.landmarks + np.array([[0, 0], [0, 0], [24, 0], [0, 0], [0, 0]], np.float32))
    tracker = Tracker(1.0)
    image = squares((60, 60, 60, (200, 200, 200)))
    for seconds, shown in ((0.0, turned), (0.5, face(60)), (1.0, face(60, score=0.7))):
        tracker.add(Frame(seconds, image), Faces.of([shown]))
    (track,) = tracker.finish()
    assert track.best.seconds == 0.5
    x0, y0, x1, y1 = track.best.inside.box.astype(int)
    assert np.array_equal(track.best.image[y0:y1, x0:x1], image[60:120, 60:120])
    assert track.best.size == (320, 240)

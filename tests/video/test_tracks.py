"""The faces of a video as tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from videos import BrightDetector, write_video

from faceall.analysis import Analyser
from faceall.embed import Embedder
from faceall.images import read_image
from faceall.types import Image
from faceall.video import track_faces
from tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """A tiny one."""
    return Embedder(write_tiny_model(tmp_path_factory.mktemp("models")).path)


def test_each_face_is_one_track(moving: Path, embedder: Embedder) -> None:
    """The red one until the cut, the blue one after it; both have a vector and a thumbnail of their own colour."""
    seen: list[float] = []
    tracks = list(
        track_faces(moving, analyser=Analyser(BrightDetector(), embedder), progress=lambda now, _: seen.append(now))
    )
    assert [(round(track.start, 1), round(track.end, 1), track.views) for track in tracks] == [(0, 1.5, 4), (2, 2.5, 2)]
    assert [np.linalg.norm(track.vector) for track in tracks] == pytest.approx([1, 1], abs=1e-4)
    colours = [read_image(track.thumbnail)[40, 56] for track in tracks]
    assert colours[0][0] > 150 > colours[0][2]
    assert colours[1][2] > 150 > colours[1][0]
    assert seen == sorted(seen)


def test_a_real_face_is_found_and_followed(astronaut: Image, embedder: Embedder, tmp_path: Path) -> None:
    """The portrait, panned over two seconds: one face, in all frames that are searched."""
    wide = np.concatenate([astronaut[:, ::-1], astronaut, astronaut[:, ::-1]], axis=1)[:, 300:1236]
    frames = [wide[:, 8 * number : 8 * number + 640] for number in range(20)]
    video = write_video(tmp_path / "portrait.mp4", frames)
    tracks = [track for track in track_faces(video, analyser=Analyser(None, embedder)) if track.views == 4]
    assert len(tracks) == 1
    assert tracks[0].best.face.score > 0.95

"""Videos in the web app: the frame that shows a face, with its time."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from faceall.gallery import Gallery
from places import ROOT

sys.path.append(str(ROOT / "tests" / "video"))
from videos import BrightDetector, squares, write_video

RED, GREEN = (230, 60, 60), (60, 230, 60)
HTML = {"Accept": "text/html"}


@pytest.fixture
def gallery(folder: Path) -> Any:
    """Open a gallery that finds bright squares."""
    from stand_ins import ColourEmbedder

    with Gallery.open(folder, detector=BrightDetector(), embedder=ColourEmbedder()) as opened:
        yield opened


@pytest.fixture
def video(gallery: Gallery, tmp_path: Path) -> Path:
    """Register two seconds of red, then a cut to two seconds of green on a bright ground."""
    frames = [squares((20, 60, 60, RED)) for _ in range(20)]
    frames += [squares((200, 60, 60, GREEN), back=90) for _ in range(20)]
    path = write_video(tmp_path / "clip.mp4", frames)
    gallery.register_video(path)
    return path


def image_of(client: Any, address: str) -> Any:
    """Return the pixels of an image of the API."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return np.asarray(Pillow.open(io.BytesIO(answer.data)).convert("RGB")).astype(int)


def test_the_frame_of_a_face_is_shown(client: Any, video: Path) -> None:
    """The image of a video is the frame of its first face, or of the chosen one, which is marked."""
    (photo,) = client.get("/api/v1/photos").get_json()["photos"]
    first, second = sorted(photo["faces"], key=lambda face: face["seconds"])
    assert (photo["source"], photo["available"]) == ("video", True)
    start = image_of(client, f"/api/v1/photos/{photo['id']}/image")
    assert start[75, 50, 0] > start[75, 50, 1] + 100
    later = image_of(client, f"/api/v1/photos/{photo['id']}/image?face={second['id']}")
    assert later[75, 230, 1] > later[75, 230, 0] + 100
    assert abs(later[75, 50] - 90).max() < 30
    assert first["seconds"] < 2 <= second["seconds"]


def test_the_page_shows_the_faces_of_the_frame(client: Any, video: Path) -> None:
    """Only the faces on the frame are framed; every face has its time; nothing can be drawn."""
    (photo,) = client.get("/api/v1/photos").get_json()["photos"]
    second = max(photo["faces"], key=lambda face: face["seconds"])
    html = client.get(f"/photos/{photo['id']}?face={second['id']}", headers=HTML).get_data(as_text=True)
    assert html.count('data-face="') == 2
    assert html.count('<g data-at="') == 1
    assert "at 0:02" in html
    assert 'id="draw"' not in html
    listed = client.get("/photos", headers=HTML).get_data(as_text=True)
    assert "video-mark" in listed


def test_a_changed_video_is_not_shown(client: Any, video: Path) -> None:
    """A file that was written since it was registered is another video: its faces have thumbnails only."""
    with video.open("ab") as file:
        file.write(b"more")
    (photo,) = client.get("/api/v1/photos").get_json()["photos"]
    answer = client.get(f"/api/v1/photos/{photo['id']}/image")
    assert answer.status_code == 404
    assert "has changed" in answer.get_json()["error"]["message"]
    assert client.get(f"/api/v1/faces/{photo['faces'][0]['id']}/thumbnail").status_code == 200

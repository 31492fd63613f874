"""Videos as phones and web sites write them: small clips of the moving square of conftest.py, made with FFmpeg.

H.264 (libx264), HEVC with 10 bits (libx265), AV1 (libaom), VP9 (libvpx), and H.264 that is stored turned by 90 degrees.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceall.errors import UnreadableImageError
from faceall.video import open_video, read_frame

CLIPS = Path(__file__).parent / "clips"
UNKNOWN = "cannot be decoded: the file is damaged, or OpenCV's decoder does not know its codec"
READABLE = ("h264.mp4", "hevc.mp4", "turned.mov", "vp9.webm")


@pytest.mark.parametrize("name", READABLE)
def test_videos_of_phones_are_read(name: str) -> None:
    """Frames come at their times, once each, with the change of scene, and upright."""
    with open_video(CLIPS / name) as video:
        found = [(round(frame.seconds, 2), frame.scene) for frame in video.frames(0.8)]
    assert found == [(0.0, 0), (0.8, 0), (1.6, 0), (2.0, 1), (2.4, 1)]
    assert_square_is_seen(read_frame(CLIPS / name, 1.25))


def assert_square_is_seen(image: np.ndarray) -> None:
    """The square is where it was after twelve frames."""
    assert image.shape == (240, 320, 3)
    rows, columns = np.nonzero(image[:, :, 0] > 150)
    assert (rows.min(), rows.max()) == pytest.approx((60, 119), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((92, 151), abs=2)


def test_av1_is_read_or_refused_with_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    """The wheels of OpenCV 4.14 read AV1, those of OpenCV 5.0 do not: one line names the codec and says what to do."""
    refused = ""
    try:
        image = read_frame(CLIPS / "av1.mp4", 1.25)
    except UnreadableImageError as error:
        refused = str(error)
    if refused:
        assert refused == f"{CLIPS / 'av1.mp4'}: {UNKNOWN} 'AV01': convert it to H.264"
        assert capfd.readouterr() == ("", "")
    else:
        assert_square_is_seen(image)


def test_an_unknown_codec_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In the container of readable ones; the decoder itself prints nothing."""
    content = (CLIPS / "h264.mp4").read_bytes()
    (path := tmp_path / "strange.mp4").write_bytes(content.replace(b"avc1", b"xyz1").replace(b"avcC", b"xyzC"))
    with (
        pytest.raises(UnreadableImageError, match=r"does not know its codec.*: convert it to H"),
        open_video(path) as video,
    ):
        list(video.frames())
    assert capfd.readouterr() == ("", "")

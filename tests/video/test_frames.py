"""Frames of videos: times, scenes, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from videos import squares, write_video

from faceall.errors import ArgumentError, ImageTooLargeError, UnreadableImageError
from faceall.video import open_video, read_frame


def times(path: Path, every: float) -> list[tuple[float, int]]:
    """The time and the scene of each frame that is sampled."""
    with open_video(path) as video:
        return [(round(frame.seconds, 2), frame.scene) for frame in video.frames(every)]


def test_frames_are_sampled_by_time_and_scene(moving: Path) -> None:
    """Every 0.8 s, and the first frame of the second scene."""
    assert times(moving, 0.8) == [(0.0, 0), (0.8, 0), (1.6, 0), (2.0, 1), (2.4, 1)]


def test_zero_seconds_give_every_frame(moving: Path) -> None:
    """All thirty, in order."""
    found = times(moving, 0)
    assert [seconds for seconds, _ in found] == pytest.approx([number / 10 for number in range(30)], abs=0.011)


def test_a_video_states_its_size_rate_and_duration(moving: Path) -> None:
    """As the container says."""
    with open_video(moving) as video:
        assert (video.width, video.height, video.frame_rate) == (320, 240, 10)
        assert video.duration == pytest.approx(3.0, abs=0.05)
        assert video.codec


@pytest.mark.parametrize(("seconds", "left"), [(0.0, 20), (1.25, 92), (1.9, 134)])
def test_a_frame_is_found_by_its_time(moving: Path, seconds: float, left: int) -> None:
    """The frame that is shown at that moment: the square is where it was then."""
    image = read_frame(moving, seconds)
    assert image.shape == (240, 320, 3)
    columns = np.flatnonzero(image[70, :, 0] > 150)
    assert columns[0] == pytest.approx(left, abs=2)


def test_a_frame_late_in_a_long_video_is_found(tmp_path: Path) -> None:
    """Beyond the distance from which the file is searched by time."""
    frames = [squares((number, 60, 60, (230, 60, 60))) for number in range(100)]
    video = write_video(tmp_path / "long.mp4", frames)
    assert np.flatnonzero(read_frame(video, 8.0)[70, :, 0] > 150)[0] == pytest.approx(80, abs=2)


@pytest.mark.parametrize(
    "content", [b"", b"no video at all", b"\xff\xd8\xff\xe0JFIF", b"#EXTM3U\nhttp://example.com/a.ts"]
)
def test_files_that_are_no_videos_are_refused(tmp_path: Path, content: bytes) -> None:
    """By their first bytes: a playlist would make the decoder open other files."""
    (path := tmp_path / "clip.mp4").write_bytes(content)
    with (
        pytest.raises(UnreadableImageError, match=r"clip\.mp4: is (empty|not a video of a known format)"),
        open_video(path),
    ):
        pass


def test_photos_in_the_same_container_are_refused(tmp_path: Path) -> None:
    """HEIC begins like MP4."""
    (path := tmp_path / "photo.mp4").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(UnreadableImageError, match="not a video"), open_video(path):
        pass


def test_cut_and_damaged_videos_are_named(moving: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An MP4 without its index; one line says so, and the decoder prints nothing."""
    content = moving.read_bytes()
    (path := tmp_path / f"cut{moving.suffix}").write_bytes(content[: len(content) // 2])
    if moving.suffix == ".mp4":
        with pytest.raises(UnreadableImageError, match="damaged or incomplete"), open_video(path):
            pass
    else:
        assert 0 < len(times(path, 0)) < 30
    (path := tmp_path / "head.avi").write_bytes(b"RIFF\0\0\0\0AVI " + os.urandom(300))
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"), open_video(path):
        pass
    assert capfd.readouterr().err == ""


def test_missing_files_folders_and_limits_are_named(moving: Path, tmp_path: Path) -> None:
    """No such file, a folder, too many pixels, a negative interval."""
    with pytest.raises(UnreadableImageError, match="no such file"), open_video(tmp_path / "none.mp4"):
        pass
    with pytest.raises(UnreadableImageError, match="is a folder"), open_video(tmp_path):
        pass
    with pytest.raises(ImageTooLargeError, match="320 x 240"), open_video(moving, max_pixels=1000):
        pass
    with open_video(moving) as video, pytest.raises(ArgumentError, match="every is -1"):
        next(video.frames(-1))

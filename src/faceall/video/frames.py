"""Read the frames of a video, at intervals and where the scene changes, with OpenCV's own decoder.

Only regular files whose first bytes are those of a video container are given to the decoder: it would also open URLs,
playlists and patterns of file names.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from faceall.arguments import checked
from faceall.errors import ArgumentError, ImageTooLargeError, UnreadableImageError
from faceall.files import open_regular
from faceall.images import DEFAULT_MAX_PIXELS
from faceall.native import native_call
from faceall.types import Array, Image

EVERY = 0.5
"""Seconds between two frames that are searched for faces, by default."""

_LOOK = 0.1  # seconds between two frames that are compared to find changes of scene
_SMALL = (32, 18)  # width and height of the images that are compared
_CHANGE = 28.0  # mean difference of their gray values (0 to 255) from which the scene has changed
_SEEK = 3.0  # seconds before a frame from which it is searched for
_HEAD = 64  # bytes
_TRANSPORT = 188  # bytes of a packet of an MPEG transport stream

_CONTAINERS = (
    re.compile(rb".{4}(?:ftyp|moov|mdat|wide|free|skip|pnot)", re.DOTALL),  # MP4, QuickTime
    re.compile(rb"RIFF.{4}(?:AVI |AVIX)", re.DOTALL),
    re.compile(rb"\x1a\x45\xdf\xa3"),  # Matroska, WebM
    re.compile(rb"\x00\x00\x01[\xb3\xba]"),  # MPEG
    re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF, WMV
    re.compile(rb"FLV\x01"),
    re.compile(rb"OggS"),
)
_HEIF = re.compile(rb".{4}ftyp(?:hei|hev|mif|msf|avif|crx )", re.DOTALL)  # photos in the same container


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video.

    Attributes
    ----------
    seconds : float
        Its time from the start of the video.
    image : (H, W, 3) uint8
        RGB, upright.
    scene : int
        The number of its scene; the camera or the place changes between two scenes.
    """

    seconds: float
    image: Image
    scene: int = 0


class VideoFile:
    """An open video, which is read once, from the start. Use it through `open_video`.

    Attributes
    ----------
    path : str
        The file.
    width, height : int
        Of a frame, in pixels, as it is stored.
    frame_rate : float
        Frames per second; 0 if the file does not state it.
    duration : float or None
        Seconds; None if the file does not state it.
    codec : str
        Its four letters, such as "avc1"; "" if unknown.
    """

    def __init__(self, path: str, capture: Any) -> None:
        self.path = path
        self._capture = capture
        self.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_rate = rate if math.isfinite(rate) and rate > 0 else 0.0
        known = self.frame_rate > 0 and math.isfinite(count) and count > 0
        self.duration = count / self.frame_rate if known else None
        self.codec = _codec(int(capture.get(cv2.CAP_PROP_FOURCC)))

    def frames(self, every: float = EVERY) -> Iterator[Frame]:
        """Yield a frame every so many seconds, and the first one of each scene.

        Parameters
        ----------
        every : float
            Seconds between two frames; 0 for all frames.

        Raises
        ------
        ArgumentError
            If `every` is negative.
        UnreadableImageError
            If not a single frame can be decoded.
        """
        if not 0 <= every < math.inf:
            raise ArgumentError(f"every is {every}, expected a number of seconds from 0")
        look, due, scene = 0.0, 0.0, 0
        before: Array | None = None
        for seconds in self._times():
            if seconds < min(look, due):
                continue
            image = self._image()
            if image is None:
                continue
            small = _small(image)
            changed = before is not None and float(np.abs(small - before).mean()) >= _CHANGE
            before, look, scene = small, seconds + _LOOK - 1e-3, scene + changed
            if changed or seconds >= due:
                due = (math.floor(seconds / every + 1e-6) + 1) * every - 1e-3 if every else seconds
                yield Frame(seconds, np.ascontiguousarray(image[:, :, ::-1]), scene)

    def at(self, seconds: float) -> Frame:
        """Return the last frame that begins at a time or before it; the first one if there is none.

        Raises
        ------
        UnreadableImageError
            If not a single frame can be decoded.
        """
        if seconds > _SEEK:
            self._capture.set(cv2.CAP_PROP_POS_MSEC, (seconds - _SEEK) * 1000)
        found: tuple[float, Array] | None = None
        for now in self._times():
            if now > seconds + 1e-3 and found is not None:
                break
            image = self._image()
            found = (now, image) if image is not None else found
        if found is None:
            raise UnreadableImageError(self.path, "has no frame at that time")
        return Frame(found[0], np.ascontiguousarray(found[1][:, :, ::-1]))

    def _times(self) -> Iterator[float]:
        """Read on frame by frame without decoding to pixels; yield the time of each."""
        number, last = 0, -1.0
        while self._grab():
            stated = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not math.isfinite(stated) or (stated <= last and self.frame_rate):
                stated = last + 1 / self.frame_rate if self.frame_rate else last
            last = max(stated, 0.0)
            yield last
            number += 1
        if not number:
            codec = f"its codec {self.codec!r}" if self.codec else "its codec"
            reason = f"the file is damaged, or OpenCV's decoder does not know {codec}: convert it to H.264"
            raise UnreadableImageError(self.path, f"cannot be decoded: {reason}")

    @native_call
    def _grab(self) -> bool:
        return bool(self._capture.grab())

    @native_call
    def _image(self) -> Array | None:
        """Return the pixels of the present frame, BGR; None if it is damaged."""
        read, image = self._capture.retrieve()
        return image if read and image is not None and image.ndim == 3 else None


@checked
@contextmanager
def open_video(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[VideoFile]:
    """Open a video: MP4, MOV, AVI, Matroska, WebM, MPEG, WMV, FLV, Ogg, with the codecs of OpenCV's decoder.

    Parameters
    ----------
    path : path-like
        A file.
    max_pixels : int
        Limit for width times height of a frame.

    Yields
    ------
    VideoFile

    Raises
    ------
    UnreadableImageError
        The file is missing, is not a video, is damaged, or has a codec that OpenCV does not know.
    ImageTooLargeError
        A frame has more than `max_pixels` pixels.
    """
    name = os.path.abspath(os.fsdecode(path))
    _check_container(name)
    capture = _open(name)
    try:
        if not capture.isOpened():
            raise UnreadableImageError(
                name,
                "cannot be opened: the file is damaged or incomplete, or OpenCV's decoder does not know its codec:"
                " convert it to H.264",
            )
        video = VideoFile(name, capture)
        if video.width * video.height > max_pixels:
            raise ImageTooLargeError(name, f"has frames of {video.width} x {video.height} pixels")
        yield video
    finally:
        capture.release()


@checked
def read_frame(path: str | os.PathLike[str], seconds: float) -> Image:
    """Return the frame of a video at a time, in seconds from the start: (H, W, 3) uint8 RGB.

    Raises
    ------
    UnreadableImageError
        The video cannot be read, or has no frame at that time.
    """
    with open_video(path) as video:
        return video.at(seconds).image


@native_call
def _open(name: str) -> Any:
    """Open a file with FFmpeg, whose own messages are turned off."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read at the first use
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _check_container(name: str) -> None:
    """Raise if a file is not a video by its first bytes."""
    try:
        with open_regular(name) as file:
            head = file.read(_TRANSPORT + _HEAD)
    except FileNotFoundError as error:
        raise UnreadableImageError(name, "no such file") from error
    except IsADirectoryError as error:
        raise UnreadableImageError(name, "is a folder, expected a video file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableImageError(name, f"cannot be opened ({reason})") from error
    if not head:
        raise UnreadableImageError(name, "is empty")
    transport = head[:1] == b"G" and head[_TRANSPORT : _TRANSPORT + 1] == b"G"
    if _HEIF.match(head) or not (transport or any(kind.match(head) for kind in _CONTAINERS)):
        raise UnreadableImageError(
            name, "is not a video of a known format; supported are MP4, MOV, AVI, MKV, WebM, MPEG, WMV, FLV, Ogg"
        )


def _codec(number: int) -> str:
    """Return the four letters of a codec, without those that cannot be printed."""
    letters = "".join(chr(number >> shift & 0xFF) for shift in (0, 8, 16, 24))
    return "".join(letter for letter in letters if letter.isprintable() and letter.isascii()).strip()


def _small(image: Array) -> Array:
    """Return a small gray image, float32: means of blocks."""
    height, width = image.shape[:2]
    coarse = image[:: max(1, height // (4 * _SMALL[1])), :: max(1, width // (4 * _SMALL[0]))]
    gray = cv2.cvtColor(np.ascontiguousarray(coarse), cv2.COLOR_BGR2GRAY)
    small: Array = cv2.resize(gray, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small

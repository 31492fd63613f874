"""What the metadata of an image file say: when and with what it was taken, how it was held, and its XMP packet."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image as PillowImage

from faceall.images.decoding import DEFAULT_MAX_PIXELS, ImageHeader, open_and_look, open_header

_EXIF, _ORIENTATION, _MAKE, _MODEL, _CHANGED, _TAKEN = 0x8769, 0x0112, 0x010F, 0x0110, 0x0132, 0x9003
_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d):(\d\d):(\d\d)")
_PACKETS = ((b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>"))
_JPEG_START, _SEGMENT, _SCAN = b"\xff\xd8", 0xFF, 0xDA


@dataclass(frozen=True)
class Metadata:
    """What the metadata of an image file say.

    Attributes
    ----------
    orientation : int
        The EXIF orientation, 1 to 8, also of a format whose reader applies it itself.
    taken : str or None
        When the photo was taken, as the camera noted it: 2024-05-01T12:00:00, without a time zone.
    camera : str or None
        Maker and model.
    xmp : bytes or None
        The XMP packet in the file.
    size : (width, height) or None
        As stored, before the orientation is applied; None if the header cannot be read.
    """

    orientation: int = 1
    taken: str | None = None
    camera: str | None = None
    xmp: bytes | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class InspectedImage:
    """What an image file says without being decoded.

    Attributes
    ----------
    header : ImageHeader
        Its format and size.
    metadata : Metadata
        Time, camera, orientation and XMP packet.
    """

    header: ImageHeader
    metadata: Metadata


def inspect_image(content: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> InspectedImage:
    """Read the header and the metadata of an image file, which is opened once for both.

    Parameters
    ----------
    content : bytes
        The file.
    max_pixels : int
        Limit for width times height.

    Returns
    -------
    InspectedImage
        Its metadata have defaults for what is absent or damaged.

    Raises
    ------
    UnreadableImageError
        If it is not an image, or has a damaged header.
    ImageTooLargeError
        If the image has more than `max_pixels` pixels.
    """
    header, found = open_and_look(content, lambda image: _metadata_of(image, content), max_pixels)
    return InspectedImage(header, read_metadata(content) if found is None else found)


def read_metadata(content: bytes) -> Metadata:
    """Read the metadata of an image file.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    Metadata
        With defaults for what is absent or damaged: metadata never make a photo unreadable.
    """
    try:
        with open_header(io.BytesIO(content)) as image:
            return _metadata_of(image, content)
    except Exception:  # noqa: BLE001 - not an image, or damaged
        return Metadata(xmp=_packet(content))


def _metadata_of(image: PillowImage.Image, content: bytes) -> Metadata:
    """Return the metadata of a file that is open with Pillow."""
    xmp = _packet(content)
    try:
        exif = image.getexif()
        stored: Any = image.info.get("original_orientation") or exif.get(_ORIENTATION, 1)
        taken = exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_CHANGED)
        orientation = int(stored) if str(stored).isdecimal() and 1 <= int(stored) <= 8 else 1
        return Metadata(orientation, _time(taken), _camera(exif.get(_MAKE), exif.get(_MODEL)), xmp, image.size)
    except Exception:  # noqa: BLE001 - with broken metadata Pillow raises nearly anything; the pixels are still good
        return Metadata(xmp=xmp)


def _packet(content: bytes) -> bytes | None:
    """Return the first XMP packet of a file; formats store it as plain text."""
    limit = _end_of_segments(content)
    for opening, closing in _PACKETS:
        start = content.find(opening, 0, limit)
        end = content.find(closing, start, limit) if start >= 0 else -1
        if end >= 0:
            return content[start : end + len(closing)]
    return None


def _end_of_segments(content: bytes) -> int:
    """Return where the metadata of a JPEG end and its pixels begin; the size of a file of another format."""
    place = 2 if content.startswith(_JPEG_START) else len(content)
    while place + 4 <= len(content) and content[place] == _SEGMENT:
        if content[place + 1] == _SCAN:
            return place
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return len(content)  # also of a JPEG with damaged segments


def _time(value: object) -> str | None:
    """Return an EXIF time as ISO 8601; None for zeros and nonsense."""
    found = _TIME.match(str(value or ""))
    if found is None or found[1] == "0000" or not 1 <= int(found[2]) <= 12 or not 1 <= int(found[3]) <= 31:
        return None
    return "{}-{}-{}T{}:{}:{}".format(*found.groups())


def _camera(make: object, model: object) -> str | None:
    """Return maker and model in one line; the maker once."""
    maker, name = (" ".join(str(part or "").replace("\0", " ").split())[:100] for part in (make, model))
    text = name if name.lower().startswith(maker.lower()) else f"{maker} {name}".strip()
    return "".join(letter for letter in text if letter.isprintable()) or None

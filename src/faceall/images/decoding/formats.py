"""Image formats, recognised by the content of a file, never by its name."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEIC = "HEIC"
JPEG = "JPEG"
RAW = "RAW"
TIFF = "TIFF"

HEAD_BYTES = 64
"""How many bytes of a file `identify` needs."""


@dataclass(frozen=True)
class Format:
    """A file format: its first bytes, and the Pillow class that reads it.

    Attributes
    ----------
    name : str
        As messages say it.
    magic, offset : bytes, int
        The bytes that a file has at that place.
    module, reader : str
        The class that reads it; empty for RAW.
    extra : str
        The extra of faceall that installs the module; empty for Pillow itself.
    """

    name: str
    magic: bytes
    module: str
    reader: str
    offset: int = 0
    extra: str = ""


_FORMATS = (
    Format(JPEG, b"\xff\xd8\xff", "PIL.JpegImagePlugin", "JpegImageFile"),  # MPO too: its first image is a JPEG
    Format("PNG", b"\x89PNG\r\n\x1a\n", "PIL.PngImagePlugin", "PngImageFile"),
    Format("WebP", b"WEBP", "PIL.WebPImagePlugin", "WebPImageFile", offset=8),
    Format("GIF", b"GIF8", "PIL.GifImagePlugin", "GifImageFile"),
    Format("BMP", b"BM", "PIL.BmpImagePlugin", "BmpImageFile"),
    Format(RAW, b"CR\x02", "", "", offset=8, extra="raw"),  # Canon CR2: a TIFF with a mark
    Format(RAW, b"FUJIFILMCCD-RAW", "", "", extra="raw"),
    Format(RAW, b"ftypcrx ", "", "", offset=4, extra="raw"),  # Canon CR3
    Format(RAW, b"IIRO", "", "", extra="raw"),  # Olympus
    Format(RAW, b"IIRS", "", "", extra="raw"),
    Format(RAW, b"MMOR", "", "", extra="raw"),
    Format(RAW, b"IIU\0", "", "", extra="raw"),  # Panasonic
    Format(TIFF, b"II*\0", "PIL.TiffImagePlugin", "TiffImageFile"),
    Format(TIFF, b"MM\0*", "PIL.TiffImagePlugin", "TiffImageFile"),
    Format(TIFF, b"II+\0", "PIL.TiffImagePlugin", "TiffImageFile"),
    Format(TIFF, b"MM\0+", "PIL.TiffImagePlugin", "TiffImageFile"),
    Format("JPEG 2000", b"\0\0\0\x0cjP  ", "PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    Format("JPEG 2000", b"\xff\x4f\xff\x51", "PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    Format("JPEG XL", b"\xff\x0a", "pillow_jxl.JpegXLImagePlugin", "JXLImageFile", extra="jxl"),
    Format("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n", "pillow_jxl.JpegXLImagePlugin", "JXLImageFile", extra="jxl"),
    *(
        Format("PNM", b"P" + digit, "PIL.PpmImagePlugin", "PpmImageFile")
        for digit in (b"1", b"2", b"3", b"4", b"5", b"6")
    ),
)
_AVIF = Format("AVIF", b"ftyp", "PIL.AvifImagePlugin", "AvifImageFile", offset=4)
_HEIC = Format(HEIC, b"ftyp", "pillow_heif.as_plugin", "HeifImageFile", offset=4, extra="heic")
RAW_IN_TIFF = Format(RAW, b"", "", "", extra="raw")
"""A camera RAW file whose container is a TIFF: DNG, NEF, ARW."""

_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_CONTAINER_BRANDS = frozenset((b"mif1", b"mif2", b"msf1", b"miaf"))


def identify(head: bytes) -> Format | None:
    """Return the format of a file by its first bytes; None if it is not an image of a known format."""
    for known in _FORMATS:
        if head.startswith(known.magic, known.offset):
            return known
    brands = _brands(head)
    if brands & _AVIF_BRANDS:
        return _AVIF
    return _HEIC if brands & (_HEIC_BRANDS | _CONTAINER_BRANDS) else None


def format_names() -> str:
    """List the formats for a message."""
    return ", ".join(dict.fromkeys(known.name for known in (*_FORMATS, _AVIF, _HEIC)))


def _brands(head: bytes) -> frozenset[bytes]:
    """Return the major and the compatible brands of an ISO base media file (ISO/IEC 14496-12, box `ftyp`)."""
    if head[4:8] != b"ftyp":
        return frozenset()
    (size,) = struct.unpack(">I", head[:4])
    end = min(size, len(head))
    return frozenset((head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))))

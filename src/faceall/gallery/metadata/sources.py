"""Where the names of faces come from: sidecars of a photo, its own XMP, Picasa's file in the folder."""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from faceall.files import open_regular
from faceall.gallery.metadata.regions import Region, UnsafeXmlError, parse_xml, read_regions, upright
from faceall.images.metadata import Metadata

_MOST = 8 << 20  # bytes of a sidecar
_PICASA = (".picasa.ini", "Picasa.ini")
_RECTANGLE = re.compile(r"rect64\(([0-9a-fA-F]{1,16})\),([0-9a-fA-F]+)")


@dataclass(frozen=True)
class NamesFound:
    """The named faces of a photo, relative to the upright image, and why a sidecar could not be read."""

    regions: tuple[Region, ...] = ()
    problems: tuple[str, ...] = ()


def read_names(path: Path, metadata: Metadata) -> NamesFound:
    """Read the named faces of a photo from the first source that names one.

    The sources are the sidecars `photo.jpg.xmp` and `photo.xmp`, the XMP in the file, and `.picasa.ini`.

    Parameters
    ----------
    path : Path
        The photo.
    metadata : Metadata
        Of the file: its XMP and its orientation.
    """
    found: list[Region] = []
    problems: list[str] = []
    for sidecar in sidecars(path):
        packet = None if found else _content(sidecar)
        try:
            found = found if packet is None else read_regions(parse_xml(packet))
        except UnsafeXmlError as error:
            problems.append(f"{sidecar.name} was not read: {error}")
    if not found and metadata.xmp:
        found = regions_in(metadata.xmp)
    found = found or _picasa(path)
    regions = tuple(replace(one, box=upright(one.box, metadata.orientation)) for one in found)
    return NamesFound(regions, tuple(problems))


def sidecars(path: Path) -> tuple[Path, Path]:
    """Return where programs put the sidecar of a photo: photo.jpg.xmp, photo.xmp."""
    return path.with_name(path.name + ".xmp"), path.with_suffix(".xmp")


def regions_in(packet: bytes) -> list[Region]:
    """Return the named faces of an XMP document; none of one that is damaged."""
    try:
        return read_regions(parse_xml(packet))
    except UnsafeXmlError:
        return []


def _content(path: Path) -> bytes | None:
    """Read a file of a reasonable size, if it is there."""
    try:
        with open_regular(path) as file:
            content = file.read(_MOST + 1)
    except (OSError, ValueError):
        return None
    return content if len(content) <= _MOST else None


def _picasa(path: Path) -> list[Region]:
    """Return what Picasa noted for a photo in the file of its folder."""
    content = next((found for name in _PICASA if (found := _content(path.with_name(name)))), None)
    if content is None:
        return []
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # ids are compared as written
    try:
        parser.read_string(content.decode("utf-8", "replace"))
    except configparser.Error:
        return []
    names = {
        contact.lower(): value.split(";")[0].strip()
        for section in ("Contacts", "Contacts2")
        if parser.has_section(section)
        for contact, value in parser.items(section)
    }
    text = parser.get(os.fsdecode(path.name), "faces", fallback="")
    pairs = ((names.get(contact.lower()), rectangle) for rectangle, contact in _RECTANGLE.findall(text))
    return [Region(name, box) for name, rectangle in pairs if name and (box := _rectangle(rectangle)) is not None]


def _rectangle(digits: str) -> tuple[float, float, float, float] | None:
    """Return the box of a rect64: four numbers of 16 bits, without leading zeros."""
    number = int(digits, 16)
    x0, y0, x1, y1 = (((number >> shift) & 0xFFFF) / 0xFFFF for shift in (48, 32, 16, 0))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

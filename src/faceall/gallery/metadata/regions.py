"""Face regions with names in XMP: the schema of the Metadata Working Group (MWG) and that of Microsoft.

References
----------
Metadata Working Group: Guidelines for Handling Image Metadata 2.0 (2010), image regions.
Microsoft: People Tagging (MP) schema, 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MWG = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA = "http://ns.adobe.com/xmp/sType/Area#"
SIZE = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
MP = "http://ns.microsoft.com/photo/1.2/"
MP_INFO = "http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
MP_REGION = "http://ns.microsoft.com/photo/1.2/t/Region#"

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as shares of width and height."""


@dataclass(frozen=True)
class Region:
    """A named region of a photo: a name, and the box as shares of width and height."""

    name: str
    box: Box


class UnsafeXmlError(ValueError):
    """An XML document with a document type, which can define entities, or that is not well-formed."""


def parse_xml(data: bytes) -> ElementTree.Element:
    """Parse XML without document types, so that no entity can be defined.

    Raises
    ------
    UnsafeXmlError
        The document has a document type or is not well-formed.
    """

    def refuse(*_: object) -> None:
        raise UnsafeXmlError("it defines a document type, which is refused")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise error if isinstance(error, UnsafeXmlError) else UnsafeXmlError(f"is not XML ({error})") from error


def read_regions(root: ElementTree.Element) -> list[Region]:
    """Return the named face regions of an XMP document, relative to the stored image; MWG's if there are any."""
    found = [region for item in mwg_items(root) if (region := mwg_region(item)) is not None]
    return found or [region for item in microsoft_items(root) if (region := microsoft_region(item)) is not None]


def mwg_items(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield the entries of MWG's list of regions."""
    for regions in root.iter(f"{{{MWG}}}RegionList"):
        yield from regions.iter(f"{{{RDF}}}li")


def microsoft_items(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield the entries of Microsoft's list of regions."""
    for regions in root.iter(f"{{{MP_INFO}}}Regions"):
        yield from regions.iter(f"{{{RDF}}}li")


def mwg_region(item: ElementTree.Element) -> Region | None:
    """Return the region of an entry of MWG's list; None unless it is a face with a name and an area."""
    if field(item, MWG, "Type") not in (None, "Face"):
        return None
    area = next(item.iter(f"{{{MWG}}}Area"), None)
    if area is None or field(area, AREA, "unit") not in (None, "normalized"):
        return None
    numbers = _numbers([field(area, AREA, name) for name in ("x", "y", "w", "h")])
    if numbers is None:
        return None
    x, y, width, height = numbers
    return _region(field(item, MWG, "Name"), (x - width / 2, y - height / 2, x + width / 2, y + height / 2))


def microsoft_region(item: ElementTree.Element) -> Region | None:
    """Return the region of an entry of Microsoft's list; None unless it has a name and a rectangle."""
    numbers = _numbers((field(item, MP_REGION, "Rectangle") or "").split(","))
    if numbers is None:
        return None
    x, y, width, height = numbers
    return _region(field(item, MP_REGION, "PersonDisplayName"), (x, y, x + width, y + height))


def field(element: ElementTree.Element, space: str, name: str) -> str | None:
    """Return a property: an attribute or an element, of the element itself or of a description in it."""
    tag = f"{{{space}}}{name}"
    for holder in (element, *element.findall(f"{{{RDF}}}Description")):
        if tag in holder.attrib:
            return holder.attrib[tag].strip()
        child = holder.find(tag)
        if child is not None:
            return (child.text or "").strip()
    return None


def upright(box: Box, orientation: int) -> Box:
    """Turn a box on the stored image to one on the upright image, for an EXIF orientation."""
    x0, y0, x1, y1 = box
    turned = {
        2: (1 - x1, y0, 1 - x0, y1),
        3: (1 - x1, 1 - y1, 1 - x0, 1 - y0),
        4: (x0, 1 - y1, x1, 1 - y0),
        5: (y0, x0, y1, x1),
        6: (1 - y1, x0, 1 - y0, x1),
        7: (1 - y1, 1 - x1, 1 - y0, 1 - x0),
        8: (y0, 1 - x1, y1, 1 - x0),
    }
    return turned.get(orientation, box)


def stored(box: Box, orientation: int) -> Box:
    """Turn a box on the upright image to one on the stored image: the opposite of `upright`."""
    return upright(box, {6: 8, 8: 6}.get(orientation, orientation))


def overlap(first: Box, second: Box) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return width * height / (areas - width * height)


def _region(name: str | None, box: Box) -> Region | None:
    return Region(name, box) if name and box[0] < box[2] and box[1] < box[3] else None


def _numbers(texts: list[str | None] | list[str]) -> list[float] | None:
    """Return four finite numbers; None for anything else."""
    try:
        numbers = [float(text or "") for text in texts]
    except ValueError:
        return None
    return numbers if len(numbers) == 4 and all(map(math.isfinite, numbers)) else None

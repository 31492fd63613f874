"""Write named regions into an XMP document, keeping what others wrote.

A region that faceall writes carries the name once more in an attribute of its own; only a region whose name still
equals it is renamed later. Regions of others are never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from faceall.gallery.metadata.matching import LEAST_OVERLAP
from faceall.gallery.metadata.regions import (
    AREA,
    MP,
    MP_INFO,
    MP_REGION,
    MWG,
    RDF,
    SIZE,
    Region,
    field,
    microsoft_items,
    microsoft_region,
    mwg_items,
    mwg_region,
    overlap,
    parse_xml,
)

_META = "adobe:ns:meta/"
_OWN = "https://faceall.invalid/xmp/1.0/"
_MARK = f"{{{_OWN}}}written"
_EARLIER_MARK = f"{{{_OWN}}}name"  # ExifTool warned of it, because the fields of both schemas are called Name
_LI, _BAG, _DESCRIPTION = f"{{{RDF}}}li", f"{{{RDF}}}Bag", f"{{{RDF}}}Description"
_RESOURCE = {f"{{{RDF}}}parseType": "Resource"}
_PREFIXES = {
    "x": _META,
    "rdf": RDF,
    "mwg-rs": MWG,
    "stArea": AREA,
    "stDim": SIZE,
    "MP": MP,
    "MPRI": MP_INFO,
    "MPReg": MP_REGION,
    "faceall": _OWN,
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
}
_EMPTY = f'<x:xmpmeta xmlns:x="{_META}"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()


def with_regions(document: bytes | None, regions: Sequence[Region], size: tuple[int, int]) -> bytes | None:
    """Return an XMP document with these regions in both schemas; None if it says all of that already.

    Parameters
    ----------
    document : bytes or None
        The existing document.
    regions : sequence of Region
        The named faces, relative to the stored image.
    size : (width, height)
        Of the stored image in pixels.

    Raises
    ------
    UnsafeXmlError
        The existing document is not XMP or has a document type.
    """
    for prefix, space in _PREFIXES.items():
        ElementTree.register_namespace(prefix, space)
    root = parse_xml(_EMPTY if document is None else document)
    rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
    if rdf is None:
        rdf = ElementTree.SubElement(root, f"{{{RDF}}}RDF")
    changed = False
    for region in regions:
        changed |= _put_mwg(rdf, region, size)
        changed |= _put_microsoft(rdf, region)
    if not changed:
        return None
    ElementTree.indent(root, " ")
    return b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n%b\n<?xpacket end="w"?>\n' % (
        ElementTree.tostring(root, encoding="utf-8", xml_declaration=False)
    )


def _put_mwg(rdf: ElementTree.Element, region: Region, size: tuple[int, int]) -> bool:
    """Add a region to MWG's list, or rename it there; returns whether anything changed."""
    items = ((item, mwg_region(item)) for item in mwg_items(rdf))
    present = _same_place(items, region)
    if present is not None:
        return _rename(present, MWG, "Name", region.name)
    regions = rdf.find(f".//{{{MWG}}}Regions")
    if regions is None:
        regions = ElementTree.SubElement(_description(rdf), f"{{{MWG}}}Regions", _RESOURCE)
        applied = ElementTree.SubElement(regions, f"{{{MWG}}}AppliedToDimensions", _RESOURCE)
        for name, value in (("w", size[0]), ("h", size[1]), ("unit", "pixel")):
            ElementTree.SubElement(applied, f"{{{SIZE}}}{name}").text = str(value)
    item = ElementTree.SubElement(_bag(_inner(regions), f"{{{MWG}}}RegionList"), _LI)
    described = ElementTree.SubElement(item, _DESCRIPTION, {_MARK: region.name})
    ElementTree.SubElement(described, f"{{{MWG}}}Name").text = region.name
    ElementTree.SubElement(described, f"{{{MWG}}}Type").text = "Face"
    area = ElementTree.SubElement(described, f"{{{MWG}}}Area", _RESOURCE)
    x0, y0, x1, y1 = region.box
    numbers = {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "w": x1 - x0, "h": y1 - y0}
    for name, number in numbers.items():
        ElementTree.SubElement(area, f"{{{AREA}}}{name}").text = f"{number:.6f}"
    ElementTree.SubElement(area, f"{{{AREA}}}unit").text = "normalized"
    return True


def _put_microsoft(rdf: ElementTree.Element, region: Region) -> bool:
    """Add a region to Microsoft's list, or rename it there; returns whether anything changed."""
    items = ((item, microsoft_region(item)) for item in microsoft_items(rdf))
    present = _same_place(items, region)
    if present is not None:
        return _rename(present, MP_REGION, "PersonDisplayName", region.name)
    info = rdf.find(f".//{{{MP}}}RegionInfo")
    if info is None:
        info = ElementTree.SubElement(_description(rdf), f"{{{MP}}}RegionInfo", _RESOURCE)
    item = ElementTree.SubElement(_bag(_inner(info), f"{{{MP_INFO}}}Regions"), _LI)
    described = ElementTree.SubElement(item, _DESCRIPTION, {_MARK: region.name})
    x0, y0, x1, y1 = region.box
    ElementTree.SubElement(
        described, f"{{{MP_REGION}}}Rectangle"
    ).text = f"{x0:.6f}, {y0:.6f}, {x1 - x0:.6f}, {y1 - y0:.6f}"
    ElementTree.SubElement(described, f"{{{MP_REGION}}}PersonDisplayName").text = region.name
    return True


def _same_place(
    items: Iterable[tuple[ElementTree.Element, Region | None]], region: Region
) -> ElementTree.Element | None:
    """Return the entry that overlaps a region most, if any does enough."""
    found = [(overlap(present.box, region.box), item) for item, present in items if present is not None]
    best = max(found, key=lambda one: one[0], default=None)
    return best[1] if best is not None and best[0] >= LEAST_OVERLAP else None


def _rename(item: ElementTree.Element, space: str, name: str, value: str) -> bool:
    """Rename an entry that faceall wrote and no other program changed; return whether it was renamed."""
    marks = (_MARK, _EARLIER_MARK)
    holder, mark = next(
        ((one, mark) for one in item.iter(_DESCRIPTION) for mark in marks if mark in one.attrib), (None, _MARK)
    )
    current = field(item, space, name)
    if holder is None or current == value or holder.attrib[mark] != current:
        return False
    child = holder.find(f"{{{space}}}{name}")
    if child is None:
        holder.attrib[f"{{{space}}}{name}"] = value
    else:
        child.text = value
    del holder.attrib[mark]
    holder.attrib[_MARK] = value
    return True


def _description(rdf: ElementTree.Element) -> ElementTree.Element:
    """Return the first description of a document, made if there is none."""
    found = rdf.find(_DESCRIPTION)
    return ElementTree.SubElement(rdf, _DESCRIPTION, {f"{{{RDF}}}about": ""}) if found is None else found


def _inner(holder: ElementTree.Element) -> ElementTree.Element:
    """Return the element that holds the properties of a structure: itself, or the description in it."""
    found = holder.find(_DESCRIPTION)
    return holder if found is None else found


def _bag(holder: ElementTree.Element, tag: str) -> ElementTree.Element:
    """Return the bag of a list property, made if there is none."""
    found = holder.find(tag)
    if found is None:
        found = ElementTree.SubElement(holder, tag)
    bag = found.find(_BAG)
    return ElementTree.SubElement(found, _BAG) if bag is None else bag

"""Entries of regions in an XMP document: read, add, rename and remove them.

An entry that faceall writes carries the name once more in an attribute of its own; only an entry whose name still
equals it is renamed or removed later. A second attribute says which gallery has written it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from faceall.gallery.metadata.regions import (
    AREA,
    MP,
    MP_INFO,
    MP_REGION,
    MWG,
    RDF,
    SIZE,
    Region,
    UnsafeXmlError,
    field,
    microsoft_items,
    microsoft_region,
    mwg_items,
    mwg_region,
    parse_xml,
)

_META = "adobe:ns:meta/"
OWN = "https://faceall.invalid/xmp/1.0/"
"""The namespace of the marks of faceall."""

_MARK, _GALLERY = "written", "gallery"
_EARLIER_MARK = "name"  # ExifTool warned of it, because the fields of both schemas are called Name
_RDF, _OUTERMOST = f"{{{RDF}}}RDF", f"{{{_META}}}xmpmeta"
_LI, _BAG, _DESCRIPTION = f"{{{RDF}}}li", f"{{{RDF}}}Bag", f"{{{RDF}}}Description"
_LISTS = ((f"{{{MWG}}}Regions", f"{{{MWG}}}RegionList"), (f"{{{MP}}}RegionInfo", f"{{{MP_INFO}}}Regions"))
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
    "faceall": OWN,
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


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry of a list of regions, and what it says."""

    item: ElementTree.Element
    region: Region
    name: tuple[str, str]

    @property
    def is_own(self) -> bool:
        """Whether faceall wrote the entry, and no other program has changed its name."""
        return self.region.name in (field(self.item, OWN, _MARK), field(self.item, OWN, _EARLIER_MARK))

    @property
    def gallery(self) -> str | None:
        """The gallery that has written the entry; None if it does not say."""
        return field(self.item, OWN, _GALLERY)

    def rename(self, name: str, gallery: str | None) -> bool:
        """Change the name to that of a gallery; return whether it was another one."""
        if self.region.name == name:
            return False
        _drop(self.item, OWN, (_EARLIER_MARK, _GALLERY))
        _put(self.item, *self.name, name)
        _put(self.item, OWN, _MARK, name)
        if gallery is not None:
            _put(self.item, OWN, _GALLERY, gallery)
        return True


class RegionDocument:
    """An XMP document with lists of regions in both schemas.

    Parameters
    ----------
    content : bytes or None
        The document; None for a new one.

    Raises
    ------
    UnsafeXmlError
        It is not XMP or has a document type.
    """

    def __init__(self, content: bytes | None) -> None:
        for prefix, space in _PREFIXES.items():
            ElementTree.register_namespace(prefix, space)
        self._root = parse_xml(_EMPTY if content is None else content)
        found = self._root if self._root.tag == _RDF else self._root.find(f".//{_RDF}")
        self._rdf = ElementTree.SubElement(self._root, _RDF) if found is None else found

    def mwg(self) -> list[Entry]:
        """Return the named faces of MWG's list."""
        found = [(item, mwg_region(item)) for item in mwg_items(self._rdf)]
        return [Entry(item, region, (MWG, "Name")) for item, region in found if region is not None]

    def microsoft(self) -> list[Entry]:
        """Return the named faces of Microsoft's list."""
        found = [(item, microsoft_region(item)) for item in microsoft_items(self._rdf)]
        name = (MP_REGION, "PersonDisplayName")
        return [Entry(item, region, name) for item, region in found if region is not None]

    def add_mwg(self, region: Region, size: tuple[int, int], gallery: str | None) -> None:
        """Add a region to MWG's list; `size` is that of the stored image."""
        regions = self._rdf.find(f".//{{{MWG}}}Regions")
        if regions is None:
            regions = ElementTree.SubElement(_description(self._rdf), f"{{{MWG}}}Regions", _RESOURCE)
            applied = ElementTree.SubElement(regions, f"{{{MWG}}}AppliedToDimensions", _RESOURCE)
            for name, value in (("w", size[0]), ("h", size[1]), ("unit", "pixel")):
                ElementTree.SubElement(applied, f"{{{SIZE}}}{name}").text = str(value)
        described = _new_entry(_bag(_inner(regions), f"{{{MWG}}}RegionList"), region.name, gallery)
        ElementTree.SubElement(described, f"{{{MWG}}}Name").text = region.name
        ElementTree.SubElement(described, f"{{{MWG}}}Type").text = "Face"
        area = ElementTree.SubElement(described, f"{{{MWG}}}Area", _RESOURCE)
        x0, y0, x1, y1 = region.box
        numbers = {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "w": x1 - x0, "h": y1 - y0}
        for name, number in numbers.items():
            ElementTree.SubElement(area, f"{{{AREA}}}{name}").text = f"{number:.6f}"
        ElementTree.SubElement(area, f"{{{AREA}}}unit").text = "normalized"

    def add_microsoft(self, region: Region, gallery: str | None) -> None:
        """Add a region to Microsoft's list."""
        info = self._rdf.find(f".//{{{MP}}}RegionInfo")
        if info is None:
            info = ElementTree.SubElement(_description(self._rdf), f"{{{MP}}}RegionInfo", _RESOURCE)
        described = _new_entry(_bag(_inner(info), f"{{{MP_INFO}}}Regions"), region.name, gallery)
        x0, y0, x1, y1 = region.box
        rectangle = f"{x0:.6f}, {y0:.6f}, {x1 - x0:.6f}, {y1 - y0:.6f}"
        ElementTree.SubElement(described, f"{{{MP_REGION}}}Rectangle").text = rectangle
        ElementTree.SubElement(described, f"{{{MP_REGION}}}PersonDisplayName").text = region.name

    def carry_over(self, packet: bytes) -> bool:
        """Copy the lists of regions of another document, unless this one has regions of another program.

        Returns whether there was anything to copy; nothing is copied from a damaged document.
        """
        own = {entry.item for entry in (*self.mwg(), *self.microsoft()) if entry.is_own}
        if not own.issuperset((*mwg_items(self._rdf), *microsoft_items(self._rdf))):
            return False
        found = _lists_in(packet)
        for theirs, (outer, tag) in found:
            ours = self._rdf.find(f".//{outer}")
            if ours is None:
                _description(self._rdf).append(copy.deepcopy(theirs))
            else:
                _bag(_inner(ours), tag).extend(copy.deepcopy(list(theirs.iterfind(f".//{tag}/*/{_LI}"))))
        return bool(found)

    def repeats(self, packet: bytes) -> bool:
        """Return whether the document has nothing but the regions of another one, as `carry_over` copied them."""
        ours = [element for outer, _ in _LISTS if (element := self._rdf.find(f".//{outer}")) is not None]
        if not ours or list(map(_canonical, ours)) != [_canonical(theirs) for theirs, _ in _lists_in(packet)]:
            return False
        return RegionDocument(ElementTree.tostring(_without(self._root, ours))).is_empty

    def remove(self, entries: Iterable[Entry]) -> None:
        """Remove entries, and the lists that have none left."""
        holders = {child: parent for parent in self._root.iter() for child in parent}
        for entry in entries:
            element = entry.item
            while (holder := holders.get(element)) is not None:
                holder.remove(element)
                if holder.tag in (_RDF, _OUTERMOST) or _says_something(holder):
                    break
                element = holder

    @property
    def is_empty(self) -> bool:
        """Whether the document has no property, nor the name of the program that made it."""
        others = [child for child in self._root if child is not self._rdf and self._root is not self._rdf]
        return not (self._root.attrib or others or any(map(_says_something, self._rdf)))

    def to_bytes(self) -> bytes:
        """Return the document as a packet."""
        ElementTree.indent(self._root, " ")
        return b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n%b\n<?xpacket end="w"?>\n' % (
            ElementTree.tostring(self._root, encoding="utf-8", xml_declaration=False)
        )


def _lists_in(packet: bytes) -> list[tuple[ElementTree.Element, tuple[str, str]]]:
    """Return the structures of a document that have lists of regions, with their tags; none of a damaged one."""
    try:
        root = parse_xml(packet)
    except UnsafeXmlError:
        return []
    found = ((root.find(f".//{tags[0]}"), tags) for tags in _LISTS)
    return [(element, tags) for element, tags in found if element is not None and element.find(f".//{_LI}") is not None]


def _canonical(element: ElementTree.Element) -> str:
    return ElementTree.canonicalize(ElementTree.tostring(element), strip_text=True, rewrite_prefixes=True)


def _without(root: ElementTree.Element, elements: Sequence[ElementTree.Element]) -> ElementTree.Element:
    """Return a copy of a document without some of its elements."""
    kept = ElementTree.Element(root.tag, root.attrib)
    kept.text = root.text
    kept.extend(_without(child, elements) for child in root if child not in elements)
    return kept


def _new_entry(bag: ElementTree.Element, name: str, gallery: str | None) -> ElementTree.Element:
    """Add an entry with the marks of faceall to a list; return the description in it."""
    marks = {f"{{{OWN}}}{_MARK}": name}
    if gallery is not None:
        marks[f"{{{OWN}}}{_GALLERY}"] = gallery
    return ElementTree.SubElement(ElementTree.SubElement(bag, _LI), _DESCRIPTION, marks)


def _says_something(element: ElementTree.Element) -> bool:
    """Return whether an element is more than an empty structure, or one with nothing but the size of the image."""
    rest = [child for child in element if child.tag != f"{{{MWG}}}AppliedToDimensions"]
    properties = set(element.attrib) - {f"{{{RDF}}}about", f"{{{RDF}}}parseType"}
    return bool(rest or properties or (element.text or "").strip())


def _put(item: ElementTree.Element, space: str, name: str, value: str) -> None:
    """Set a property of an entry where it is, or add it."""
    tag, holders = f"{{{space}}}{name}", (item, *item.findall(_DESCRIPTION))
    for holder in holders:
        child = holder.find(tag)
        if tag in holder.attrib:
            holder.attrib[tag] = value
            return
        if child is not None:
            child.text = value
            return
    if f"{{{RDF}}}parseType" in holders[-1].attrib:  # which excludes properties as attributes
        ElementTree.SubElement(holders[-1], tag).text = value
    else:
        holders[-1].attrib[tag] = value


def _drop(item: ElementTree.Element, space: str, names: Iterable[str]) -> None:
    """Remove properties of an entry."""
    for holder in (item, *item.findall(_DESCRIPTION)):
        for tag in (f"{{{space}}}{name}" for name in names):
            holder.attrib.pop(tag, None)
            for child in holder.findall(tag):
                holder.remove(child)


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

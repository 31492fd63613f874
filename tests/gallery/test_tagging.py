"""Sidecars follow the gallery: names of faceall are changed and removed with it, those of other programs stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.gallery import Gallery, TaggedPhoto
from faceall.gallery.metadata.regions import Box, Region
from faceall.gallery.metadata.revision import NameConflict, with_regions
from faceall.gallery.metadata.sources import regions_in

BOX, BESIDE = (0.1, 0.1, 0.4, 0.5), (0.6, 0.1, 0.9, 0.5)
SIZE = (120, 90)
TWO_FACES = [(8, 10, 40, (200, 10, 10)), (70, 40, 24, (10, 10, 200))]

SHELL = """<x:xmpmeta xmlns:x="adobe:ns:meta/" {program}>
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
  xmlns:MP="http://ns.microsoft.com/photo/1.2/" xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
  xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
  <rdf:Description rdf:about="" {properties}>{regions}</rdf:Description>
 </rdf:RDF></x:xmpmeta>"""


def sidecar_of(*, mwg: str = "", microsoft: str = "", box: Box = BOX, properties: str = "", program: str = "") -> bytes:
    """Return a sidecar of another program with one region in each schema that has a name here."""
    x0, y0, x1, y1 = box
    area = f'stArea:x="{(x0 + x1) / 2}" stArea:y="{(y0 + y1) / 2}" stArea:w="{x1 - x0}" stArea:h="{y1 - y0}"'
    regions = ""
    if mwg:
        entry = f'<rdf:Description mwg-rs:Name="{mwg}" mwg-rs:Type="Face"><mwg-rs:Area {area}/></rdf:Description>'
        regions += f"<mwg-rs:Regions><rdf:Description><mwg-rs:RegionList><rdf:Bag><rdf:li>{entry}</rdf:li></rdf:Bag>"
        regions += "</mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>"
    if microsoft:
        entry = f'MPReg:PersonDisplayName="{microsoft}" MPReg:Rectangle="{x0}, {y0}, {x1 - x0}, {y1 - y0}"'
        regions += f"<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag><rdf:li {entry}/></rdf:Bag></MPRI:Regions>"
        regions += "</rdf:Description></MP:RegionInfo>"
    return SHELL.format(program=program, properties=properties, regions=regions).encode()


def box_of(gallery: Gallery, path: Path) -> Box:
    """Return where the only face of a photo is, as shares of its size."""
    photo = gallery.photos.at(path)
    assert photo is not None
    assert photo.width
    assert photo.height
    x0, y0, x1, y1 = photo.faces[0].box
    return x0 / photo.width, y0 / photo.height, x1 / photo.width, y1 / photo.height


def tagged(gallery: Gallery, *, write: bool = True) -> list[tuple[str, str, tuple[str, ...]]]:
    """Tag all photos; return their names, the statuses and the removed names, sorted: ids in Milvus have no order."""
    return sorted((found.path.name, found.status, found.removed) for found in gallery.photos.tag(write=write))


def names(sidecar: Path) -> list[str]:
    """Return all names that a sidecar contains in either schema."""
    text = sidecar.read_text()
    return [name for name in ("Ada", "Ben", "Cid", "Cid Müller") if f">{name}<" in text or f'="{name}"' in text]


def _unname(gallery: Gallery) -> None:
    gallery.people.unname("Ben")


def _remove(gallery: Gallery) -> None:
    gallery.faces.remove([face.face_id for face in gallery.faces if face.person == "Ben"])


def _hide(gallery: Gallery) -> None:
    gallery.faces.hide([face.face_id for face in gallery.faces if face.person == "Ben"])


def _discard(gallery: Gallery) -> None:
    gallery.people.discard("Ben")


@pytest.mark.parametrize(
    "change",
    [
        _unname,
        _remove,
        pytest.param(_hide, marks=pytest.mark.embedded("Milvus hides no faces")),
        pytest.param(_discard, marks=pytest.mark.embedded("Milvus has no bin")),
    ],
)
def test_names_that_the_gallery_no_longer_has_are_removed(
    gallery: Gallery, photos: Path, change: Callable[[Gallery], None]
) -> None:
    """The sidecar of faceall is deleted with its last name, and the name does not come back when it is read."""
    ada, ben = write_photo(photos / "a.png", one_face(1)), write_photo(photos / "b.png", one_face(2))
    gallery.register(ada, person="Ada")
    gallery.register(ben, person="Ben")
    assert [status for _, status, _ in tagged(gallery)] == ["written", "written"]
    change(gallery)
    assert tagged(gallery, write=False) == [("a.png", "unchanged", ()), ("b.png", "would-remove", ("Ben",))]
    assert (photos / "b.png.xmp").exists()
    assert tagged(gallery) == [("a.png", "unchanged", ()), ("b.png", "removed", ("Ben",))]
    assert [path.name for path in sorted(photos.glob("*.xmp"))] == ["a.png.xmp"]
    assert tagged(gallery) == [("a.png", "unchanged", ())]


def test_other_names_stay_when_one_is_removed(gallery: Gallery, photos: Path) -> None:
    """Of two names of faceall in a sidecar the one that the gallery still has stays."""
    path = write_photo(photos / "a.png", TWO_FACES)
    gallery.register(path, person="Ada")
    other = next(face.face_id for face in gallery.faces if face.person is None)
    gallery.faces.assign(other, "Ben")
    tagged(gallery)
    assert names(photos / "a.png.xmp") == ["Ada", "Ben"]
    gallery.people.unname("Ben")
    assert tagged(gallery) == [("a.png", "written", ("Ben",))]
    assert names(photos / "a.png.xmp") == ["Ada"]
    assert tagged(gallery) == [("a.png", "unchanged", ())]


@pytest.mark.parametrize("other", [{"properties": 'xmp:Rating="5"'}, {"program": 'x:xmptk="XMP Core"'}])
def test_sidecars_of_other_programs_are_not_deleted(gallery: Gallery, photos: Path, other: dict[str, str]) -> None:
    """A sidecar that another program made stays when faceall's names are removed from it."""
    gallery.register(write_photo(photos / "a.png", one_face(1)), person="Ben")
    (photos / "a.xmp").write_bytes(sidecar_of(**other))  # type: ignore[arg-type]
    tagged(gallery)
    gallery.people.unname("Ben")
    assert tagged(gallery) == [("a.png", "written", ("Ben",))]
    assert names(photos / "a.xmp") == []
    assert "".join(other.values()).partition('="')[2] in (photos / "a.xmp").read_text()


def test_names_of_other_programs_stay(gallery: Gallery, photos: Path) -> None:
    """A name that another program wrote, or wrote in the place of faceall's, is not removed."""
    path = write_photo(photos / "a.png", one_face(1))
    gallery.register(path, person="Ben")
    tagged(gallery)
    sidecar = photos / "a.png.xmp"
    sidecar.write_text(sidecar.read_text().replace(">Ben<", ">Ada<"))
    gallery.people.unname("Ben")
    assert tagged(gallery) == []
    assert names(sidecar)[0] == "Ada"
    sidecar.write_bytes(sidecar_of(mwg="Ben", microsoft="Ben", box=box_of(gallery, path)))
    assert tagged(gallery) == []


def test_a_gallery_removes_only_its_own_names(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    """A new gallery of the same photos without names leaves what the first one wrote; a new name is changed."""
    path = write_photo(photos / "a.png", one_face(1))
    gallery.register(path, person="Ada")
    tagged(gallery)
    with Gallery.open(tmp_path / "second", detector=ColourDetector(), embedder=ColourEmbedder()) as second:
        second.register(path, unnamed=True)
        assert tagged(second) == []
        assert names(photos / "a.png.xmp") == ["Ada"]
        second.faces.assign(next(iter(second.faces)).face_id, "Ben")
        assert tagged(second) == [("a.png", "written", ())]
        second.people.unname("Ben")
        assert tagged(second) == [("a.png", "removed", ("Ben",))]


def test_photos_share_a_sidecar(gallery: Gallery, photos: Path) -> None:
    """photo.xmp belongs to photo.png and photo.jpg: the names of one are not removed for the other."""
    gallery.register(write_photo(photos / "a.png", one_face(1)), person="Ada")
    gallery.register(write_photo(photos / "a.bmp", one_face(2)), unnamed=True)
    (photos / "a.xmp").write_bytes(sidecar_of(properties='xmp:Rating="5"'))
    assert tagged(gallery) == [("a.png", "written", ())]
    assert tagged(gallery) == [("a.png", "unchanged", ())]
    gallery.people.unname("Ada")
    assert [status for _, status, _ in tagged(gallery)] == ["written"]
    assert names(photos / "a.xmp") == []


def test_sidecars_of_removed_photos_are_cleared(gallery: Gallery, photos: Path) -> None:
    """A photo that left the gallery with its last face is found in a given folder, unless it only moved or is gone."""
    path = write_photo(photos / "a.png", one_face(1))
    gallery.register(path, person="Ada")
    tagged(gallery)
    (photos / "moved").mkdir()
    for one in (path, photos / "a.png.xmp"):
        (photos / "moved" / one.name).write_bytes(one.read_bytes())
    assert [found.sidecar.parent.name for found in gallery.photos.tag(photos)] == ["photos"]
    gallery.faces.remove([face.face_id for face in gallery.faces])
    (photos / "b.png.xmp").write_bytes((photos / "a.png.xmp").read_bytes())
    assert list(gallery.photos.tag(photos / "other")) == []
    found = list(gallery.photos.tag(photos))
    assert [(one.status, one.removed, one.sidecar.parent.name) for one in found] == [
        ("removed", ("Ada",), "photos"),
        ("removed", ("Ada",), "moved"),
    ]
    assert [one.name for one in sorted(photos.rglob("*.xmp"))] == ["b.png.xmp"]


@pytest.mark.parametrize("schema", ["mwg", "microsoft"])
def test_schemas_never_contradict_each_other(gallery: Gallery, photos: Path, tmp_path: Path, schema: str) -> None:
    """After a rename, faceall's name goes, another program's stays, both are reported, and reading gives one person."""
    path = write_photo(photos / "a.png", one_face(1))
    gallery.register(path, person="Cid")
    sidecar = photos / "a.xmp"
    sidecar.write_bytes(sidecar_of(**{schema: "Cid"}, box=box_of(gallery, path)))  # type: ignore[arg-type]
    assert tagged(gallery) == [("a.png", "written", ())]
    assert sidecar.read_text().count(":written=") == 1
    gallery.people.rename("Cid", "Cid Müller")
    for status in ("written", "unchanged"):
        (found,) = gallery.photos.tag()
        assert (found.status, found.people) == (status, ("Cid Müller",))
        assert found.conflicts == (NameConflict("Cid", "Cid Müller"),)
        assert found.message is not None
        assert "'Cid' (in the gallery 'Cid Müller')" in found.message
    assert names(sidecar) == ["Cid"]
    with Gallery.open(tmp_path / "second", detector=ColourDetector(), embedder=ColourEmbedder()) as second:
        second.register(path, names_from="xmp")
        assert [person.name for person in second.people] == ["Cid"]
    sidecar.write_text(sidecar.read_text().replace("Cid", "Cid Müller"))
    assert tagged(gallery) == [("a.png", "written", ())]
    assert [found.conflicts for found in gallery.photos.tag()] == [()]


def test_a_contradiction_that_an_earlier_version_wrote_is_corrected() -> None:
    """A name of faceall beside another one of another program is removed from the other schema."""
    before = sidecar_of(mwg="Cid")
    contradicting = with_regions(before, [Region("Cid", BOX)], SIZE).content
    assert contradicting is not None
    contradicting = contradicting.replace(b">Cid<", b">Ben<").replace(b'written="Cid"', b'written="Ben"')
    found = with_regions(contradicting, [Region("Ben", BOX)], SIZE)
    assert found.conflicts == (NameConflict("Cid", "Ben"),)
    assert found.content is not None
    assert b"Ben" not in found.content
    assert with_regions(found.content, [Region("Ben", BOX)], SIZE).content is None


def test_a_neighbour_without_a_name_keeps_the_region_of_another_program() -> None:
    """A region belongs to the face that it overlaps most, also if that has no name in the gallery."""
    near = (0.25, 0.1, 0.55, 0.5)  # overlaps BOX by a third
    before = sidecar_of(mwg="Cid", microsoft="Cid", box=near)
    found = with_regions(before, [Region("Ada", BOX), Region("", near)], SIZE)
    assert found.conflicts == ()
    assert found.content is not None
    assert {region.name for region in regions_in(found.content)} == {"Ada", "Cid"}


def test_names_without_the_mark_of_a_gallery_are_removed_unless_kept() -> None:
    """Earlier versions did not write which gallery has written a name; their names are removed, except in `kept`."""
    before = with_regions(None, [Region("Ada", BOX), Region("Ben", BESIDE)], SIZE).content
    assert with_regions(before, [], SIZE, gallery="1").removed == ("Ada", "Ben")
    assert with_regions(before, [], SIZE, gallery="1", kept=[BOX]).removed == ("Ben",)
    assert with_regions(before, [], SIZE, gallery="1", strict=True).removed == ()
    own = with_regions(None, [Region("Ada", BOX)], SIZE, gallery="1").content
    assert with_regions(own, [], SIZE, gallery="1", strict=True).removed == ("Ada",)
    assert with_regions(own, [], SIZE, gallery="2").removed == with_regions(own, [], SIZE).removed == ()


def embed(path: Path, packet: bytes) -> None:
    """Put an XMP packet into a PNG, as another program does."""
    with PillowImage.open(path) as image:
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        image.save(path, pnginfo=text)


@pytest.mark.parametrize("schema", ["mwg", "microsoft"])
def test_no_sidecar_repeats_what_the_photo_says(gallery: Gallery, photos: Path, schema: str) -> None:
    """If the XMP in the photo names all faces, in either schema, nothing is written; a face that it lacks is."""
    path = write_photo(photos / "a.png", TWO_FACES)
    box = (8 / 120, 10 / 90, 48 / 120, 50 / 90)
    embed(path, sidecar_of(**{schema: "Ada"}, box=box))  # type: ignore[arg-type]
    gallery.register(path, names_from="xmp")
    assert [face.person for face in gallery.faces] == ["Ada", None]
    assert tagged(gallery) == [("a.png", "unchanged", ())]
    (photos / "a.xmp").write_bytes(without := sidecar_of(properties='xmp:Rating="5"'))
    assert tagged(gallery) == [("a.png", "unchanged", ())]
    assert (photos / "a.xmp").read_bytes() == without
    (photos / "a.xmp").unlink()
    gallery.faces.assign(next(face.face_id for face in gallery.faces if face.person is None), "Ben")
    assert tagged(gallery) == [("a.png", "written", ())]
    assert names(photos / "a.png.xmp") == ["Ada", "Ben"]
    assert tagged(gallery) == [("a.png", "unchanged", ())]
    gallery.people.rename("Ada", "Cid")  # the region of the photo is still that of another program
    (found,) = gallery.photos.tag()
    assert found.conflicts == (NameConflict("Ada", "Cid"),)
    assert names(photos / "a.png.xmp") == ["Ada", "Ben"]
    gallery.people.unname("Ben")
    assert tagged(gallery) == [("a.png", "removed", ("Ben",))]  # what is left is in the photo


def test_a_sidecar_keeps_the_regions_of_the_photo(gallery: Gallery, photos: Path) -> None:
    """Programs take the regions of the sidecar alone, so it has those that faceall does not know, with all they say."""
    path = write_photo(photos / "a.png", one_face(1))
    embed(path, sidecar_of(mwg="Ben", box=BESIDE).replace(b"mwg-rs:Type", b'mwg-rs:Description="left" mwg-rs:Type'))
    gallery.register(path, person="Ada")
    assert tagged(gallery) == [("a.png", "written", ())]
    sidecar = photos / "a.png.xmp"
    assert names(sidecar) == ["Ada", "Ben"]
    assert 'Description="left"' in sidecar.read_text()
    assert {region.name for region in regions_in(sidecar.read_bytes())} == {"Ada", "Ben"}
    gallery.people.rename("Ada", "Cid")
    assert tagged(gallery) == [("a.png", "written", ())]
    assert names(sidecar) == ["Ben", "Cid"]
    gallery.photos.remove(path)
    gallery.register(write_photo(photos / "b.png", one_face(2)), person="Ada")
    assert tagged(gallery) == [("a.png", "removed", ("Cid",)), ("b.png", "written", ())]


def test_a_name_in_the_photo_that_differs_is_reported(gallery: Gallery, photos: Path) -> None:
    """For that face nothing is written, and no sidecar if it is the only one."""
    path = write_photo(photos / "a.png", one_face(1))
    gallery.register(path, names_from="none")
    embed(path, sidecar_of(mwg="Ben", box=box_of(gallery, path)))
    gallery.register(path, person="Ada")
    (found,) = gallery.photos.tag()
    assert (found.status, found.conflicts) == ("unchanged", (NameConflict("Ben", "Ada"),))
    assert not (photos / "a.png.xmp").exists()


def test_regions_of_the_photo_are_added_to_a_sidecar_of_faceall_only() -> None:
    """A sidecar with nothing but names of faceall gets them; one with regions of another program is the newer word."""
    ada = Region("Ada", BOX)
    own = with_regions(None, [ada], SIZE).content
    embedded = sidecar_of(mwg="Ben", box=BESIDE)
    found = with_regions(own, [ada], SIZE, embedded=embedded)
    assert found.content is not None
    assert [region.name for region in regions_in(found.content)] == ["Ada", "Ben"]
    assert with_regions(found.content, [ada], SIZE, embedded=embedded).content is None
    other = with_regions(sidecar_of(mwg="Cid", box=BESIDE), [ada], SIZE, embedded=embedded).content
    assert other is not None
    assert {region.name for region in regions_in(other)} == {"Ada", "Cid"}
    assert with_regions(None, [ada], SIZE, embedded=b"<x:xmpmeta").content == own  # damaged


def test_names_differ_by_more_than_their_form(gallery: Gallery, photos: Path) -> None:
    """Composed and decomposed accents, and white space around a name, are no contradiction."""
    path = write_photo(photos / "a.png", one_face(1))
    gallery.register(path, person="Cid Müller")
    (photos / "a.xmp").write_bytes(sidecar_of(mwg=" Cid Mu\u0308ller", box=box_of(gallery, path)))
    found = list(gallery.photos.tag())
    assert [(one.status, one.conflicts) for one in found] == [("written", ())]


def test_a_record_of_a_sidecar_has_no_remarks_by_default() -> None:
    """The attributes of later versions have defaults."""
    found = TaggedPhoto(Path("a.png"), Path("a.png.xmp"), "unchanged", ("Ada",))
    assert (found.message, found.removed, found.conflicts) == (None, (), ())

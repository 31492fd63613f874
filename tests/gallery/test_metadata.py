"""Names of faces in photo metadata are read as other programs write them, and written for those programs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from stand_ins import one_face, write_photo

from faceall.gallery import Gallery
from faceall.gallery.metadata.regions import Region, UnsafeXmlError, parse_xml, stored, upright
from faceall.gallery.metadata.revision import with_regions
from faceall.gallery.metadata.sources import read_names, regions_in
from faceall.images import write_image
from faceall.images.metadata import Metadata, read_metadata
from faceall.types import Image

DIGIKAM = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:MP="http://ns.microsoft.com/photo/1.2/"
    xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
    xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
    xmlns:digiKam="http://www.digikam.org/ns/1.0/" digiKam:ColorLabel="3">
   <MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>
    <rdf:li MPReg:PersonDisplayName="Somebody else" MPReg:Rectangle="0.5, 0.5, 0.1, 0.1"/>
   </rdf:Bag></MPRI:Regions></MP:RegionInfo>
   <mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>
    <rdf:li><rdf:Description mwg-rs:Name="{name}" mwg-rs:Type="Face">
     <mwg-rs:Area stArea:x="0.25" stArea:y="0.25" stArea:w="0.5" stArea:h="0.5" stArea:unit="normalized"/>
    </rdf:Description></rdf:li>
    <rdf:li><rdf:Description mwg-rs:Name="" mwg-rs:Type="Face">
     <mwg-rs:Area stArea:x="0.7" stArea:y="0.7" stArea:w="0.1" stArea:h="0.1" stArea:unit="normalized"/>
    </rdf:Description></rdf:li>
   </rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

LIGHTROOM = """<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#">
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions stDim:w="64" stDim:h="64" stDim:unit="pixel"/>
    <mwg-rs:RegionList><rdf:Seq><rdf:li rdf:parseType="Resource">
     <mwg-rs:Type>Face</mwg-rs:Type><mwg-rs:Name>{name}</mwg-rs:Name>
     <mwg-rs:Area rdf:parseType="Resource">
      <stArea:x>0.25</stArea:x><stArea:y>0.25</stArea:y><stArea:w>0.5</stArea:w><stArea:h>0.5</stArea:h>
     </mwg-rs:Area>
    </rdf:li></rdf:Seq></mwg-rs:RegionList>
   </mwg-rs:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""

MICROSOFT = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="" xmlns:MP="http://ns.microsoft.com/photo/1.2/"
  xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#" xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#">
  <MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag><rdf:li><rdf:Description>
   <MPReg:Rectangle>0, 0, 0.5, 0.5</MPReg:Rectangle><MPReg:PersonDisplayName>{name}</MPReg:PersonDisplayName>
  </rdf:Description></rdf:li></rdf:Bag></MPRI:Regions></rdf:Description></MP:RegionInfo>
 </rdf:Description></rdf:RDF></x:xmpmeta>"""

CORNER = (0.0, 0.0, 0.5, 0.5)


@pytest.mark.parametrize("document", [DIGIKAM, LIGHTROOM, MICROSOFT])
def test_regions_of_programs_are_read(document: str) -> None:
    """Named regions are read from all XML forms of both schemas; MWG regions take precedence."""
    assert regions_in(document.format(name="Ada Lovelace").encode()) == [Region("Ada Lovelace", CORNER)]


def test_text_behind_the_pixels_is_not_the_metadata_of_a_jpeg(astronaut: Image, tmp_path: Path) -> None:
    """A packet in the segments before the pixels is read; one in the video behind a motion photo is not."""
    write_image(tmp_path / "a.jpg", astronaut)
    plain, packet = (tmp_path / "a.jpg").read_bytes(), b"<x:xmpmeta>ours</x:xmpmeta>"
    segment = b"\xff\xe1" + (2 + len(packet)).to_bytes(2, "big") + packet
    assert read_metadata(plain[:2] + segment + plain[2:]).xmp == packet
    assert read_metadata(plain + packet).xmp is None
    assert read_metadata(b"\xff\xd8 damaged" + packet).xmp == packet


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp"])
def test_sidecars_are_found(photos: Path, name: str) -> None:
    """Both naming schemes of sidecars are read."""
    (photos / name).write_text(LIGHTROOM.format(name="Ada"))
    assert read_names(photos / "a.jpg", Metadata()).regions == (Region("Ada", CORNER),)


def test_picasa_is_read(photos: Path) -> None:
    """Contacts and rectangles of .picasa.ini are read, also rectangles without leading zeros."""
    (photos / ".picasa.ini").write_text(
        "[Picasa]\nname=Summer\n[Contacts2]\nab12cd=Ada Lovelace;;\n[a.jpg]\nfaces=rect64(7fff7fff),ab12cd;"
        "rect64(8000800090009000),ffffffffffffffff\nbackuphash=1\n"
    )
    (region,) = read_names(photos / "a.jpg", Metadata()).regions
    assert region.name == "Ada Lovelace"
    assert region.box == pytest.approx(CORNER, abs=1e-4)
    assert read_names(photos / "b.jpg", Metadata()).regions == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_rotated_and_rotated_back(orientation: int) -> None:
    """A box on the stored image is rotated to the displayed image; the inverse is exact."""
    box = (0.1, 0.2, 0.4, 0.3)
    pixels = PillowImage.new("L", (100, 100))
    pixels.paste(255, (10, 20, 40, 30))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    pixels.info["exif"] = exif.tobytes()
    pixels.getexif()[0x0112] = orientation
    from PIL import ImageOps

    seen = ImageOps.exif_transpose(pixels).getbbox()
    assert upright(box, orientation) == pytest.approx([side / 100 for side in seen])
    assert stored(upright(box, orientation), orientation) == pytest.approx(box)


def test_entities_are_refused() -> None:
    """A document with a document type is refused, because entities can expand to gigabytes or read files."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    with pytest.raises(UnsafeXmlError, match="document type"):
        parse_xml(bomb)
    assert regions_in(bomb) == []
    assert regions_in(b"<not xml") == []


def test_faces_are_named_from_sidecars(gallery: Gallery, photos: Path) -> None:
    """A face that a region overlaps gets its name, also on registered photos; others stay unnamed."""
    write_photo(photos / "a.png", one_face(1))
    write_photo(photos / "b.png", one_face(2))
    gallery.register(photos, names_from="none")
    found = gallery.photos.at(photos / "a.png")
    assert found is not None
    x0, y0, x1, y1 = found.faces[0].box
    assert found.width is not None
    assert found.height is not None
    box = (x0 / found.width, y0 / found.height, x1 / found.width, y1 / found.height)
    document = with_regions(None, [Region("Ada", box)], (found.width, found.height)).content
    assert document is not None
    (photos / "a.png.xmp").write_bytes(document)
    registration = gallery.iter_register(photos, names_from="xmp")
    assert [result.person for result in registration] == ["Ada", None]
    assert registration.names_in_metadata == {"Ada": 1}


def test_names_in_sidecars_are_made_valid(gallery: Gallery, photos: Path) -> None:
    """Invisible letters and bidi overrides are removed; an empty result names no one."""
    for number, name in enumerate(("A\u200bd\u202ea", "\u2066\u3164")):
        write_photo(photos / f"{number}.png", one_face(1 + number))
        document = with_regions(None, [Region(name, (0.0, 0.0, 1.0, 1.0))], (64, 64)).content
        assert document is not None
        (photos / f"{number}.png.xmp").write_bytes(document)
    assert {result.person for result in gallery.register(photos, names_from="xmp")} <= {"Ada", None}
    assert [person.name for person in gallery.people] in (["Ada"], [])


def test_names_that_are_not_used_are_noted(gallery: Gallery, photos: Path) -> None:
    """A damaged sidecar, and a region without a face, are noted in the result of the photo, in every run."""
    write_photo(photos / "a.png", one_face(1))
    write_photo(photos / "b.png", one_face(2))
    write_photo(photos / "c.png", [])
    (photos / "a.png.xmp").write_text("<x:xmpmeta")
    far = DIGIKAM.format(name="Ada").replace('"0.25"', '"0.95"').replace('="0.5"', '="0.05"')
    for name in ("a", "b", "c"):
        (photos / f"{name}.xmp").write_text(far)
    for _ in range(2):
        results = {result.path.name: result for result in gallery.register(photos, names_from="xmp")}
        texts = {
            name: [note.text for note in result.notes if note.kind == "metadata"] for name, result in results.items()
        }
        missing = "no face was found where the metadata name Ada"
        assert texts["b.png"] == texts["c.png"] == [missing]
        assert texts["a.png"][0].startswith("a.png.xmp was not read: is not XML")
        assert texts["a.png"][1:] == [missing]
    assert len(gallery.people) == 0
    assert all(result.notes == () for result in gallery.register(photos, names_from="none"))


def test_tags_are_written_once_and_keep_others(gallery: Gallery, photos: Path) -> None:
    """Originals and other tags are kept, a second run writes nothing, and a new name is updated."""
    path = write_photo(photos / "a.png", one_face(1))
    before = path.read_bytes()
    gallery.register(path, person="Ada")
    sidecar = photos / "a.xmp"
    other = "Bob & co".replace("&", "&amp;")
    sidecar.write_text(DIGIKAM.format(name=other).replace('"0.25"', '"0.95"').replace('="0.5"', '="0.05"'))
    assert [found.status for found in gallery.photos.tag(write=False)] == ["would-write"]
    assert [found.status for found in gallery.photos.tag()] == ["written"]
    assert [found.status for found in gallery.photos.tag()] == ["unchanged"]
    assert path.read_bytes() == before
    assert {region.name for region in regions_in(sidecar.read_bytes())} == {"Ada", "Bob & co"}
    assert "ColorLabel" in sidecar.read_text()
    gallery.people.rename("Ada", "Ada Lovelace")
    assert [found.status for found in gallery.photos.tag()] == ["written"]
    assert {region.name for region in regions_in(sidecar.read_bytes())} == {"Ada Lovelace", "Bob & co"}
    sidecar.write_text("<!DOCTYPE x><x/>")
    assert [found.status for found in gallery.photos.tag()] == ["failed"]
    assert sidecar.read_text() == "<!DOCTYPE x><x/>"


def test_names_with_the_mark_of_earlier_versions_follow_the_gallery(gallery: Gallery, photos: Path) -> None:
    """A sidecar that an earlier version wrote is renamed too, and gets the present mark."""
    gallery.register(write_photo(photos / "a.png", one_face(1)), person="Ada")
    list(gallery.photos.tag())
    sidecar = photos / "a.png.xmp"
    sidecar.write_text(sidecar.read_text().replace("faceall:written=", "faceall:name="))
    assert [found.status for found in gallery.photos.tag()] == ["unchanged"]
    gallery.people.rename("Ada", "Ada Lovelace")
    assert [found.status for found in gallery.photos.tag()] == ["written"]
    assert {region.name for region in regions_in(sidecar.read_bytes())} == {"Ada Lovelace"}
    assert sidecar.read_text().count('faceall:written="Ada Lovelace"') == 2
    assert "faceall:name=" not in sidecar.read_text()


def test_exiftool_reads_written_sidecars(tmp_path: Path) -> None:
    """ExifTool finds names and areas of both schemas in a sidecar."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed: apt install libimage-exiftool-perl")
    sidecar = tmp_path / "a.xmp"
    regions = [Region("Ada Lovelace", (0.1, 0.2, 0.3, 0.6))]
    document = with_regions(None, regions, (400, 300), gallery="0123456789abcdef").content
    assert document is not None
    sidecar.write_bytes(document)
    out = subprocess.run(["exiftool", "-json", "-struct", str(sidecar)], capture_output=True, check=True).stdout
    (found,) = json.loads(out)
    (region,) = found["RegionInfo"]["RegionList"]
    assert (region["Name"], region["Type"]) == ("Ada Lovelace", "Face")
    assert float(region["Area"]["X"]) == pytest.approx(0.2)
    assert float(region["Area"]["H"]) == pytest.approx(0.4)
    assert found["RegionInfo"]["AppliedToDimensions"]["W"] == 400
    (other,) = found["RegionInfoMP"]["Regions"]
    assert other["PersonDisplayName"] == "Ada Lovelace"
    assert "Warning" not in found


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_tags_survive_a_round_trip_through_exiftool(gallery: Gallery, photos: Path, orientation: int) -> None:
    """ExifTool embeds what `tag` wrote into the photo, also a turned one; another gallery reads names from there."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed: apt install libimage-exiftool-perl")
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    path = write_photo(photos / "a.png", [(8, 10, 40, (200, 10, 10)), (70, 40, 24, (10, 10, 200))])
    PillowImage.open(path).save(path, exif=exif)
    gallery.register(path, person="Ada")
    other = next(face.face_id for face in gallery.faces if face.person is None)
    gallery.faces.assign(other, "Bob & co")
    named = {face.person: tuple(face.box) for face in gallery.faces}
    assert [found.status for found in gallery.photos.tag()] == ["written"]
    sidecar = photos / "a.png.xmp"
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-tagsfromfile", sidecar, "-all:all", path], check=True)
    sidecar.unlink()
    gallery.photos.remove(path)
    registration = gallery.iter_register(path, names_from="xmp")
    assert [result.status for result in registration] == ["added"]
    assert registration.names_in_metadata == {"Ada": 1, "Bob & co": 1}
    photo = gallery.photos.at(path)
    assert photo is not None
    assert {face.person: tuple(face.box) for face in photo.faces} == named


def test_regions_that_exiftool_embeds_are_read(tmp_path: Path) -> None:
    """Regions that ExifTool writes to the XMP of a JPEG are read."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed: apt install libimage-exiftool-perl")
    path = tmp_path / "a.jpg"
    PillowImage.new("RGB", (64, 64)).save(path)
    area = "{Area={X=0.25,Y=0.25,W=0.5,H=0.5,Unit=normalized},Name=Ada,Type=Face}"
    region = f"-RegionInfo={{AppliedToDimensions={{W=64,H=64,Unit=pixel}},RegionList=[{area}]}}"
    times = ["-DateTimeOriginal=2024:05:01 12:30:00", "-Make=Canon", "-Model=Canon EOS R5", "-n", "-Orientation=6"]
    subprocess.run(["exiftool", "-q", "-overwrite_original", region, *times, str(path)], check=True)
    metadata = read_metadata(path.read_bytes())
    assert (metadata.taken, metadata.camera, metadata.orientation) == ("2024-05-01T12:30:00", "Canon EOS R5", 6)
    assert read_names(path, metadata).regions == (Region("Ada", (0.5, 0.0, 1.0, 0.5)),)


def test_exiftool_reads_the_regions_of_a_photo_in_its_sidecar(gallery: Gallery, photos: Path) -> None:
    """What ExifTool embeds is in the sidecar too, without a warning; a photo that it names whole has no sidecar."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed: apt install libimage-exiftool-perl")
    path = write_photo(photos / "a.png", [(8, 10, 40, (200, 10, 10)), (70, 40, 24, (10, 10, 200))])
    entries = ("{Area={X=0.23,Y=0.33,W=0.33,H=0.44,Unit=normalized},Name=Ada,Type=Face}", "{Name=Rex,Type=Pet}")
    region = f"-RegionInfo={{AppliedToDimensions={{W=120,H=90,Unit=pixel}},RegionList=[{','.join(entries)}]}}"
    subprocess.run(["exiftool", "-q", "-overwrite_original", region, "-Rating=5", path], check=True)
    gallery.register(path, names_from="xmp")
    assert [found.status for found in gallery.photos.tag()] == ["unchanged"]
    assert not (photos / "a.png.xmp").exists()
    gallery.faces.assign(next(face.face_id for face in gallery.faces if face.person is None), "Bob")
    assert [found.status for found in gallery.photos.tag()] == ["written"]
    command = ["exiftool", "-json", "-struct", photos / "a.png.xmp"]
    (found,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert [(one["Name"], one["Type"]) for one in found["RegionInfo"]["RegionList"]] == [
        ("Ada", "Face"),
        ("Rex", "Pet"),
        ("Bob", "Face"),
    ]
    assert {one["PersonDisplayName"] for one in found["RegionInfoMP"]["Regions"]} == {"Ada", "Bob"}
    assert "Warning" not in found


def test_time_and_camera_are_stored(gallery: Gallery, photos: Path) -> None:
    """The camera's time and model are stored with the photo; missing and invalid values are None."""
    write_photo(photos / "a.png", one_face(1))
    exif = PillowImage.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS R5"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:30:00"
    PillowImage.open(write_photo(photos / "b.png", one_face(2))).save(photos / "b.png", exif=exif)
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    PillowImage.open(write_photo(photos / "c.png", one_face(3))).save(photos / "c.png", exif=exif)
    gallery.register(photos)
    found = [gallery.photos.at(photos / name) for name in ("a.png", "b.png", "c.png")]
    assert [(photo.taken, photo.camera) for photo in found if photo] == [
        (None, None),
        ("2024-05-01T12:30:00", "Canon EOS R5"),
        (None, "Canon EOS R5"),
    ]

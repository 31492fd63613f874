"""A gallery is exported as one file, and imported by merging."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import LATER, WholeEmbedder, changed_json, enrol, open_whole, read_parts, write_parts
from stand_ins import one_face, write_photo

from faceall.errors import FaceallError, IndexFileError, IndexMismatchError, UnknownPersonError
from faceall.gallery import Gallery, MatchThreshold
from faceall.gallery.context import Context

pytestmark = pytest.mark.embedded("bundles are written from a folder")

Opener = Callable[..., Gallery]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Return a function that opens galleries by name, with an embedder whose manifest is complete."""
    with ExitStack() as stack:

        def make(name: str = "server", **options: Any) -> Gallery:
            return stack.enter_context(open_whole(tmp_path / name, **options))

        yield make


@pytest.fixture
def server(opened: Opener, photos: Path) -> Gallery:
    """Ann with three photos, Bo with two, and an unnamed face on a photo of Bo."""
    for number in range(3):
        write_photo(photos / "Ann" / f"{number}.png", one_face(number))
    write_photo(photos / "Bo" / "0.png", one_face(10))
    write_photo(photos / "Bo" / "1.png", [*one_face(11), (5, 5, 9, (250, 3, 3))])
    gallery = opened()
    assert {result.status for result in gallery.iter_register(photos)} == {"added"}
    return gallery


@pytest.fixture
def bundle(server: Gallery, tmp_path: Path) -> Path:
    """The bundle of the server's gallery."""
    server.index.export_bundle(tmp_path / "team.faceall")
    return tmp_path / "team.faceall"


def snapshot(gallery: Gallery) -> list[tuple[Any, ...]]:
    """Return every face with its person, photo, box, vector and thumbnail, in a fixed order."""
    rows = gallery._index.connection.execute(
        "SELECT people.name, hash, is_primary, x0, y0, x1, y1, landmarks, score, vector, jpeg FROM faces"
        " LEFT JOIN people ON people.id = person JOIN photos ON photos.id = photo"
        " JOIN vectors ON vectors.key = faces.key JOIN thumbnails ON face = faces.key"
    )
    return sorted(rows, key=repr)


def test_round_trip_loses_nothing(server: Gallery, bundle: Path, opened: Opener) -> None:
    """An export imported into an empty gallery gives bit-identical data, and the copy has no problems."""
    other = opened("other")
    result = other.index.import_bundle(bundle)
    assert (result.added, result.known, result.conflicts) == (6, 0, [])
    assert sorted(result.new_people) == ["Ann", "Bo"]
    assert snapshot(other) == snapshot(server)
    assert (other.model, other.index.problems()) == (server.model, [])


def test_same_gallery_gives_the_same_bytes(server: Gallery, bundle: Path, opened: Opener, tmp_path: Path) -> None:
    """Two exports of a gallery, and an export of its import, are the same file."""
    server.index.export_bundle(tmp_path / "again.faceall")
    other = opened("other")
    other.index.import_bundle(bundle)
    other.index.export_bundle(tmp_path / "third.faceall")
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in tmp_path.glob("*.faceall")}
    assert len(digests) == 1


def test_file_follows_the_format(server: Gallery, bundle: Path) -> None:
    """Entries are stored in order, the manifest has their checksums, and vectors are in the order of faces."""
    with zipfile.ZipFile(bundle) as archive:
        infos = archive.infolist()
        assert all(info.compress_type == zipfile.ZIP_STORED and not info.extra for info in infos)
        assert archive.testzip() is None
    parts = read_parts(bundle)
    manifest, faces, people = (json.loads(parts[f"{name}.json"]) for name in ("manifest", "faces", "people"))
    ids = [face["id"] for face in faces]
    assert ids == sorted(ids)
    assert list(parts) == ["manifest.json", "people.json", "faces.json", "vectors.f32"] + [
        f"thumbnails/{identity}.jpg" for identity in ids
    ]
    assert (manifest["format"], manifest["kind"], manifest["embedding_size"]) == (1, "faceall-gallery-bundle", 8)
    assert (manifest["faces"], manifest["people"]) == (6, 2)
    assert manifest["model"]["fingerprint"] == WholeEmbedder().model.fingerprint
    for name, part in manifest["parts"].items():
        assert part == {"size": len(parts[name]), "sha256": hashlib.sha256(parts[name]).hexdigest()}
    vectors = np.frombuffer(parts["vectors.f32"], "<f4").reshape(6, 8)
    names = {person["id"]: person["name"] for person in people}
    for face, vector in zip(faces, vectors, strict=True):
        rows = [row for row in snapshot(server) if row[1].hex() == face["photo"]["sha256"]]
        (row,) = [row for row in rows if row[3:7] == tuple(face["box"])]
        assert row[0] == names.get(face["person"])
        assert row[9] == vector.tobytes()
        assert row[10] == parts[face["thumbnail"]]
    assert {face["photo"]["name"] for face in faces} == {"0.png", "1.png", "2.png"}  # folders are not exported


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_bundle_is_private(bundle: Path) -> None:
    """Only the owner can read a bundle."""
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600


def test_only_some_people(server: Gallery, opened: Opener, tmp_path: Path) -> None:
    """--people exports only their faces; an unknown name is refused and writes no file."""
    done = server.index.export_bundle(tmp_path / "ann.faceall", people=["Ann"])
    assert (done.people, done.faces, done.size) == (1, 3, (tmp_path / "ann.faceall").stat().st_size)
    other = opened("other")
    other.index.import_bundle(done.path)
    assert [(person.name, person.faces) for person in other.people] == [("Ann", 3)]
    with pytest.raises(UnknownPersonError, match="Anna"):
        server.index.export_bundle(tmp_path / "no.faceall", people=["Anna"])
    assert not (tmp_path / "no.faceall").exists()


def test_existing_file_is_replaced_only_on_request(server: Gallery, tmp_path: Path) -> None:
    """An existing file is kept unless replacing is requested; a folder is always kept."""
    path = tmp_path / "mine.txt"
    path.write_text("mine")
    with pytest.raises(IndexFileError, match=r"exists already.*--replace"):
        server.index.export_bundle(path)
    assert path.read_text() == "mine"
    server.index.export_bundle(path, replace=True)
    assert zipfile.is_zipfile(path)
    with pytest.raises(IndexFileError, match="exists already"):
        server.index.export_bundle(tmp_path, replace=True)
    assert not list(tmp_path.glob(".*.part"))


def test_second_import_changes_nothing(server: Gallery, bundle: Path) -> None:
    """Importing an unchanged bundle again changes nothing."""
    before = snapshot(server)
    for _ in range(2):
        result = server.index.import_bundle(bundle)
        assert (result.added, result.known, result.reassigned, result.conflicts) == (0, 6, 0, [])
    assert snapshot(server) == before


def test_people_enrolled_on_a_phone_are_imported(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A person added on a phone is imported once and found by search; everything else stays."""
    before = snapshot(server)
    parts = enrol(read_parts(bundle), "Cleo")
    result = server.index.import_bundle(write_parts(tmp_path / "phone.faceall", parts))
    assert (result.added, result.known, result.new_people, result.conflicts) == (1, 6, ["Cleo"], [])
    (face,) = server.faces.find(person="Cleo")
    assert face.path.name == "phone.jpg"
    assert face.path.is_relative_to(tmp_path / "phone.faceall")
    assert [row for row in snapshot(server) if row[0] != "Cleo"] == before
    assert server.index.problems() == []
    again = server.index.import_bundle(tmp_path / "phone.faceall")
    assert (again.added, again.known, again.conflicts) == (0, 7, [])


def test_registering_an_imported_photo_sets_its_path(
    server: Gallery, bundle: Path, photos: Path, opened: Opener
) -> None:
    """Registering a photo of a bundle stores its path and keeps its people."""
    other = opened("other")
    other.index.import_bundle(bundle)
    other.people.rename("Ann", "Anna")
    assert {result.status for result in other.register(photos)} == {"moved"}
    assert {face.path.parent for face in other.faces.find(person="Anna")} == {photos / "Ann"}
    assert (len(other), other.index.problems()) == (6, [])


def test_same_name_is_the_same_person(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A person added on a phone under an existing name is that person, also after a later rename."""
    phone = tmp_path / "phone.faceall"
    server.index.import_bundle(write_parts(phone, enrol(read_parts(bundle), "Ann")))
    assert len(server.faces.find(person="Ann")) == 4
    server.people.rename("Ann", "Anna")
    result = server.index.import_bundle(phone)
    assert (result.added, result.new_people) == (0, [])
    assert len(server.faces.find(person="Anna" if not result.renamed else "Ann")) == 4


def test_later_name_counts(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """The later of two renamings is kept; an earlier one is reported."""

    def rename(when: str) -> Path:
        def change(people: Any) -> None:
            (ann,) = [person for person in people if person["name"] == "Ann"]
            ann.update(name="Anna", changed=when)

        return write_parts(tmp_path / "phone.faceall", changed_json(read_parts(bundle), "people.json", change))

    early = server.index.import_bundle(rename("2001-01-01T00:00:00Z"))
    assert (early.renamed, len(early.conflicts)) == ([], 1)
    assert "'Anna' is called 'Ann' here" in early.conflicts[0]
    late = server.index.import_bundle(rename(LATER))
    assert (late.renamed, late.conflicts) == ([("Ann", "Anna")], [])
    assert [person.name for person in server.people] == ["Anna", "Bo"]


def test_renaming_to_a_taken_name_is_reported(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A renaming to a name that another person has is listed, and both people keep their names."""

    def change(people: Any) -> None:
        (ann,) = [person for person in people if person["name"] == "Ann"]
        ann.update(name="Bo", changed=LATER)

    parts = changed_json(read_parts(bundle), "people.json", change)
    result = server.index.import_bundle(write_parts(tmp_path / "phone.faceall", parts))
    assert "another person has that name" in result.conflicts[0]
    assert [(person.name, person.faces) for person in server.people] == [("Ann", 3), ("Bo", 2)]


def test_later_assignment_counts(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A later assignment on the phone moves the face; an earlier one does not and is listed."""

    def reassign(when: str) -> Path:
        parts = read_parts(bundle)
        people = {person["name"]: person["id"] for person in json.loads(parts["people.json"])}

        def change(faces: Any) -> None:
            next(face for face in faces if face["person"] == people["Ann"]).update(person=people["Bo"], changed=when)

        return write_parts(tmp_path / "phone.faceall", changed_json(parts, "faces.json", change))

    early = server.index.import_bundle(reassign("2001-01-01T00:00:00Z"))
    assert (early.reassigned, len(early.conflicts)) == (0, 1)
    late = server.index.import_bundle(reassign(LATER))
    assert (late.reassigned, late.conflicts) == (1, [])
    assert [(person.name, person.faces) for person in server.people] == [("Ann", 2), ("Bo", 3)]
    assert server.index.problems() == []


def test_same_vector_of_the_same_photo_is_the_same_face(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A photo registered on two devices gives one face although its ids differ."""
    parts = read_parts(bundle)
    other = changed_json(parts, "faces.json", lambda faces: faces[0].update(id="0" * 8 + "-0000-4000-8000-" + "0" * 12))
    old, new = (json.loads(found["faces.json"])[0]["id"] for found in (parts, other))
    other = changed_json(other, "faces.json", lambda faces: faces[0].update(thumbnail=f"thumbnails/{new}.jpg"))
    other[f"thumbnails/{new}.jpg"] = other.pop(f"thumbnails/{old}.jpg")
    path = write_parts(tmp_path / "phone.faceall", other)
    result = server.index.import_bundle(path)
    assert (result.added, result.known) == (0, 6)
    for face in server.faces.find():
        server.faces.remove(face.face_id)
    assert (server.index.import_bundle(path).left_out, len(server)) == (6, 0)  # both ids were known before the removal


def test_removed_faces_stay_removed(server: Gallery, bundle: Path) -> None:
    """Faces removed here are not imported again from a phone, unless requested."""
    server.people.remove("Bo")
    result = server.index.import_bundle(bundle)
    assert (result.added, result.left_out, result.new_people) == (0, 2, [])
    back = server.index.import_bundle(bundle, restore=True)
    assert (back.added, back.new_people) == (2, ["Bo"])
    assert server.index.import_bundle(bundle).known == 6
    assert server.index.problems() == []


def test_faces_of_merged_people_go_to_the_remaining_person(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A new face of a person who was merged here is assigned to the remaining person."""
    server.people.merge("Bo", "Ann")
    parts = read_parts(bundle)
    owner = next(person["id"] for person in json.loads(parts["people.json"]) if person["name"] == "Bo")
    parts = enrol(parts, "Cleo")
    parts = changed_json(parts, "faces.json", lambda faces: faces[-1].update(person=owner))
    result = server.index.import_bundle(write_parts(tmp_path / "phone.faceall", parts))
    assert (result.added, result.new_people) == (1, [])
    assert [(person.name, person.faces) for person in server.people] == [("Ann", 6)]


def test_person_without_a_face_is_not_created(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A name without faces creates no person."""
    parts = enrol(read_parts(bundle), "Cleo")
    parts = changed_json(parts, "faces.json", lambda faces: faces[-1].update(person=None))
    assert server.index.import_bundle(write_parts(tmp_path / "phone.faceall", parts)).added == 1
    assert [person.name for person in server.people] == ["Ann", "Bo"]


def test_other_model_is_refused(bundle: Path, opened: Opener, photos: Path) -> None:
    """Vectors of another model are refused with what to do, and nothing is changed."""
    other = opened("other", embedder=WholeEmbedder("else"))
    assert len(list(other.register(photos))) == 5
    before = snapshot(other)
    with pytest.raises(
        IndexMismatchError, match=r"'colours \(.*\(8 dimensions\), .* 'else .*faceall index migrate --model colours$"
    ):
        other.index.import_bundle(bundle)
    assert snapshot(other) == before


def test_model_of_another_name_is_the_same(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A model is identified by its fingerprint, not by its name."""

    def rename(manifest: Any) -> None:
        manifest["model"]["name"] = manifest["model"]["manifest"]["name"] = "phone-colours"

    path = write_parts(tmp_path / "phone.faceall", changed_json(read_parts(bundle), "manifest.json", rename))
    assert server.index.import_bundle(path).known == 6


def test_read_only_gallery(server: Gallery, bundle: Path, opened: Opener, tmp_path: Path) -> None:
    """A read-only gallery can be exported once it has ids, and refuses imports."""
    reader = opened(read_only=True)
    reader.index.export_bundle(tmp_path / "reader.faceall")
    assert (tmp_path / "reader.faceall").read_bytes() == bundle.read_bytes()
    with pytest.raises(FaceallError, match="reading only"):
        reader.index.import_bundle(bundle)


_EXPORTS = (("a.faceall", None), ("b.faceall", None), ("c.faceall", ["Ann"]))


def test_read_only_gallery_without_ids(server: Gallery, opened: Opener, tmp_path: Path) -> None:
    """A read-only gallery without ids derives them from the content: exports are equal and add no duplicates."""
    reader = opened(read_only=True)
    paths = [reader.index.export_bundle(tmp_path / name, people=people).path for name, people in _EXPORTS]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    for path in (paths[0], paths[2]):
        done = server.index.import_bundle(path)
        assert (done.added, done.known > 0, done.new_people, done.conflicts) == (0, True, [], [])
    assert server.index.problems() == []
    reader.index.export_folder(tmp_path / "folder")
    assert server.index.import_vectors(tmp_path / "folder").added == 0


def test_threshold_is_exported(server: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle contains the threshold in force in the gallery."""
    found = json.loads(read_parts(server.index.export_bundle(tmp_path / "a.faceall").path)["manifest.json"])
    assert found["threshold"] is None
    given = MatchThreshold(0.875, 0.001, "calibration")
    monkeypatch.setattr(Context, "pair_threshold", property(lambda self: given))
    found = json.loads(read_parts(server.index.export_bundle(tmp_path / "b.faceall").path)["manifest.json"])
    assert found["threshold"] == 0.875


def test_empty_gallery(opened: Opener, tmp_path: Path) -> None:
    """An empty gallery can be exported and imported."""
    done = opened("empty").index.export_bundle(tmp_path / "empty.faceall")
    assert (done.faces, done.people) == (0, 0)
    other = opened("other")
    assert other.index.import_bundle(done.path).added == 0
    assert len(other) == 0


def test_ids_are_uuids_of_version_4(bundle: Path) -> None:
    """Ids are random and in the canonical form."""
    import uuid

    parts = read_parts(bundle)
    ids = [record["id"] for name in ("people.json", "faces.json") for record in json.loads(parts[name])]
    assert len(set(ids)) == 8
    assert all(str(uuid.UUID(identity)) == identity and uuid.UUID(identity).version == 4 for identity in ids)


def test_changes_dated_in_the_future_change_nothing(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A device whose clock is years ahead changes no existing name or face."""
    parts = read_parts(bundle)

    def date(values: Any) -> None:
        for value in values:
            value["changed"] = "2099-01-01T00:00:00Z"

    def rename(people: Any) -> None:
        people[0]["name"] = "Wrong"

    for part in ("people.json", "faces.json"):
        parts = changed_json(parts, part, date)
    ahead = write_parts(tmp_path / "ahead.faceall", changed_json(parts, "people.json", rename))
    face = server.faces.find(person="Ann")[0].face_id
    server.faces.assign(face, "Bo")
    before = snapshot(server)
    for _ in range(2):
        found = server.index.import_bundle(ahead)
        assert (found.reassigned, found.renamed) == (0, [])
        assert any("future" in line for line in found.conflicts)
        assert snapshot(server) == before


def test_changes_after_an_import_are_later_than_it(server: Gallery, bundle: Path, tmp_path: Path) -> None:
    """A change after an import is dated later than the import, even if the clock was set back."""
    ahead = write_parts(
        tmp_path / "ahead.faceall",
        changed_json(read_parts(bundle), "people.json", lambda people: people[0].update(name="Cy", changed=LATER)),
    )
    ((before, after),) = server.index.import_bundle(ahead).renamed
    assert after == "Cy"
    server.people.rename("Cy", before)
    assert server.index.import_bundle(ahead).renamed == []
    assert before in {person.name for person in server.people}


def test_full_disk_leaves_no_file(server: Gallery, tmp_path: Path) -> None:
    """A bundle that cannot be written leaves no file."""
    place = tmp_path / "no" / "such" / "folder.faceall"
    with pytest.raises(IndexFileError, match="cannot be written"):
        server.index.export_bundle(place)


def test_failed_import_changes_nothing(server: Gallery, bundle: Path, tmp_path: Path, opened: Opener) -> None:
    """An error in the last thumbnail rolls back everything imported before it, also the ids."""
    parts = read_parts(bundle)
    parts[list(parts)[-1]] = b"not an image"
    other = opened("other")
    with pytest.raises(IndexFileError, match="is not a JPEG"):
        other.index.import_bundle(write_parts(tmp_path / "bad.faceall", parts))
    assert (len(other), other.model, list(other.people)) == (0, None, [])
    assert other._index.connection.execute("SELECT count(*) FROM person_ids").fetchone() == (0,)


@pytest.mark.parametrize(("sent", "name"), [("An\u202en\u200ba", "Anna"), ("   \u2060", None), ("Ann\na", "Ann a")])
def test_names_in_a_bundle_are_made_valid(
    server: Gallery, bundle: Path, tmp_path: Path, sent: str, name: str | None
) -> None:
    """Invisible letters, bidi overrides and control characters are removed; an empty result is damage."""

    def change(people: Any) -> None:
        (ann,) = [person for person in people if person["name"] == "Ann"]
        ann.update(name=sent, changed=LATER)

    path = write_parts(tmp_path / "phone.faceall", changed_json(read_parts(bundle), "people.json", change))
    server.index.import_bundle(path)
    assert [person.name for person in server.people] == sorted([name or "unnamed", "Bo"])

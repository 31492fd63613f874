"""Groups without a name, times and cameras of photos and moments of videos travel in bundles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bundles import LATER, changed_json, open_whole, read_parts, write_parts
from PIL import Image as PillowImage
from stand_ins import one_face, write_photo

from faceall.errors import IndexDamagedError
from faceall.gallery import Gallery

pytestmark = pytest.mark.embedded("bundles are written from a folder")


def write_dated(path: Path, number: int, taken: str = "2019:05:01 10:20:30") -> Path:
    """Write a PNG of a face with a camera's notes."""
    exif = PillowImage.Exif()
    exif[0x010F], exif[0x0110] = "Google", "Pixel 8"
    exif.get_ifd(0x8769)[0x9003] = taken
    with PillowImage.open(write_photo(path, one_face(number))) as image:
        image.load()
    image.save(path, exif=exif)
    return path


@pytest.fixture
def galleries(tmp_path: Path) -> Iterator[tuple[Gallery, Gallery]]:
    """Two galleries, each with one group that both call "unnamed 1"; the groups show different people."""
    with ExitStack() as stack:
        both = []
        for name, (red, green) in (("here", (200, 10)), ("there", (10, 200))):
            folder = tmp_path / name
            for shade in range(3):
                square = (40, 25, 40, (red + shade, green + shade, 10 + shade))
                write_photo(folder / "photos" / f"{shade}.png", [square])
            gallery = stack.enter_context(open_whole(folder / "gallery"))
            list(gallery.iter_register(folder / "photos", unnamed=True))
            gallery.people.cluster(threshold=0.05)
            assert [(person.name, person.named) for person in gallery.people] == [("unnamed 1", False)]
            both.append(gallery)
        yield both[0], both[1]


def exported(gallery: Gallery, path: Path) -> Path:
    gallery.index.export_bundle(path, replace=True)
    return path


def people_of(bundle: Path) -> list[dict[str, Any]]:
    return list(json.loads(read_parts(bundle)["people.json"]))


def test_groups_of_two_galleries_are_not_joined(galleries: tuple[Gallery, Gallery], tmp_path: Path) -> None:
    """Both are called "unnamed 1" at home; after an import there are two groups, and a second import adds nothing."""
    here, there = galleries
    bundle = exported(there, tmp_path / "there.faceall")
    assert [one["unnamed"] for one in people_of(bundle)] == [True]
    for _ in range(2):
        assert here.index.import_bundle(bundle).conflicts == []
        found = sorted((person.named, person.faces) for person in here.people)
        assert found == [(False, 3), (False, 3)]


def test_groups_of_bundles_without_the_mark_are_not_joined(galleries: tuple[Gallery, Gallery], tmp_path: Path) -> None:
    """Earlier bundles mark groups by the form of their names only."""
    here, there = galleries
    parts = read_parts(exported(there, tmp_path / "there.faceall"))
    old = changed_json(parts, "people.json", lambda people: [person.pop("unnamed") for person in people])
    here.index.import_bundle(write_parts(tmp_path / "old.faceall", old))
    assert sorted(person.faces for person in here.people) == [3, 3]
    assert not any(person.named for person in here.people)


def test_a_name_given_elsewhere_comes_to_the_group(galleries: tuple[Gallery, Gallery], tmp_path: Path) -> None:
    """The group is named in a copy; the name comes back, and an older bundle does not take it away."""
    here, copy = galleries
    copy.people.remove("unnamed 1")
    before = exported(here, tmp_path / "before.faceall")
    copy.index.import_bundle(before)
    (group,) = copy.people
    copy.people.rename(group.name, "Ann")
    done = here.index.import_bundle(exported(copy, tmp_path / "after.faceall"))
    assert done.renamed == [("unnamed 1", "Ann")]
    assert [(person.name, person.named) for person in here.people] == [("Ann", True)]
    assert here.index.import_bundle(before).conflicts == []
    assert [person.name for person in here.people] == ["Ann"]


def test_a_person_who_is_called_like_a_group_keeps_the_name(galleries: tuple[Gallery, Gallery], tmp_path: Path) -> None:
    """The field is written as false where the name alone would say otherwise."""
    here, there = galleries
    there.people.rename("unnamed 1", "unnamed 77")
    bundle = exported(there, tmp_path / "there.faceall")
    assert [one["unnamed"] for one in people_of(bundle)] == [False]
    here.index.import_bundle(bundle)
    assert ("unnamed 77", True) in [(person.name, person.named) for person in here.people]


def test_time_and_camera_travel(tmp_path: Path) -> None:
    """A copy knows them, also of photos that it has already without them, and writes the same bytes."""
    with open_whole(tmp_path / "here") as here, open_whole(tmp_path / "there") as there:
        write_dated(tmp_path / "Ann" / "1.png", 1)
        list(here.iter_register(tmp_path / "Ann", person="Ann"))
        first = exported(here, tmp_path / "first.faceall")
        old = changed_json(
            read_parts(first),
            "faces.json",
            lambda faces: [face["photo"].pop(name) for face in faces for name in ("taken", "camera")],
        )
        there.index.import_bundle(write_parts(tmp_path / "old.faceall", old))
        assert [(photo.taken, photo.camera) for photo in there.photos.page().items] == [(None, None)]
        there.index.import_bundle(first)
        assert [(photo.taken, photo.camera) for photo in there.photos.page().items] == [
            ("2019-05-01T10:20:30", "Google Pixel 8")
        ]
        assert read_parts(exported(there, tmp_path / "second.faceall")) == read_parts(first)
        for since, count in (("2019-01-01", 1), ("2020-01-01", 0)):
            assert len(there.search(tmp_path / "Ann" / "1.png", since=since)[0].matches) == count


def test_what_the_gallery_knows_of_a_photo_is_kept(tmp_path: Path) -> None:
    """A bundle completes time and camera, and does not replace them."""
    with open_whole(tmp_path / "here") as here:
        write_dated(tmp_path / "Ann" / "1.png", 1)
        list(here.iter_register(tmp_path / "Ann", person="Ann"))
        parts = read_parts(exported(here, tmp_path / "first.faceall"))
        other = changed_json(
            parts, "faces.json", lambda faces: faces[0]["photo"].update(taken="2001-01-01T00:00:00", camera="Other")
        )
        here.index.import_bundle(write_parts(tmp_path / "other.faceall", other))
        assert [(photo.taken, photo.camera) for photo in here.photos.page().items] == [
            ("2019-05-01T10:20:30", "Google Pixel 8")
        ]


def test_moments_of_videos_travel(tmp_path: Path) -> None:
    """A face of a video has its moment after an import."""
    moment = {"seconds": 1.5, "first": 1.0, "last": 2.25}
    with open_whole(tmp_path / "here") as here, open_whole(tmp_path / "there") as there:
        write_photo(tmp_path / "Ann" / "1.png", one_face(1))
        list(here.iter_register(tmp_path / "Ann", person="Ann"))
        parts = read_parts(exported(here, tmp_path / "first.faceall"))
        filmed = changed_json(parts, "faces.json", lambda faces: faces[0].update(moment=moment, changed=LATER))
        there.index.import_bundle(write_parts(tmp_path / "filmed.faceall", filmed))
        (face,) = there.faces
        assert face.moment is not None
        assert (face.moment.seconds, face.moment.first, face.moment.last) == (1.5, 1.0, 2.25)
        (written,) = json.loads(read_parts(exported(there, tmp_path / "again.faceall"))["faces.json"])
        assert written["moment"] == moment


@pytest.mark.parametrize(
    ("where", "values", "words"),
    [
        ("photo", {"taken": "2019-13-01T00:00:00"}, "expected a time like 2024-05-01T12:00:00"),
        ("photo", {"taken": 5}, "expected a time like 2024-05-01T12:00:00"),
        ("photo", {"camera": " "}, "camera is ' '"),
        ("photo", {"camera": "a\nb"}, "printable"),
        ("photo", {"camera": "x" * 1001}, "camera is"),
        ("face", {"moment": 3}, "moment is 3, expected an object"),
        ("face", {"moment": {"seconds": 1, "first": 2, "last": 3}}, "expected 0 <= first <= seconds <= last"),
        ("face", {"moment": {"seconds": 1, "first": 1}}, "moment is"),
        ("person", {"unnamed": "yes"}, "unnamed is 'yes', expected true or false"),
    ],
)
def test_invalid_fields_are_refused(
    galleries: tuple[Gallery, Gallery], tmp_path: Path, where: str, values: dict[str, Any], words: str
) -> None:
    """Every field is checked before anything is stored."""
    here, there = galleries
    parts = read_parts(exported(there, tmp_path / "there.faceall"))

    def change(records: Any) -> None:
        (records[0]["photo"] if where == "photo" else records[0]).update(values)

    bad = changed_json(parts, "people.json" if where == "person" else "faces.json", change)
    with pytest.raises(IndexDamagedError, match=words):
        here.index.import_bundle(write_parts(tmp_path / "bad.faceall", bad))
    assert len(here) == 3

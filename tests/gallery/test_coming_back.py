"""Photos that were missing while the gallery changed its model are restored by `register`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from migrations import SlowEmbedder
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import UnknownPersonError
from faceall.gallery import Gallery, PhotoResult

pytestmark = pytest.mark.embedded("a gallery in Milvus does not change its model")

Opener = Callable[..., Gallery]


@pytest.fixture
def away(gallery: Gallery, photos: Path) -> Path:
    """Two photos named Eve by the user, with Bob behind her; both missing during a change of the model."""
    for number in range(6):
        squares = [*one_face(number), (5, 5, 12, (250, 3, 3 + number))]
        write_photo(photos / ("Ivy" if number < 2 else "other") / f"{number}.png", squares)
    list(gallery.register(photos))
    gallery.people.rename("Ivy", "Eve")
    for face in gallery.faces.find():
        if face.person is None and face.path.parent.name == "Ivy":
            gallery.faces.assign(face.face_id, "Bob")
    folder = photos.parent / "away"
    (photos / "Ivy").rename(folder)
    statuses = [result.status for result in gallery.index.migrate(SlowEmbedder())]
    assert statuses.count("stale") == 2
    assert len(gallery) == 8
    return folder


def known(gallery: Gallery) -> dict[int, tuple[str | None, tuple[float, ...], bytes]]:
    """Return the person, box and thumbnail of every face."""
    return {
        face.face_id: (face.person, face.box, gallery.faces.thumbnail(face.face_id)) for face in gallery.faces.find()
    }


def bring_back(gallery: Gallery, away: Path, target: Path) -> list[PhotoResult]:
    """Move the photos to a folder and register them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    away.rename(target)
    results = list(gallery.register(target))
    assert gallery.index.problems() == []
    assert list(gallery.index.migrate(SlowEmbedder())) == []
    return results


@pytest.mark.parametrize("place", ["photos/Ivy", "elsewhere/Ivy", "elsewhere/Ivy_7"])
def test_names_given_by_hand_come_back(gallery: Gallery, away: Path, place: str) -> None:
    """All faces of a photo are restored with their ids, names and boxes, at the old path or another."""
    results = bring_back(gallery, away, away.parent / place)
    assert [(result.status, result.faces, result.person) for result in results] == [("back", 2, "Eve")] * 2
    assert (results[0].message is None) == (place == "photos/Ivy")
    found = known(gallery)
    assert [(key, found[key][0]) for key in (1, 2, 3, 4)] == [(1, "Eve"), (2, "Bob"), (3, "Eve"), (4, "Bob")]
    assert [result.status for result in gallery.register(results[0].path)] == ["unchanged"]
    (answer, _) = gallery.search(results[1].path, k=1)
    assert (answer.matches[0].person, answer.matches[0].distance < 1e-9) == ("Eve", True)


def test_a_renamed_file_is_the_same_photo(gallery: Gallery, away: Path, photos: Path) -> None:
    """A photo is recognised by its content, not by its file name."""
    for number, file in enumerate(sorted(away.iterdir())):
        file.rename(away / f"holiday_{number}.png")
    assert {result.person for result in bring_back(gallery, away, photos / "holiday")} == {"Eve"}


def test_only_the_vectors_change(gallery: Gallery, photos: Path) -> None:
    """A restored face differs from the stored one only in its vector."""
    for number in range(4):
        write_photo(photos / f"p{number}-x" / "a.png", [*one_face(number), (5, 5, 12, (250, 3, 3 + number))])
    list(gallery.register(photos))
    before = known(gallery)
    for number in (1, 2):
        (photos / f"p{number}-x").rename(photos.parent / f"away {number}")
    list(gallery.index.migrate(SlowEmbedder()))
    for number in (1, 2):
        (photos.parent / f"away {number}").rename(photos / f"p{number}-x")
    statuses = [result.status for result in gallery.iter_register(photos)]
    assert (statuses, known(gallery)) == (["unchanged", "back", "back", "unchanged"], before)


def test_renamed_meanwhile(gallery: Gallery, away: Path, photos: Path) -> None:
    """Restored faces belong to the person's current name."""
    gallery.people.rename("Eve", "Eva")
    assert {result.person for result in bring_back(gallery, away, photos / "Ivy")} == {"Eva"}
    assert [person.name for person in gallery.people] == ["Bob", "Eva", "other"]


def test_merged_meanwhile(gallery: Gallery, away: Path, photos: Path) -> None:
    """Faces of a person who was merged are restored to the person they were merged into."""
    gallery.people.merge("Eve", "other")
    assert {result.person for result in bring_back(gallery, away, photos / "Ivy")} == {"other"}
    assert [(person.name, person.faces) for person in gallery.people] == [("Bob", 2), ("other", 6)]


def test_removed_meanwhile(gallery: Gallery, away: Path, photos: Path) -> None:
    """Faces of a removed person are not restored while the photo has a face of another person."""
    assert gallery.people.remove("Bob").count == 2
    assert [result.faces for result in bring_back(gallery, away, photos / "Ivy")] == [1, 1]
    assert len(gallery) == 10
    with pytest.raises(UnknownPersonError):
        gallery.faces.find(person="Bob")


def test_photo_removed_meanwhile(gallery: Gallery, away: Path, photos: Path) -> None:
    """A photo without any stored face is registered as new."""
    gallery.people.remove("Eve")
    gallery.people.remove("Bob")
    results = bring_back(gallery, away, photos / "Someone")
    assert [(result.status, result.person) for result in results] == [("added", "Someone")] * 2


def test_person_option_names_the_primary_face(gallery: Gallery, away: Path) -> None:
    """`person` assigns the primary face to that name, as for any known photo."""
    results = list(gallery.register(away, person="Zoe"))
    assert [(result.status, result.person) for result in results] == [("back", "Zoe")] * 2
    assert sorted(str(face.person) for face in gallery.faces.find() if face.face_id < 5) == ["Bob", "Bob", "Zoe", "Zoe"]
    assert gallery.index.problems() == []


def test_two_files_of_one_photo(gallery: Gallery, away: Path, photos: Path) -> None:
    """The first file of a photo restores it; the second is a duplicate."""
    shutil.copytree(away, photos / "copies")
    away.rename(photos / "Ivy")
    statuses = [result.status for result in gallery.iter_register(photos)]
    assert sorted(statuses) == ["back"] * 2 + ["unchanged"] * 6
    assert len(gallery) == 12


def test_damaged_file_keeps_stale_faces(gallery: Gallery, away: Path, photos: Path) -> None:
    """An unreadable file at the path of a photo keeps the photo's stale faces."""
    (photos / "Ivy").mkdir()
    (photos / "Ivy" / "0.png").write_bytes(b"not an image")
    assert [result.status for result in gallery.iter_register(photos / "Ivy")] == ["unreadable"]
    (photos / "Ivy" / "0.png").unlink()
    (photos / "Ivy").rmdir()
    assert {result.person for result in bring_back(gallery, away, photos / "Ivy")} == {"Eve"}


def test_strict_does_not_apply_to_known_photos(open_gallery: Opener, away: Path) -> None:
    """A photo that was registered before is restored also with `strict`."""
    gallery = open_gallery(embedder=SlowEmbedder())
    assert {result.status for result in gallery.register(away, strict=True)} == {"back"}


def test_concurrent_migration_restores_once(open_gallery: Opener, gallery: Gallery, away: Path, photos: Path) -> None:
    """If another process migrates while a photo is analysed, it succeeds and nothing is stored twice."""
    away.rename(photos / "Ivy")
    other = open_gallery(embedder=SlowEmbedder())

    class Meddling(SlowEmbedder):
        def embed_crops(self, crops):  # type: ignore[no-untyped-def]
            assert {result.status for result in other.index.migrate(SlowEmbedder())} <= {"back"}
            return super().embed_crops(crops)

    meddled = open_gallery(embedder=Meddling())
    assert [result.status for result in meddled.register(photos / "Ivy")] == ["unchanged"] * 2
    assert (len(gallery), gallery.index.problems()) == (12, [])


def test_back_to_the_old_model(gallery: Gallery, away: Path, photos: Path, open_gallery: Opener) -> None:
    """After a return to the old model a registered photo has its old vectors again."""
    list(gallery.index.migrate(ColourEmbedder()))
    away.rename(photos / "Ivy")
    again = open_gallery(detector=ColourDetector())
    assert [result.status for result in again.register(photos / "Ivy")] == ["unchanged"] * 2
    assert {result.person for result in again.register(photos / "Ivy")} == {"Eve"}

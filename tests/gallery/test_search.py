"""Searches in a gallery, and opening a gallery."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stand_ins import ColourDetector, ColourEmbedder, one_face, paint, write_photo

from faceall.analysis import primary_face
from faceall.errors import FaceallError, IndexFileError, IndexNewerError, UnknownPersonError
from faceall.gallery import Gallery
from faceall.index import FaceIndex
from faceall.types import Faces

Opener = Callable[..., Gallery]


def test_search_agrees_with_brute_force(gallery: Gallery, photos: Path) -> None:
    """The nearest faces, their distances and similarities equal those of plain arithmetic over all vectors."""
    for number in range(30):
        write_photo(photos / f"p{number:02}" / "1.png", one_face(number * 8))
    list(gallery.register(photos))
    query = paint([*one_face(77), (0, 0, 20, (200, 30, 60))])
    results = gallery.search(query, k=4)
    faces = ColourDetector().detect_batch([query])[0]
    vectors = ColourEmbedder().embed_crops(ColourEmbedder().crop(query, faces))
    stored = gallery._store.faces.vectors([face.face_id for face in gallery.faces.find()])
    people = [face.person for face in gallery.faces.find()]
    assert len(results) == 2
    for result, vector, box in zip(results, vectors, faces.boxes, strict=True):
        distances = ((stored - vector) ** 2).sum(axis=1)
        order = np.argsort(distances, kind="stable")[:4]
        assert result.box == tuple(box)
        assert [match.distance for match in result.matches] == pytest.approx(distances[order], abs=1e-5)
        assert [match.similarity for match in result.matches] == pytest.approx(stored[order] @ vector, abs=1e-5)
        assert result.matches[0].person == people[order[0]]


def test_threshold_keeps_the_near(gallery: Gallery, photos: Path) -> None:
    """Only matches within the threshold are returned; a face without matches still has a result."""
    write_photo(photos / "Ada" / "1.png", one_face(1))
    write_photo(photos / "Eve" / "1.png", [(40, 25, 40, (200, 1, 1))])
    list(gallery.register(photos))
    query = paint(one_face(1))
    assert [match.person for match in gallery.search(query, threshold=0)[0].matches] == ["Ada"]
    assert [match.person for match in gallery.search(query)[0].matches] == ["Ada", "Eve"]
    assert gallery.search(paint([(1, 1, 30, (0, 250, 0))]), threshold=0)[0].matches == ()


def test_search_among_some_people(gallery: Gallery, photos: Path) -> None:
    """A search among some people equals one over their faces only; an unknown person is refused."""
    for number in range(40):
        write_photo(photos / f"p{number % 8}" / f"{number}.png", one_face(number * 6))
    list(gallery.register(photos))
    query = paint(one_face(77))
    everyone = gallery.search(query, k=40)[0].matches
    chosen = gallery.search(query, k=40, people=["p3", "p5"])[0].matches
    assert chosen == tuple(match for match in everyone if match.person in ("p3", "p5"))
    (result,) = gallery.search_people(query, people=["p5"])
    assert [(found.person, found.faces) for found in result.people] == [("p5", 5)]
    assert gallery.search(query, people=[])[0].matches == ()
    with pytest.raises(UnknownPersonError, match="nobody"):
        gallery.search(query, people=["p3", "nobody"])


def test_no_face_gives_no_result(gallery: Gallery) -> None:
    """An image without a face gives an empty list; in an empty gallery a face gives a result without matches."""
    assert gallery.search(paint([])) == []
    assert [result.matches for result in gallery.search(paint(one_face(1)))] == [()]


@pytest.mark.parametrize("options", [{"k": 0}, {"threshold": -0.1}, {"threshold": 4.1}])
def test_invalid_options_are_refused(gallery: Gallery, options: dict[str, float]) -> None:
    """k below 1 and a threshold outside of 0 to 4 are errors that say what was expected."""
    with pytest.raises(FaceallError, match="expected"):
        gallery.search(paint(one_face(1)), **options)  # type: ignore[arg-type]


def test_comparing(gallery: Gallery) -> None:
    """The primary faces of equal images have distance 0; the result is None if an image has no face."""
    same = gallery.compare(paint(one_face(1)), paint([*one_face(1), (0, 0, 9, (9, 9, 9))]))
    assert same is not None
    assert (round(same.distance, 6), round(same.similarity, 6)) == (0, 1)
    assert same.second.box.tolist() == [40, 25, 80, 65]
    assert gallery.compare(paint(one_face(1)), paint([])) is None


def test_primary_face_is_large_and_central() -> None:
    """The primary face maximises area - 2 * (distance of the centres)**2."""
    boxes = np.array([[0, 0, 60, 60], [45, 45, 55, 55], [30, 30, 80, 80]], np.float32)
    faces = Faces(boxes, np.ones(3, np.float32), np.zeros((3, 5, 2), np.float32))
    assert primary_face(faces, (100, 100, 3)) == 2
    assert primary_face(faces.take([0, 1]), (100, 100, 3)) == 0  # 3600 - 2 * 800 against 100
    assert primary_face(faces.take([0, 1]), (200, 200, 3)) == 1  # 3600 - 2 * 9800 against 100 - 2 * 5000


def test_read_only_changes_nothing(open_gallery: Opener, folder: Path, photos: Path) -> None:
    """A gallery opened for reading can be searched, and refuses changes."""
    path = write_photo(photos / "Ada" / "1.png", one_face(1))
    with open_gallery() as gallery:
        list(gallery.register(photos))
    write_photo(photos / "Ada" / "2.png", one_face(2))
    reader = open_gallery(read_only=True)
    assert reader.search(path)[0].matches[0].person == "Ada"
    with pytest.raises(IndexFileError, match="reading only"):
        list(reader.register(photos))
    with pytest.raises(IndexFileError, match="reading only"):
        reader.people.rename("Ada", "Eve")


def test_reading_needs_a_gallery(folder: Path) -> None:
    """Opening a missing gallery for reading creates nothing; the error says how to create one."""
    with pytest.raises(IndexFileError, match="faceall register"):
        Gallery.open(folder, read_only=True)
    assert not folder.exists()


def test_bare_index_is_not_a_gallery(folder: Path) -> None:
    """A face index without photos is refused for reading, and becomes a gallery when opened for writing."""
    FaceIndex(folder).close()
    with pytest.raises(IndexFileError, match="face index without"):
        Gallery.open(folder, read_only=True)
    with Gallery.open(folder) as gallery:
        assert list(gallery.people) == []


def test_newer_gallery_is_refused(folder: Path) -> None:
    """A gallery of a newer faceall is reported as newer, not as damaged."""
    Gallery.open(folder).close()
    with sqlite3.connect(folder / "faces.db") as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'gallery.schema'")
    connection.close()
    with pytest.raises(IndexNewerError, match="newer faceall"):
        Gallery.open(folder)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default gallery is FACEALL_GALLERY, or else a folder in faceall's data folder."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    with Gallery.open() as gallery:
        assert gallery.folder == tmp_path / "data" / "gallery"
    monkeypatch.setenv("FACEALL_GALLERY", str(tmp_path / "mine"))
    with Gallery.open() as gallery:
        assert gallery.folder == tmp_path / "mine"


def test_people_with_their_best_and_mean_distance(gallery: Gallery, photos: Path) -> None:
    """People are returned once, nearest first, with the mean over their faces, as by brute force."""
    for name, numbers in {"Ada": (1, 3, 9), "Bea": (60, 70), "Cyd": (200,)}.items():
        for number in numbers:
            write_photo(photos / name / f"{number}.png", one_face(number))
    list(gallery.register(photos))
    query = paint(one_face(2))
    (result,) = gallery.search_people(query, k=2)
    (every,) = gallery.search(query, k=10)
    distances: dict[str, list[float]] = {}
    for match in every.matches:
        distances.setdefault(str(match.person), []).append(match.distance)
    nearest = sorted(distances, key=lambda name: min(distances[name]))[:2]
    assert [person.person for person in result.people] == nearest
    for person in result.people:
        own = distances[person.person]
        assert person.distance == pytest.approx(min(own), abs=1e-6)
        assert person.mean_distance == pytest.approx(np.mean(own), abs=1e-6)
        assert person.faces == len(own)


def test_unassigned_faces_are_skipped(gallery: Gallery, photos: Path) -> None:
    """People are found even if many unassigned faces are nearer; without people the result is empty."""
    for number in range(30):
        write_photo(photos / f"{number}.png", one_face(number))
    list(gallery.register(photos, unnamed=True))
    (result,) = gallery.search_people(paint(one_face(5)))
    assert result.people == ()
    write_photo(photos / "Zoe" / "1.png", one_face(200))
    list(gallery.register(photos))
    (result,) = gallery.search_people(paint(one_face(5)), k=3)
    assert [person.person for person in result.people] == ["Zoe"]
    (none,) = gallery.search_people(paint(one_face(5)), threshold=0.0)
    assert none.people == ()


def test_an_explanation_shows_query_and_matches(gallery: Gallery, photos: Path) -> None:
    """The query is left with its box, the matches right; a thumbnail replaces a missing photo."""
    for number in (1, 2):
        write_photo(photos / f"p{number}" / "1.png", one_face(number))
    list(gallery.register(photos))
    query = paint(one_face(1))
    page = gallery.explain(query, k=2)
    assert page.ndim == 3
    assert page.dtype == np.uint8
    red = (page[..., 0] > 180) & (page[..., 1:] < 90).all(axis=2)
    assert red[:, : page.shape[1] // 2].any()
    assert red[:, page.shape[1] // 2 :].any()
    for path in photos.rglob("*.png"):
        path.unlink()
    assert gallery.explain(query, k=2).shape == page.shape
    assert gallery.explain(paint([]), k=2).shape[2] == 3  # no face
    assert gallery.explain(query, k=2, threshold=0.0).shape[2] == 3

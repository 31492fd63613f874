"""Unknown faces are clustered, repeatedly, and clusters are corrected manually."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stand_ins import ColourEmbedder, write_photo

from faceall.analysis.open_set import StrangerScores
from faceall.errors import FaceallError, UnknownFaceError, UnknownPersonError
from faceall.gallery import Calibration, Gallery
from faceall.gallery.people.clustering import clusters
from faceall.gallery.people.clustering.clusters import DEFAULT_LIMIT, THRESHOLD_SHARE, WRONG_NEIGHBOURS
from faceall.models import ModelFolder, NonMatedScores

RED, GREEN, BLUE = (200, 10, 10), (10, 200, 10), (10, 10, 200)
SHADES = 6


def shade(colour: tuple[int, int, int], number: int) -> tuple[int, int, int]:
    """Return a slightly different colour."""
    red, green, blue = colour
    return red + number, green + number, blue + number


def write_people(photos: Path, *, first: int = 0, count: int = 3) -> None:
    """Write one photo per person and shade: red, green, blue."""
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        for number in range(first, first + count):
            write_photo(photos / f"{name}{number}.png", [(40, 25, 40, shade(colour, number))])


def register(gallery: Gallery, photos: Path) -> None:
    assert {result.person for result in gallery.iter_register(photos, unnamed=True)} <= {None} | {
        person.name for person in gallery.people
    }


def colours(gallery: Gallery) -> dict[str | None, set[str]]:
    """Return the first letters of the photos of each person."""
    found: dict[str | None, set[str]] = {}
    for face in gallery.faces.find():
        found.setdefault(face.person, set()).add(face.path.name[0])
    return found


def face_of(gallery: Gallery, name: str) -> int:
    return next(face.face_id for face in gallery.faces.find() if face.path.name == name)


def test_unnamed_photos_are_unassigned(gallery: Gallery, photos: Path) -> None:
    """With `unnamed` no path gives a name, and names that were given before stay."""
    write_photo(photos / "Ada" / "1.png", [(40, 25, 40, RED)])
    (result,) = gallery.register(photos, unnamed=True)
    assert (result.status, result.person, list(gallery.people)) == ("added", None, [])
    gallery.faces.assign(face_of(gallery, "1.png"), "Ada")
    (result,) = gallery.register(photos, unnamed=True)
    assert (result.status, result.person) == ("unchanged", "Ada")


def test_clusters_are_people_without_a_name(gallery: Gallery, photos: Path) -> None:
    """Each colour becomes a person marked as unnamed; a second run changes nothing."""
    write_people(photos)
    register(gallery, photos)
    found = gallery.people.cluster(threshold=0.05)
    assert [(len(group.faces), group.opened) for group in found.clusters] == [(3, True)] * 3
    assert found.alone == ()
    assert sorted(map(sorted, colours(gallery).values())) == [["b"], ["g"], ["r"]]
    assert all(not person.named and person.name.startswith("unnamed ") for person in gallery.people)
    again = gallery.people.cluster(threshold=0.05)
    assert (again.clusters, again.alone) == ((), ())


def test_the_limit_depends_on_the_threshold(open_gallery: Callable[..., Gallery], photos: Path) -> None:
    """The limit is a part of the model's or the gallery's threshold, or a constant if there is none."""
    write_people(photos)
    gallery = open_gallery()
    register(gallery, photos)
    assert gallery.people.cluster().limit == gallery.people.cluster_threshold == DEFAULT_LIMIT
    strict = ColourEmbedder()
    manifest = replace(strict.model.manifest, match_threshold=1e-9)
    strict.model = ModelFolder(strict.model.path, manifest)
    with_threshold = open_gallery(embedder=strict)
    assert with_threshold.people.cluster_threshold == pytest.approx(THRESHOLD_SHARE * 1e-9)
    other = ColourEmbedder("others")
    other.model = ModelFolder(other.model.path, replace(other.model.manifest, match_threshold=1.0))
    assert open_gallery(embedder=other).people.cluster_threshold == DEFAULT_LIMIT
    assert gallery.model is not None
    gallery.calibration = Calibration(0.5, (0.4, 0.6), 0.01, None, None, 3, 9, gallery.model)
    assert with_threshold.people.cluster_threshold == pytest.approx(THRESHOLD_SHARE * 0.5)
    assert gallery.people.cluster(threshold=0.3).limit == 0.3
    gallery.calibration = None
    scores = NonMatedScores(mean=0.0, deviation=0.1, bend=0.05, people=300)
    measured = replace(strict.model.manifest, match_threshold=1.9, non_mated_scores=scores)
    strict.model = ModelFolder(strict.model.path, measured)
    assert with_threshold.people.cluster_threshold == pytest.approx(
        StrangerScores(0.0, 0.1, 300, 0.05).threshold(WRONG_NEIGHBOURS, len(gallery))
    )


def test_new_photos_join_or_create_clusters(gallery: Gallery, photos: Path) -> None:
    """New faces join the cluster of their colour; two of a new colour form one; a single one stays alone."""
    write_people(photos)
    register(gallery, photos)
    gallery.people.cluster(threshold=0.05)
    before = colours(gallery)
    write_people(photos, first=3, count=1)
    for number in range(2):
        write_photo(photos / f"white{number}.png", [(40, 25, 40, shade((240, 240, 240), number))])
    write_photo(photos / "yellow.png", [(40, 25, 40, (250, 250, 0))])
    register(gallery, photos)
    found = gallery.people.cluster(threshold=0.05)
    assert sorted((len(group.joined), group.opened) for group in found.clusters) == [
        (1, False), (1, False), (1, False), (2, True)
    ]  # fmt: skip
    assert found.alone == (face_of(gallery, "yellow.png"),)
    assert {name: letters for name, letters in colours(gallery).items() if name in before} == before


def test_a_renamed_cluster_is_a_named_person(gallery: Gallery, photos: Path) -> None:
    """A renamed cluster counts as named; new faces join it only with `known`."""
    write_people(photos)
    register(gallery, photos)
    gallery.people.cluster(threshold=0.05)
    (red,) = (name for name, letters in colours(gallery).items() if letters == {"r"})
    gallery.people.rename(str(red), "Ruby")
    assert {person.name: person.named for person in gallery.people}["Ruby"]
    write_people(photos, first=3, count=1)
    register(gallery, photos)
    alone = gallery.people.cluster(threshold=0.05).alone
    assert alone == (face_of(gallery, "red3.png"),)
    (joined,) = gallery.people.cluster(threshold=0.05, known=True).clusters
    assert (joined.person, joined.joined) == ("Ruby", alone)


def test_faces_of_one_photo_stay_apart(gallery: Gallery, photos: Path) -> None:
    """Two nearly equal faces of one photo never share a person."""
    write_photo(photos / "twins.png", [(10, 20, 30, RED), (70, 20, 30, shade(RED, 1))])
    write_photo(photos / "r.png", [(40, 25, 40, shade(RED, 2))])
    register(gallery, photos)
    (group,) = gallery.people.cluster(threshold=0.5).clusters
    assert len(group.faces) == 2
    twins = [face.person for face in gallery.faces.find(path=photos / "twins.png")]
    assert len(set(twins)) == 2


def test_separated_faces_stay_separated(gallery: Gallery, photos: Path) -> None:
    """The next run does not put back a face that was unassigned or split off."""
    write_people(photos)
    register(gallery, photos)
    gallery.people.cluster(threshold=0.05)
    stray, other = face_of(gallery, "red0.png"), face_of(gallery, "red1.png")
    (red,) = (str(name) for name, letters in colours(gallery).items() if letters == {"r"})
    assert gallery.faces.unassign([stray]) == 1
    assert gallery.people.cluster(threshold=0.05).alone == (stray,)
    new = gallery.people.split(red, [other])
    assert new != red
    assert gallery.people.cluster(threshold=0.05).clusters[0].person == new  # the separated face may join the other one
    assert gallery.index.problems() == []


def test_manual_corrections_are_validated(gallery: Gallery, photos: Path) -> None:
    """Unknown people, unknown faces and a face of another person are one-line errors that change nothing."""
    write_people(photos, count=1)
    list(gallery.register(photos, names_from="files"))
    red, blue = face_of(gallery, "red0.png"), face_of(gallery, "blue0.png")
    before = gallery.faces.find()
    for error, action in [
        (UnknownFaceError, lambda: gallery.faces.unassign([red, 999])),
        (UnknownFaceError, lambda: gallery.faces.unassign([10**23])),
        (UnknownFaceError, lambda: gallery.people.split("red", [10**23])),
        (FaceallError, lambda: gallery.faces.unassign([])),
        (UnknownPersonError, lambda: gallery.people.split("unknown", [red])),
        (FaceallError, lambda: gallery.people.split("red", [red, blue])),
        (FaceallError, lambda: gallery.people.split("red", [red], to="red")),
        (FaceallError, lambda: gallery.people.split("red", [red], to=" ")),
        (FaceallError, lambda: gallery.people.cluster(threshold=0.0)),
        (FaceallError, lambda: gallery.people.cluster(threshold=float("nan"))),
    ]:
        with pytest.raises(error):
            action()
    assert gallery.faces.find() == before
    assert gallery.people.split("red", [red], to="Ruby") == "Ruby"


def test_faces_named_during_clustering_keep_their_name(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch, open_gallery: Callable[..., Gallery]
) -> None:
    """Faces that are named while the clusters are computed keep that name."""
    from faceall.gallery.people.clustering import clusters

    write_people(photos)
    register(gallery, photos)
    real = clusters.group_faces

    def while_working(*given: object, **options: object) -> object:
        with open_gallery() as other:
            other.faces.assign(face_of(other, "red0.png"), "Ruby")
            other.faces.assign(face_of(other, "blue0.png"), "Bea")
            other.faces.assign(face_of(other, "blue1.png"), "Bea")
        return real(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(clusters, "group_faces", while_working)
    found = gallery.people.cluster(threshold=0.05)
    assert sorted(len(group.faces) for group in found.clusters) == [2, 3]
    people = {person.name: person.faces for person in gallery.people if person.named}
    assert people == {"Bea": 2, "Ruby": 1}
    assert gallery.index.problems() == []


@pytest.mark.embedded("writes a name as an older faceall did")
def test_export_folders_contain_every_face(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    """Each person and single face has a folder of thumbnails or photos, with a valid file name."""
    write_people(photos, count=2)
    write_photo(photos / "yellow.png", [(40, 25, 40, (250, 250, 0))])
    register(gallery, photos)
    gallery.people.cluster(threshold=0.05)
    for colour, name in (("r", "../Ruby"), ("g", ".._Ruby"), ("b", "CON\u0007/b")):
        (old,) = (str(person) for person, letters in colours(gallery).items() if letters == {colour})
        with gallery._index.transaction() as connection:  # as an older faceall allowed it
            connection.execute("UPDATE people SET name = ? WHERE name = ?", (name, old))
    assert gallery.faces.write_folders(tmp_path / "out") == 4
    alone = f"alone {face_of(gallery, 'yellow.png')}"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"_Ruby", "_Ruby (2)", "CON__b", alone}
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 7
    assert all(path.read_bytes()[:2] == b"\xff\xd8" for path in files)
    gallery.faces.write_folders(tmp_path / "copies", photos=True)
    copied = {path.read_bytes() for path in (tmp_path / "copies").rglob("*.png")}
    assert copied == {path.read_bytes() for path in photos.iterdir()}
    with pytest.raises(FaceallError, match="is not empty"):
        gallery.faces.write_folders(tmp_path / "out")


@pytest.mark.embedded("numbers come from rows of SQLite")
def test_a_name_that_looks_like_a_cluster_name_is_skipped(gallery: Gallery, photos: Path, folder: Path) -> None:
    """If a person is already called "unnamed 3", a new cluster gets another name."""
    write_people(photos)
    register(gallery, photos)
    gallery.faces.assign(face_of(gallery, "red0.png"), "x")
    with sqlite3.connect(folder / "faces.db") as connection:
        (row,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'people'").fetchone()
    connection.close()
    gallery.people.rename("x", f"unnamed {row + 1}")
    names = {group.person for group in gallery.people.cluster(threshold=0.05).clusters}
    assert f"unnamed {row + 1}*" in names
    assert len(names) == 3


def test_an_interrupted_run_keeps_stored_clusters(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clusters are stored in batches: an interruption keeps stored ones, and the next run stores the rest."""
    write_people(photos)
    register(gallery, photos)
    monkeypatch.setattr(clusters, "_GROUPS", 1)
    store, stored = clusters._person_of, []

    def interrupted(*arguments: Any) -> Any:
        if len(stored) == 2:
            raise KeyboardInterrupt
        stored.append(store(*arguments))
        return stored[-1]

    monkeypatch.setattr(clusters, "_person_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gallery.people.cluster()
    assert len(list(gallery.people)) == 2
    monkeypatch.setattr(clusters, "_person_of", store)
    (created,) = gallery.people.cluster().clusters
    assert created.opened
    assert sorted(map(sorted, colours(gallery).values())) == [["b"], ["g"], ["r"]]


def test_each_face_gets_its_own_person(gallery: Gallery, photos: Path) -> None:
    """Faces are assigned to different people at once; a person without any face left is removed."""
    write_people(photos, count=1)
    register(gallery, photos)
    store = gallery._store
    red, green, blue = (found.face_id for found in gallery.faces.find())
    ada, bob = store.people.make("Ada"), store.people.make("Bob")
    store.faces.assign_each({red: ada, green: bob, blue: ada, 999_999_999: ada})
    assert store.faces.owners([red, green, blue]) == {red: ada, green: bob, blue: ada}
    store.faces.assign_each({red: None, green: ada})
    assert store.faces.owners([red, green, blue]) == {red: None, green: ada, blue: ada}
    assert [person.name for person in gallery.people] == ["Ada"]


def test_thumbnails_of_several_faces(gallery: Gallery, photos: Path) -> None:
    """Several thumbnails are read at once; unknown faces are left out."""
    write_people(photos, count=1)
    register(gallery, photos)
    keys = [found.face_id for found in gallery.faces.find()]
    assert gallery._store.faces.thumbnails([*keys, 999_999_999]) == {key: gallery.faces.thumbnail(key) for key in keys}


def test_outlines_are_the_detected_faces(gallery: Gallery, photos: Path) -> None:
    """Boxes, scores, landmarks and the sizes of images are those of the stored faces; unknown faces are left out."""
    write_people(photos, count=1)
    register(gallery, photos)
    stored = gallery._store.faces.stored([found.face_id for found in gallery.faces.find()])
    outlines = gallery._store.faces.outlines([*stored, 999_999_999])
    assert outlines.keys() == stored.keys()
    for key, (face, size) in outlines.items():
        expected = stored[key].as_face()
        assert (face.box.tolist(), face.score, face.landmarks.tolist(), size) == (
            expected.box.tolist(), expected.score, expected.landmarks.tolist(), stored[key].image_size,
        )  # fmt: skip

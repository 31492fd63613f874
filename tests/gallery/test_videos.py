"""Videos in a gallery: who appears when, and what is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from migrations import SlowEmbedder
from stand_ins import write_photo

from faceall.errors import UnreadableImageError
from faceall.gallery import Gallery
from faceall.gallery.contact_sheet import contact_sheet, write_thumbnails
from faceall.gallery.videos import _seen_together
from faceall.images import read_image

sys.path.append(str(Path(__file__).parents[1] / "video"))
from videos import BrightDetector, squares, write_video

RED, BLUE, GREEN = (230, 60, 60), (60, 60, 230), (60, 230, 60)
LIMIT = 0.1


@pytest.fixture
def video_gallery(open_gallery: Callable[..., Gallery], photos: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """A gallery with Ada (red) and a small threshold."""
    from faceall.gallery.context import Context
    from faceall.gallery.thresholds import MatchThreshold

    judged = MatchThreshold(LIMIT, None, "given")
    monkeypatch.setattr(Context, "match_threshold", property(lambda self: judged))
    monkeypatch.setattr("faceall.gallery.people.people.GalleryPeople.cluster_threshold", LIMIT)
    gallery = open_gallery(detector=BrightDetector())
    for number in range(2):
        write_photo(photos / "Ada" / f"{number}.png", [(40 + number, 25, 40, RED)])
    gallery.register(photos, names_from="folders")
    return gallery


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Red for two seconds, with green from second one on; then a cut to blue; then green again."""
    frames = [squares((20, 60, 60, RED), *([(200, 60, 60, GREEN)] * (number >= 10))) for number in range(20)]
    frames += [squares((100, 100, 60, BLUE), back=90) for _ in range(10)]
    frames += [squares((150, 30, 60, GREEN)) for _ in range(10)]
    return write_video(tmp_path / "clip.mp4", frames)


def test_who_appears_and_when(video_gallery: Gallery, video: Path) -> None:
    """Ada is named, others are unknown, and nothing is stored."""
    found = video_gallery.search_video(video)
    assert [(one.person, round(one.start, 1), round(one.end, 1)) for one in found] == [
        ("Ada", 0.0, 1.5),
        (None, 1.0, 1.5),
        (None, 2.0, 2.5),
        (None, 3.0, 3.5),
    ]
    assert found[0].decision == "match"
    assert found[0].distance is not None
    assert found[0].distance < LIMIT
    assert len(video_gallery) == 2


def test_faces_of_a_video_create_no_people(video_gallery: Gallery, video: Path) -> None:
    """Faces of a video join people, create none when clustered, and have times; the photo is a video."""
    found = video_gallery.register_video(video)
    assert (found.result.status, found.result.faces) == ("added", 4)
    assert {person.name: person.faces for person in video_gallery.people} == {"Ada": 3}
    clustering = video_gallery.people.cluster()
    assert clustering.clusters == ()
    assert len(clustering.alone) == 3
    photo = video_gallery.photos.at(video)
    assert photo is not None
    assert photo.source == "video"
    assert (photo.width, photo.height) == (320, 240)
    assert {one.source for one in video_gallery.photos.page().items if one.photo_id != photo.photo_id} == {"photo"}
    moments = sorted((round(face.moment.first, 1), round(face.moment.last, 1)) for face in photo.faces if face.moment)
    assert moments == [(0.0, 1.5), (1.0, 1.5), (2.0, 2.5), (3.0, 3.5)]
    assert {one.face_id for one in found.appearances} == {face.face_id for face in photo.faces}


def test_a_registered_video_is_not_searched_again(video_gallery: Gallery, video: Path, tmp_path: Path) -> None:
    """A registered video is not analysed again, also after a move; the result has the current names."""
    first = video_gallery.register_video(video)
    again = video_gallery.register_video(video)
    assert again.result.status == "unchanged"
    assert [(one.face_id, one.start, one.end) for one in again.appearances] == [
        (one.face_id, one.start, one.end) for one in first.appearances
    ]
    moved = video.rename(tmp_path / "moved.mp4")
    assert video_gallery.register_video(moved).result.status == "moved"
    assert len(video_gallery) == 6


def test_new_people_are_created_on_request(video_gallery: Gallery, video: Path) -> None:
    """Each cluster of similar faces becomes a person: one for both green faces, one for the blue face."""
    found = video_gallery.register_video(video, new_people=True)
    people = [one.person for one in found.appearances]
    assert people[0] == "Ada"
    assert people[1] == people[3] != people[2]
    assert sorted(person.faces for person in video_gallery.people) == [1, 2, 3]


def test_new_people_are_created_of_a_registered_video(video_gallery: Gallery, video: Path) -> None:
    """The faces that have no person form the same groups; the others keep theirs, and once is enough."""
    video_gallery.register_video(video)
    for _ in range(2):
        found = video_gallery.register_video(video, new_people=True)
        assert found.result.status == "unchanged"
        assert sorted(person.faces for person in video_gallery.people) == [1, 2, 3]
    assert len(video_gallery.people.history().items) == 1


def test_faces_of_a_video_join_people_created_from_photos(video_gallery: Gallery, video: Path, photos: Path) -> None:
    """Two photos of the green face create a person, and both green faces of the video join it."""
    video_gallery.register_video(video)
    for number in range(2):
        write_photo(photos / "new" / f"{number}.png", [(40 + number, 25, 40, GREEN)])
    video_gallery.register(photos / "new", names_from="none")
    (cluster,) = video_gallery.people.cluster().clusters
    assert len(cluster.faces) == 4


def test_people_seen_together_are_two(video_gallery: Gallery, tmp_path: Path) -> None:
    """Of two red faces at the same time only one is Ada."""
    frames = [squares((20, 60, 60, RED), (200, 60, 60, (225, 70, 65))) for _ in range(15)]
    found = video_gallery.search_video(write_video(tmp_path / "twins.avi", frames))
    assert _seen_together(*found)
    assert sorted(str(one.person) for one in found) == ["Ada", "None"]


def test_a_video_without_faces_and_an_invalid_file(video_gallery: Gallery, tmp_path: Path) -> None:
    """A video without faces is stored; an invalid file is an error that stores nothing."""
    empty = write_video(tmp_path / "wall.avi", [squares() for _ in range(10)])
    assert video_gallery.register_video(empty).result.status == "no-face"
    assert video_gallery.register_video(empty).result.status == "no-face"
    (broken := tmp_path / "broken.mp4").write_bytes(b"no video")
    before = video_gallery.status().photos
    with pytest.raises(UnreadableImageError, match="not a video"):
        video_gallery.register_video(broken)
    with pytest.raises(UnreadableImageError, match="No such file"):
        video_gallery.register_video(tmp_path / "none.mp4")
    assert video_gallery.status().photos == before


def test_a_removed_video_leaves_nothing(video_gallery: Gallery, video: Path) -> None:
    """The faces, photo and times of a removed video are deleted."""
    video_gallery.register_video(video)
    removal = video_gallery.photos.remove(video)
    assert removal.count == 4
    assert len(video_gallery) == 2
    assert video_gallery._store.faces.of_videos() == frozenset()


@pytest.mark.embedded("a gallery in Milvus does not change its model")
def test_a_change_of_the_model_reads_the_frames(video_gallery: Gallery, video: Path, tmp_path: Path) -> None:
    """Each face is embedded from its own frame; faces of a missing video are stale until it is restored."""
    video_gallery.register_video(video)
    before = {face.face_id: face.moment for face in video_gallery.faces.find()}
    migration = video_gallery.index.migrate(SlowEmbedder())
    assert {result.status for result in migration} == {"embedded"}
    assert {face.face_id: face.moment for face in video_gallery.faces.find()} == before
    red = [face.face_id for face in video_gallery.faces.find(person="Ada")]
    vectors = video_gallery._store.faces.vectors(red)
    assert float(np.abs(vectors - vectors[0]).max()) < 0.05
    away = video.rename(tmp_path / "away.mp4")
    assert {result.status for result in video_gallery.index.migrate(SlowEmbedder.__base__("newer", 8))} >= {"stale"}
    assert len(video_gallery) == 2
    away.rename(video)
    assert "back" in {result.status for result in video_gallery.index.migrate(SlowEmbedder.__base__("newer", 8))}
    assert {face.face_id: face.moment for face in video_gallery.faces.find()} == before


def test_thumbnails_and_contact_sheet(video_gallery: Gallery, video: Path, tmp_path: Path) -> None:
    """Each face has a JPEG named after video and person, and a sheet shows all of them."""
    found = video_gallery.search_video(video)
    written = [path.name for path in write_thumbnails(found, tmp_path / "faces")]
    assert written[0] == "clip-001-Ada.jpg"
    assert written[-1] == "clip-contact-sheet.jpg"
    assert len(written) == 5
    red = read_image(tmp_path / "faces" / "clip-001-Ada.jpg")
    assert red.shape == (112, 112, 3)
    assert red[40, 56, 0] > 150
    assert contact_sheet(found).shape == read_image(tmp_path / "faces" / "clip-contact-sheet.jpg").shape

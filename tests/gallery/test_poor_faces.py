"""Criteria of poor faces; poor faces create no clusters and give no certain matches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from stand_ins import ColourDetector, write_photo

from faceall import cores
from faceall.analysis import blur
from faceall.analysis.analyser import make_thumbnail
from faceall.analysis.blur import _is_own, is_blurred, which_are_blurred
from faceall.analysis.open_set import StrangerScores
from faceall.analysis.quality import MIN_SIZE, is_poor
from faceall.gallery import Gallery
from faceall.gallery.people.clustering.clusters import _founded, _without_poor
from faceall.gallery.people.clustering.grouping import Group
from faceall.types import Face, Faces, Image

_BLURRED = "faceall.gallery.people.clustering.clusters.which_are_blurred"
FRONTAL = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)


def face(side: float, nose: float = 50.0) -> Face:
    """Make a face of a size, with the nose somewhere between the eyes."""
    points = FRONTAL.copy()
    points[2, 0] = nose
    return Face(np.array([0, 0, side, side], np.float32), 1.0, points)


def group(*members: int, owner: int | None = None) -> Group:
    """Make a group of rows."""
    return Group(list(members), owner, set(members), set(), np.zeros(2, np.float32))


def test_small_and_turned_faces_are_poor() -> None:
    """A frontal face of 100 pixels is good; a smaller face than the minimum or a profile is poor."""
    assert not is_poor(face(100))
    assert is_poor(face(MIN_SIZE - 1))
    assert is_poor(face(100, nose=70))


def test_cut_faces_are_poor() -> None:
    """A face is poor if more than a tenth of it is beyond an edge; without the size of its image it counts as whole."""
    beyond = face(100)
    assert is_poor(beyond, (85, 200))
    assert is_poor(beyond, (200, 85))
    assert not is_poor(beyond, (95, 95))
    assert not is_poor(beyond)


def test_an_imported_vector_is_not_poor() -> None:
    """The placeholder box of one pixel of an imported vector does not make its face poor."""
    assert not is_poor(Face(np.array([0, 0, 1, 1], np.float32), 0.0, np.zeros((5, 2), np.float32)))


def test_poor_faces_join_only_when_close() -> None:
    """Pairs of two poor faces are dropped; pairs with one poor face are kept up to the limit."""
    pairs = np.array([[0, 1], [0, 2], [1, 2], [2, 3]], np.int64)
    distances = np.array([0.1, 0.1, 0.9, 0.9], np.float32)
    kept, lengths = _without_poor((pairs, distances), np.array([True, True, False, False]), 0.5)
    assert kept.tolist() == [[0, 2], [2, 3]]
    np.testing.assert_allclose(lengths, [0.1, 0.9])


def test_poor_faces_create_no_clusters() -> None:
    """A new cluster needs two good faces; an existing one keeps its poor faces."""
    poor = np.array([False, False, True, True])
    assert [each.members for each in _founded(group(0, 2), poor)] == [[0], [2]]
    assert [each.members for each in _founded(group(0, 1, 2), poor)] == [[0, 1, 2]]
    assert [each.members for each in _founded(group(0, 3, owner=7), poor)] == [[0, 3]]


def test_the_limit_of_clusters_falls_with_the_number_of_faces() -> None:
    """The limit falls with the number of faces, because more faces give more wrong neighbours."""
    scores = StrangerScores(0.0, 0.1, 300, 0.05)
    limits = [scores.threshold(0.1, faces) for faces in (10, 100, 10_000)]
    assert limits == sorted(limits, reverse=True)


def test_blur_is_detected_in_thumbnails() -> None:
    """A sharp thumbnail and one of a single colour are not blurred; one out of focus is."""
    random = np.random.default_rng(0)
    noise = cv2.GaussianBlur(random.integers(0, 255, (200, 200, 3)).astype(np.uint8), (0, 0), 1.0)
    shaded = np.clip(noise * 0.3 + np.linspace(20, 180, 200)[:, None, None], 0, 255).astype(np.uint8)
    found = Face(np.array([40, 40, 150, 160], np.float32), 1.0, FRONTAL)
    assert not is_blurred(make_thumbnail(shaded, found), found)
    assert is_blurred(make_thumbnail(cv2.GaussianBlur(shaded, (0, 0), 8.0), found), found)
    assert not is_blurred(make_thumbnail(np.full_like(shaded, 90), found), found)


class BelowTheEdge(ColourDetector):
    """Finds squares that touch the lower edge of the image as faces of which a third is beyond it."""

    def _find(self, image: Image) -> Faces:
        faces = super()._find(image)
        boxes = faces.boxes.copy()
        boxes[boxes[:, 3] >= image.shape[0], 3] += (boxes[0, 3] - boxes[0, 1]) / 2
        return Faces(boxes, faces.scores, faces.landmarks)


def test_cut_faces_create_no_clusters(open_gallery: Callable[..., Gallery], photos: Path) -> None:
    """Faces that are cut off by the edge of the photo create no cluster; the same faces inside it do."""
    gallery = open_gallery(detector=BelowTheEdge())
    for number in range(2):
        write_photo(photos / f"{number}.png", [(40, 50, 40, (1, 1, 200)), (number, 0, 4, (9, 9, 9))])
        write_photo(photos / f"inside{number}.png", [(40, 20, 40, (1, 200, 1)), (number, 0, 4, (9, 9, 9))])
    for _ in gallery.iter_register([photos], unnamed=True):
        pass
    cut = {found.face_id for found in gallery.faces.find() if found.box[3] > 90}
    assert len(cut) == 2
    clusters = gallery.people.cluster(threshold=0.5).clusters
    assert clusters
    assert all(cut.isdisjoint(cluster.faces) for cluster in clusters)


def test_a_stored_face_knows_the_size_of_its_image(gallery: Gallery, photos: Path) -> None:
    """The width and height of the photo are read with every face."""
    write_photo(photos / "one.png", [(40, 25, 40, (1, 1, 200))], width=130, height=95)
    for _ in gallery.iter_register([photos], unnamed=True):
        pass
    assert [found.image_size for found in gallery.faces.find()] == [(130, 95)]


def test_blur_of_many_thumbnails(astronaut: Image) -> None:
    """Thumbnails that another program wrote are judged like ours; what is no image is not blurred; the order stays."""
    found = face(100)
    sharp, blurred = astronaut[:150, 170:320], cv2.GaussianBlur(astronaut[:150, 170:320], (0, 0), 8.0)
    box = Face(np.array([20, 20, 120, 120], np.float32), 1.0, found.landmarks)
    ours = [make_thumbnail(image, box) for image in (sharp, blurred)]
    decoded = [cv2.imdecode(np.frombuffer(thumbnail, np.uint8), 1) for thumbnail in ours]
    others = [cv2.imencode(".png", image)[1].tobytes() for image in decoded]
    broken = [ours[1][:40], b"", ours[1][:-300] + b"\xff\xd9"]
    many = [*ours, *others, *broken] * 100
    expected = [number for number in range(len(many)) if number % 7 in (1, 3)]
    damaged = {number for number in range(len(many)) if number % 7 == 6}  # readable in part: either is right
    got = list(which_are_blurred((number, thumbnail, box) for number, thumbnail in enumerate(many)))
    assert [number for number in got if number not in damaged] == expected


def test_blur_is_judged_in_one_thread_per_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many threads as cores may be used; a quota of one core gives one."""
    threads: set[int] = set()
    monkeypatch.setattr(cores, "cores_of_quota", lambda: 1.0)

    def judged(chunk: list[object]) -> list[int]:
        threads.add(threading.get_ident())
        time.sleep(0.01)
        return []

    monkeypatch.setattr(blur, "_blurred_of", judged)
    assert not list(which_are_blurred((number, b"", face(100)) for number in range(64 * 12)))
    assert len(threads) == 1


def test_header_of_a_thumbnail_is_read_strictly(astronaut: Image) -> None:
    """Only a baseline JPEG of 112 x 112 pixels is decoded without the checks of an image from outside."""
    box = Face(np.array([20, 20, 120, 120], np.float32), 1.0, FRONTAL)
    ours = make_thumbnail(astronaut, box)
    assert _is_own(ours)
    frame = ours.index(b"\xff\xc0")
    size = ours[frame + 5 : frame + 9]
    progressive = ours.replace(b"\xff\xc0", b"\xff\xc2", 1)
    hidden = ours[:2] + b"\xff\xe0\0\x0b\xff\xc0\0\x0b\x08" + size + ours[2:].replace(size, b"\xff" * 4, 1)
    endless = ours[:2] + b"\xff\xe0\0\0" * 9 + ours[2:]
    for other in (progressive, hidden, endless, ours[:-2], b"\xff\xd8\xff\xd9", ours.replace(size, b"\0\x71" * 2, 1)):
        assert not _is_own(other)


def test_blurred_faces_create_no_clusters(gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two similar faces form a cluster if they are sharp, and none if they are blurred."""
    for number in range(2):
        write_photo(photos / f"{number}.png", [(40, 25, 40, (1, 1, 200)), (number, 0, 4, (9, 9, 9))])
    for _ in gallery.iter_register([photos], unnamed=True):
        pass
    monkeypatch.setattr(_BLURRED, lambda faces: [key for key, _, _ in faces])
    assert gallery.people.cluster(threshold=0.5).clusters == ()
    monkeypatch.setattr(_BLURRED, lambda faces: [])
    assert len(gallery.people.cluster(threshold=0.5).clusters) >= 1

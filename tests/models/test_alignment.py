"""The alignment of faces: the least-squares similarity, its golden figures, degenerate landmarks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.errors import ModelError
from faceall.models import TEMPLATES, Alignment, fit_similarities
from faceall.types import Array
from places import ROOT

GOLDEN = ROOT / "ios_export" / "FaceAll" / "Tests" / "FaceAllCoreTests" / "Vectors" / "alignment.json"
FACE = np.array([[93.4, 99.3], [135.5, 101.7], [114.3, 126.5], [91.1, 136.8], [134.3, 138.7]])
BOX = np.array([69.0, 59.1, 155.4, 170.4])


def umeyama(points: Array, target: Array) -> Array:
    """The textbook solution by singular values (Umeyama 1991, equations 34 to 43)."""
    mean, target_mean = points.mean(axis=0), target.mean(axis=0)
    p, q = points - mean, target - target_mean
    u, d, v = np.linalg.svd(q.T @ p / len(p))
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    rotation = u @ sign @ v
    scale = np.trace(np.diag(d) @ sign) / (p**2).sum() * len(p)
    return np.hstack([scale * rotation, (target_mean - scale * rotation @ mean)[:, None]])


@given(st.integers(0, 2**32 - 1))
def test_the_closed_form_is_umeyamas_similarity(seed: int) -> None:
    """In the plane the closed form equals the solution by singular values."""
    random = np.random.default_rng(seed)
    points, target = random.normal(100, 40, (5, 2)), random.normal(50, 20, (5, 2))
    np.testing.assert_allclose(fit_similarities(points[None], target)[0], umeyama(points, target), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_turned_template_is_turned_back_exactly(name: str) -> None:
    """Landmarks that are the template itself, turned, scaled and shifted, are mapped onto it without an error."""
    alignment = Alignment(name)
    angle, scale = math.radians(20), 3.7
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    landmarks = alignment.points * 112 @ turn.T + [250, 40]
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    fit = alignment.fit(landmarks, np.concatenate([low, high]), size=(112, 112))
    mapped = landmarks @ fit.matrices[0, :, :2].T + fit.matrices[0, :, 2]
    np.testing.assert_allclose(mapped, alignment.points * 112, atol=1e-4)
    assert fit.errors[0] == pytest.approx(0, abs=1e-6)
    assert fit.note(0) == ""


def test_room_moves_the_template_inwards() -> None:
    """Room of 16 pixels shifts every map by 16 pixels and changes nothing else."""
    alignment = Alignment("arcface-112")
    tight, roomy = (alignment.fit(FACE, BOX, size=(112, 112), room=room).matrices for room in (0, 16))
    np.testing.assert_allclose(roomy - tight, [[[0, 0, 16], [0, 0, 16]]], atol=1e-9)


def test_golden_matrices() -> None:
    """The stored landmarks give the stored matrices; the Swift package is held to the same file."""
    if not GOLDEN.exists():
        pytest.skip("needs the source tree: the golden vectors of the Swift package are absent")
    for case in json.loads(GOLDEN.read_text("utf-8"))["cases"]:
        fit = Alignment(**case["alignment"]).fit(case["landmarks"], case["box"], size=tuple(case["size"]))
        np.testing.assert_allclose(fit.matrices[0], case["matrix"], rtol=1e-9, atol=1e-9, err_msg=case["name"])
        assert bool(fit.usable[0]) is case["usable"], case["name"]


DEGENERATE = {
    "all equal": np.repeat([[100.0, 100.0]], 5, axis=0),
    "nearly equal": np.repeat([[100.0, 100.0]], 5, axis=0) + np.arange(10).reshape(5, 2) * 1e-3,
    "not a number": np.full((5, 2), np.nan),
    "one infinite": np.vstack([FACE[:4], [[np.inf, 0]]]),
    "far outside": FACE + 5000,
}


@pytest.mark.parametrize("landmarks", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_landmarks_fall_back_to_the_box(landmarks: Array) -> None:
    """Landmarks that cannot be aligned give a finite map that shows the box, and a note."""
    fit = Alignment("openvino-0095").fit(landmarks, BOX, size=(128, 128))
    assert np.isfinite(fit.matrices).all()
    assert not fit.usable[0]
    assert "degenerate" in fit.note(0)
    centre = fit.matrices[0] @ [*(BOX[:2] + BOX[2:]) / 2, 1]
    assert np.abs(centre - 64).max() < 20


def test_boxes_without_an_area_still_give_finite_maps() -> None:
    """Neither landmarks nor a box: the map is finite all the same."""
    for box in ([5, 5, 5, 5], [np.nan] * 4, [9, 9, 1, 1]):
        fit = Alignment().fit(np.zeros((5, 2)), box, size=(112, 112))
        assert np.isfinite(fit.matrices).all()
        assert abs(np.linalg.det(fit.matrices[0, :, :2])) > 0


def test_profiles_are_noted() -> None:
    """Landmarks on one line, as of a profile, are aligned but noted."""
    profile = FACE.copy()
    profile[:, 0] = 110 + np.array([0, 4, 30, 0, 4])
    fit = Alignment("arcface-112").fit(profile, BOX, size=(112, 112))
    assert fit.usable[0]
    assert "profile" in fit.note(0)


def test_no_faces_give_no_maps() -> None:
    """An image without faces is no special case."""
    fit = Alignment().fit(np.zeros((0, 5, 2)), np.zeros((0, 4)), size=(112, 112))
    assert fit.matrices.shape == (0, 2, 3)
    with pytest.raises(ValueError, match="1 rows of landmarks and 0 boxes"):
        Alignment().fit(FACE, np.zeros((0, 4)), size=(112, 112))


def test_wrong_templates_are_refused() -> None:
    """An unknown name lists the known ones; free templates need five points that span an area."""
    with pytest.raises(ModelError, match="'dlib', known are arcface-112, openvino-0095"):
        Alignment("dlib")
    for template in (((0.1, 0.2),) * 4, ((0.1, 0.2),) * 5, ((0.1, math.nan),) * 5, 7, ((0.1,),) * 5):
        with pytest.raises(ModelError, match="expected five points"):
            Alignment(template)  # type: ignore[arg-type]
    free = Alignment([[x, y] for x, y in TEMPLATES["arcface-112"]])  # type: ignore[arg-type]
    np.testing.assert_array_equal(free.points, Alignment("arcface-112").points)

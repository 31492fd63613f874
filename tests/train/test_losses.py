"""Every loss: its value against plain NumPy, its gradient against numeric ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="training needs Keras")
tf = pytest.importorskip("tensorflow", reason="Keras computes with TensorFlow here")

from faceall.errors import TrainError  # noqa: E402 - after the skips
from faceall.train.losses import (  # noqa: E402
    arcface_logits,
    chosen_triplet_loss,
    distillation_loss,
    make_loss,
    relation_loss,
    semi_hard_loss,
)

LABELS = np.repeat(np.arange(4), 3)


def unit(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random vectors of unit length, float32."""
    vectors = np.random.default_rng(seed).standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def semi_hard(x: np.ndarray) -> np.ndarray:
    """Which (anchor, positive, negative) of twelve faces are semi-hard at a margin of 0.5."""
    distances = 2 - 2 * x @ x.T
    gap = distances[:, :, None] - distances[:, None, :]
    same = LABELS[:, None] == LABELS
    pairs = same & ~np.eye(12, dtype=bool)
    return pairs[:, :, None] & ~same[:, None, :] & (gap < 0) & (gap + 0.5 > 0)


def functions() -> dict[str, Callable[[Any], Any]]:
    """Every loss as a function of the embeddings alone, (12, 6)."""
    targets = unit((12, 6), 1)
    triplets = np.array([(a, p, n) for a in range(12) for p in range(12) for n in range(0, 12, 5)], np.int32)
    real = (LABELS[triplets[:, 0]] == LABELS[triplets[:, 1]]) & (LABELS[triplets[:, 0]] != LABELS[triplets[:, 2]])
    made = {name: make_loss(name, classes=4, size=6, scale=8.0) for name in ("softmax", "arcface")}
    return {
        "distillation": lambda x: distillation_loss(targets, x),
        "semi-hard": lambda x: semi_hard_loss(x, LABELS, margin=0.5),
        "triplet": lambda x: chosen_triplet_loss(x, triplets, real.astype(np.float32), margin=0.5),
        **{name: lambda x, loss=loss: loss(LABELS, x) for name, loss in made.items()},
    }


@pytest.mark.parametrize("name", ["distillation", "semi-hard", "triplet", "softmax", "arcface"])
def test_gradients_are_those_of_small_steps(name: str) -> None:
    """In random directions, by the difference of the losses on both sides; not where other triplets are chosen."""
    function = functions()[name]
    x = unit((12, 6), 2)
    with tf.GradientTape() as tape:
        variable = tf.Variable(x)
        loss = function(variable)
    gradient = tf.convert_to_tensor(tape.gradient(loss, variable)).numpy()
    assert np.abs(gradient).max() > 1e-3
    compared = 0
    for seed in range(40):
        step = 5e-4 * unit((12, 6), 10 + seed)
        if name == "semi-hard" and len({semi_hard(y).tobytes() for y in (x - step, x, x + step)}) > 1:
            continue
        compared += 1
        numeric = (float(function(tf.constant(x + step))) - float(function(tf.constant(x - step)))) / 2
        assert float((gradient * step).sum()) == pytest.approx(numeric, rel=0.03, abs=3e-6)
    assert compared >= 5


def test_distillation_is_zero_for_the_teacher_itself() -> None:
    """And for any turned teacher the cosines between faces agree."""
    targets = unit((9, 5), 0)
    assert float(distillation_loss(targets, targets)) == pytest.approx(0, abs=1e-6)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0].astype(np.float32)
    assert float(relation_loss(targets, targets @ turn)) == pytest.approx(0, abs=1e-6)
    assert float(distillation_loss(targets, targets @ turn)) > 0.1


def test_distillation_is_what_it_says() -> None:
    """The mean of 1 - cosine, and four times the mean squared difference of all cosines."""
    targets, students = unit((7, 5), 0), unit((7, 5), 1)
    expected = np.mean([1 - a @ b for a, b in zip(targets, students, strict=True)])
    pairs = [((targets[i] @ targets[j]) - (students[i] @ students[j])) ** 2 for i in range(7) for j in range(7)]
    assert float(distillation_loss(targets, students)) == pytest.approx(expected + 4 * np.mean(pairs), rel=1e-5)


def test_arcface_adds_its_margin_to_the_own_angle_alone() -> None:
    """cos(angle + 0.5) for the own person; the others as they are; all scaled by 64."""
    angles = np.array([[0.3, 1.2, 2.0], [1.0, 2.2, 0.4]])
    logits = np.asarray(arcface_logits(np.cos(angles), np.array([0, 1]), margin=0.5, scale=64.0))
    expected = 64 * np.cos(angles + np.array([[0.5, 0, 0], [0, 0.5, 0]]))
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_arcface_falls_on_where_the_angle_would_turn_back() -> None:
    """Past pi - margin a larger angle still means a smaller logit."""
    angles = np.linspace(0.01, np.pi - 0.01, 200)
    logits = np.asarray(arcface_logits(np.cos(angles)[:, None], np.zeros(200, int), margin=0.5, scale=1.0)).ravel()
    assert (np.diff(logits) < 0).all()


def test_semi_hard_triplets_are_those_of_a_search() -> None:
    """Against three nested loops."""
    x = unit((12, 6), 3)
    d = 2 - 2 * x.astype(np.float64) @ x.T
    gaps = [
        d[a, p] - d[a, n] + 0.5
        for a in range(12)
        for p in range(12)
        for n in range(12)
        if a != p and LABELS[a] == LABELS[p] != LABELS[n] and 0 < d[a, n] - d[a, p] < 0.5
    ]
    assert float(semi_hard_loss(x, LABELS, margin=0.5)) == pytest.approx(np.mean(gaps), rel=1e-4)


def test_no_triplet_is_no_loss() -> None:
    """People who are far apart already."""
    x = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    assert float(semi_hard_loss(x, LABELS, margin=0.2)) == 0
    assert float(chosen_triplet_loss(x, np.zeros((5, 3), np.int32), np.zeros(5, np.float32), margin=0.2)) == 0


def test_centers_follow_their_faces() -> None:
    """facenet's rule: each centre goes its share of the way to each of its faces in the batch, by its old place."""
    loss = make_loss("center", classes=3, size=4, center_rate=0.25)
    x, labels = unit((5, 4), 0), np.array([0, 0, 2, 0, 2])
    loss(labels, x)
    first = np.asarray(loss.centers)  # type: ignore[attr-defined]
    expected = np.zeros((3, 4))
    for row, label in zip(x, labels, strict=True):
        expected[label] += 0.25 * row
    np.testing.assert_allclose(first, expected, atol=1e-6)
    loss(labels, x)
    for row, label in zip(x, labels, strict=True):
        expected[label] += 0.25 * (row - first[label])
    np.testing.assert_allclose(np.asarray(loss.centers), expected, atol=1e-6)  # type: ignore[attr-defined]


def test_center_loss_is_softmax_and_the_distance_to_the_centers() -> None:
    """With the same directions, the difference is the factor times the mean squared difference."""
    loss = make_loss("center", classes=3, size=4, center_factor=0.5, scale=8.0)
    plain = make_loss("softmax", classes=3, size=4, scale=8.0)
    plain.directions.assign(loss.directions)  # type: ignore[attr-defined]
    x, labels = unit((5, 4), 0), np.array([0, 0, 2, 1, 2])
    centers = np.asarray(loss.centers)[labels]  # type: ignore[attr-defined]
    assert float(loss(labels, x) - plain(labels, x)) == pytest.approx(0.5 * np.mean((x - centers) ** 2), rel=1e-3)


def test_unknown_losses_and_lone_people_are_refused() -> None:
    """The known ones are listed."""
    with pytest.raises(TrainError, match="known: softmax, center, arcface, triplet, semi-hard"):
        make_loss("hinge", classes=3, size=4)  # type: ignore[arg-type]
    with pytest.raises(TrainError, match="at least two"):
        make_loss("softmax", classes=1, size=4)

"""Faces with a teacher's vectors, mapped from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceall.errors import TrainError
from faceall.train.data.shards import Faces, open_shard, split
from faceall.train.distillation.targets import fit_targets


def make(folder: Path, count: int = 200, seed: int = 0) -> Path:
    """A shard of small crops with two teachers, one of which also saw the mirror images."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    np.save(folder / "crops.npy", random.integers(0, 256, (count, 12, 12, 3), np.uint8))
    for name, shape in (("one", (count, 8)), ("two", (count, 2, 4))):
        vectors = random.standard_normal(shape)
        np.save(folder / f"{name}.npy", (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32))
    return folder


def test_a_shard_more_leaves_who_is_held_out_of_the_others(tmp_path: Path) -> None:
    """Two of a hundred of each; nobody is both learnt from and held out."""
    first, second = open_shard(make(tmp_path / "a")), open_shard(make(tmp_path / "b", 150, 1))
    learn, keep = split([first], seed=3, teachers=["one"])
    more, kept = split([first, second], seed=3, teachers=["one"])
    assert (len(keep), len(kept), len(learn), len(more)) == (4, 7, 196, 343)
    np.testing.assert_array_equal(keep.rows, kept.rows[kept.rows[:, 0] == 0])
    assert not {tuple(row) for row in more.rows} & {tuple(row) for row in kept.rows}
    assert learn.digest() != more.digest()


def test_faces_without_a_vector_are_left_out(tmp_path: Path) -> None:
    """Not a number, or all zero, of any teacher that is asked for."""
    folder = make(tmp_path / "a")
    vectors = np.load(folder / "one.npy")
    vectors[3], vectors[5] = np.nan, 0
    np.save(folder / "one.npy", vectors)
    shard = open_shard(folder)
    learn, keep = split([shard], seed=0, teachers=["one", "two"])
    assert len(learn) + len(keep) == 198
    assert not {3, 5} & set(learn.rows[:, 1]) | {3, 5} & set(keep.rows[:, 1])
    assert sum(map(len, split([shard], seed=0, teachers=["two"]))) == 200


def test_mirrored_faces_have_their_own_vectors_where_there_are_some(tmp_path: Path) -> None:
    """A teacher that never saw mirror images gives one vector for both."""
    shard = open_shard(make(tmp_path / "a"))
    faces = split([shard], seed=0, teachers=["one", "two"])[0]
    places = faces.rows[[4, 9], 1]
    np.testing.assert_array_equal(faces.vectors([4, 9], [False, True], "two"), shard.teachers["two"][places, [0, 1]])
    np.testing.assert_array_equal(faces.vectors([4, 9], [False, True], "one"), shard.teachers["one"][places])


def test_shards_that_are_none_are_refused(tmp_path: Path) -> None:
    """Each by a line that names the file."""
    folder = make(tmp_path / "a")
    with pytest.raises(TrainError, match=r"crops.npy: is missing"):
        open_shard(tmp_path)
    np.save(folder / "one.npy", np.zeros((3, 8), np.float32))
    with pytest.raises(TrainError, match=r"one.npy: is float32 \(3, 8\), expected float \(200, D\)"):
        open_shard(folder)
    (folder / "one.npy").write_bytes(b"no array")
    with pytest.raises(TrainError, match="not a readable array"):
        open_shard(folder)
    (folder / "one.npy").unlink()
    (folder / "two.npy").unlink()
    with pytest.raises(TrainError, match=r"TEACHER.npy"):
        open_shard(folder)


def test_a_teacher_that_a_shard_lacks_is_named(tmp_path: Path) -> None:
    """With those that it has; and two shards of one name are refused."""
    shard = open_shard(make(tmp_path / "a"))
    with pytest.raises(TrainError, match="no vectors of 'three', only one, two"):
        split([shard], seed=0, teachers=["three"])
    with pytest.raises(TrainError, match="same name"):
        split([shard, shard], seed=0, teachers=["one"])


def two_teachers(tmp_path: Path) -> Faces:
    """Faces whose second teacher, as dlib's net does, sees everybody in one corner of its space, at another length."""
    folder = make(tmp_path / "a")
    crowded = np.load(folder / "one.npy")[:, :6] + 2.0
    np.save(folder / "two.npy", (1.47 * crowded / np.linalg.norm(crowded, axis=1, keepdims=True)).astype(np.float32))
    return split([open_shard(folder)], seed=0, teachers=["one", "two"])[0]


def test_two_teachers_have_equal_say_on_the_cosines(tmp_path: Path) -> None:
    """The cosine that is wanted is the mean of what both see around their middles, so strangers are about 0 apart."""
    faces = two_teachers(tmp_path)
    numbers, mirrored = np.arange(len(faces)), np.zeros(len(faces), bool)
    targets = fit_targets(faces, "one", 12, second="two")
    wanted, relations = targets.of(faces, numbers, mirrored)
    assert (wanted.shape, relations.shape) == ((196, 12), (196, 14))
    cosines = []
    for name in ("one", "two"):
        vectors = faces.vectors(numbers, mirrored, name).astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors -= vectors.mean(axis=0)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines.append(vectors @ vectors.T)
    np.testing.assert_allclose(relations @ relations.T, (cosines[0] + cosines[1]) / 2, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(wanted, axis=1), 1, atol=1e-5)
    seen = faces.vectors(numbers, mirrored, "two")
    assert np.mean(seen @ seen.T) / 1.47**2 > 0.9
    assert abs(np.mean(relations @ relations.T)) < 0.02


def test_new_targets_are_turned_to_what_has_been_learnt(tmp_path: Path) -> None:
    """With other teachers they agree with the old ones as well as they can; their own cosines stay as they are."""
    faces = two_teachers(tmp_path)
    numbers, mirrored = np.arange(len(faces)), np.zeros(len(faces), bool)
    old = fit_targets(faces, "one", 6)
    turned, free = (fit_targets(faces, "one", 6, second="two", like=like) for like in (old, None))
    first = old.of(faces, numbers, mirrored)[0]
    second, other = (targets.of(faces, numbers, mirrored)[0] for targets in (turned, free))
    np.testing.assert_allclose(second @ second.T, other @ other.T, atol=1e-5)
    assert np.mean(np.sum(first * second, axis=1)) > np.mean(np.sum(first * other, axis=1)) + 0.2
    random = np.random.default_rng(0)
    for _ in range(20):
        turn = np.linalg.qr(random.standard_normal((6, 6)))[0]
        assert np.sum(first * second) >= np.sum(first * (second @ turn))

"""The state of a training on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceall.errors import TrainError
from faceall.train import checkpoints
from faceall.train.checkpoints import Checkpoint, list_checkpoints, read_checkpoint, write_checkpoint


def state(step: int) -> Checkpoint:
    """A small one."""
    random = np.random.default_rng(step)
    weights = {"a/kernel": random.standard_normal((3, 2), np.float32), "a/count": np.array(step, np.int64)}
    return Checkpoint(step, weights, {"00000": np.arange(3)}, {"a/kernel": weights["a/kernel"] / 2}, {"why": "test"})


def test_a_checkpoint_reads_back_bit_for_bit(tmp_path: Path) -> None:
    """Every array with its type, the step and the notes."""
    written = state(7)
    read = read_checkpoint(write_checkpoint(tmp_path, written))
    assert (read.step, read.notes) == (7, {"why": "test"})
    for part in ("weights", "optimizer", "averages"):
        before, after = getattr(written, part), getattr(read, part)
        assert before.keys() == after.keys()
        for name, array in before.items():
            assert after[name].dtype == array.dtype
            np.testing.assert_array_equal(after[name], array)


def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    """Two by default, the newest."""
    for step in (1, 20, 300):
        write_checkpoint(tmp_path, state(step))
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-000000020.npz", "step-000000300.npz"]


def test_a_failed_write_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half file appears, and nothing of the draft stays."""
    write_checkpoint(tmp_path, state(1))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.np, "savez", fail)
    with pytest.raises(TrainError, match="No space left"):
        write_checkpoint(tmp_path, state(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.npz"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, share: float) -> None:
    """Cut off at any place; the file is named."""
    path = write_checkpoint(tmp_path, state(1))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(TrainError, match=r"step-000000001.npz: .*damaged"):
        read_checkpoint(path)


def test_a_newer_file_is_told_from_a_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its schema is higher than any that is known."""
    monkeypatch.setattr(checkpoints, "SCHEMA", 99)
    path = write_checkpoint(tmp_path, state(1))
    monkeypatch.undo()
    with pytest.raises(TrainError, match="newer faceall"):
        read_checkpoint(path)

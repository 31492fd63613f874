"""Trainings as commands in processes of their own: killed in the middle, and with PyTorch."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from faces import noise_shard

pytest.importorskip("keras", reason="training needs Keras")
pytest.importorskip("tensorflow", reason="Keras computes with TensorFlow here")

from faceall import Embedder
from faceall.train.checkpoints import list_checkpoints, read_checkpoint
from faceall.train.run_folder import RunFolder

NET = ["--architecture", "mobile_facenet", "--width", "0.125", "--image-size", "32", "--embedding-size", "8"]
HOW = [*NET, "--batch", "8", "--warm-up", "2", "--measure-every", "5", "--threads", "1", "-q"]
COMMAND = [sys.executable, "-c", "from faceall_cli.entry import main; main()", "train"]


def environment(backend: str = "tensorflow") -> dict[str, str]:
    """This process's, for another one."""
    path = os.pathsep.join([entry for entry in sys.path if entry])
    return {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": backend}


def train(*arguments: str | Path, backend: str = "tensorflow") -> subprocess.CompletedProcess[str]:
    """Run `faceall train` to its end."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=environment(backend), capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Crops of noise with two teachers."""
    folder = noise_shard(tmp_path / "noise")
    vectors = np.load(folder / "colours.npy")
    np.save(folder / "crowd.npy", (np.roll(vectors, 3, axis=1) + 0.4).astype(np.float32))
    return folder


def steps_of(run: Path) -> list[int]:
    """The steps that lie in a run's checkpoints."""
    return [int(path.stem.removeprefix("step-")) for path in list_checkpoints(run / "checkpoints")]


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_weights(shard: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of `train distill` on two teachers; the same command again ends as one that ran through."""
    options = [shard, "--teacher", "colours", "--second", "crowd", "--steps", "12", "--save-every", "0", *HOW]
    command = [*COMMAND, "distill", str(tmp_path / "killed"), *map(str, options)]
    child = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while max(steps_of(tmp_path / "killed"), default=0) < 3:
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end, "no third step in time"
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    stood = steps_of(tmp_path / "killed")[-1]
    assert 3 <= stood < 12
    for name in ("killed", "whole"):
        done = train("distill", tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
    ends = [read_checkpoint(list_checkpoints(tmp_path / name / "checkpoints")[-1]) for name in ("killed", "whole")]
    assert [end.step for end in ends] == [12, 12]
    for part in ("weights", "optimizer", "averages"):
        first, second = (getattr(end, part) for end in ends)
        assert first.keys() == second.keys()
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name], err_msg=f"{part} {name}")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
def test_pytorch_computes_the_same_training(shard: Path, tmp_path: Path) -> None:
    """With KERAS_BACKEND=torch a student learns, goes on, and comes out as a model that passes the converter's gate."""
    options = [shard, "--teacher", "colours", "--learning-rate", "0.01", *HOW]
    for steps in ("20", "20"):  # the second time there is nothing left to do
        done = train("distill", tmp_path / "run", *options, "--steps", steps, backend="torch")
        assert done.returncode == 0, done.stderr
    results = RunFolder(tmp_path / "run").results()
    assert [values["step"] for values in results] == [5, 10, 15, 20]
    assert results[-1]["loss"] < results[0]["loss"]
    done = train("export", tmp_path / "run", tmp_path / "model", backend="torch")
    assert done.returncode == 0, done.stderr
    assert Embedder(tmp_path / "model").size == 8

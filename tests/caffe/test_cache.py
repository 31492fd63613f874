"""Compiled nets on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceall.caffe.engines import compile_cached, get_engine
from faceall.caffe.engines.cache import _KEPT, Storable
from faceall.caffe.net import Net
from faceall.types import Array
from tiny_model import tiny_net

OUTPUTS = ["vector"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FACEALL_CACHE", str(folder))
    return folder


@pytest.fixture
def inputs() -> dict[str, Array]:
    return {"data": np.random.default_rng(0).normal(size=(2, 3, 160, 160)).astype(np.float32)}


class Maker:
    """Makes the net and counts how often it had to."""

    def __init__(self, seed: int = 0) -> None:
        self.calls = 0
        self.seed = seed

    def __call__(self) -> Net:
        self.calls += 1
        return tiny_net(seed=self.seed)


def run(make: Callable[[], Net], inputs: dict[str, Array], fingerprint: str = "a") -> Array:
    compiled = compile_cached(get_engine("openvino"), fingerprint, make, OUTPUTS, "float32")
    return compiled(inputs)["vector"]


def test_the_second_time_nothing_is_compiled(cache: Path, inputs: dict[str, Array]) -> None:
    """The net is made once, and what comes back from the disk gives the same numbers."""
    make = Maker()
    first, second = run(make, inputs), run(make, inputs)
    assert make.calls == 1
    np.testing.assert_allclose(second, first, atol=1e-6)


def test_another_net_is_another_file(cache: Path, inputs: dict[str, Array]) -> None:
    """Two fingerprints never meet."""
    assert not np.allclose(run(Maker(0), inputs, "a"), run(Maker(1), inputs, "b"))
    assert len(list(cache.glob("*.compiled"))) == 2


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign", "header only"])
def test_a_damaged_file_is_made_again(cache: Path, inputs: dict[str, Array], damage: str) -> None:
    """The engine never sees bytes whose checksum is not ours."""
    expected = run(Maker(), inputs)
    (file,) = cache.glob("*.compiled")
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 4
    broken = {"truncated": data[:-100], "flipped": data, "empty": b"", "foreign": b"x" * 9000, "header only": data[:99]}
    file.unlink()  # the first net may still use the old file's memory
    file.write_bytes(broken[damage])
    make = Maker()
    np.testing.assert_allclose(run(make, inputs), expected, atol=1e-6)
    assert make.calls == 1
    assert run(make, inputs) is not None
    assert make.calls == 1


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Array]
) -> None:
    """Where the folder cannot be made, everything works as without a cache."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FACEALL_CACHE", str(tmp_path / "file" / "cache"))
    make = Maker()
    assert np.isfinite(run(make, inputs)).all()
    run(make, inputs)
    assert make.calls == 2


def test_old_files_go(cache: Path, inputs: dict[str, Array]) -> None:
    """Only the nets used last stay."""
    for number in range(_KEPT + 2):
        run(Maker(number), inputs, str(number))
    assert len(list(cache.iterdir())) == _KEPT


def test_engines_that_cannot_keep_nets_compile_each_time(cache: Path, inputs: dict[str, Array]) -> None:
    """The reference has nothing to keep and still runs."""
    engine, make = get_engine("reference"), Maker()
    assert not isinstance(engine, Storable)
    compile_cached(engine, "a", make, OUTPUTS, "float32")(inputs)
    assert not cache.exists()

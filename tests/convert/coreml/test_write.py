"""Files that coremltools writes, run by faceall's own reader; and what happens without coremltools."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from coreml_nets import embedder_net, manifest_of, messy_net
from faceall.caffe.reference import run_all
from faceall.convert import CoremlOptions
from faceall.convert.sources.source import MANIFEST_KEY
from faceall.convert.targets.coreml import coreml_parity, read_coreml, write_coreml
from faceall.errors import ConvertError, MissingDependencyError, NetFormatError, ParityError
from faceall.models import Manifest
from faceall.types import Array

needs_coremltools = pytest.mark.skipif(
    importlib.util.find_spec("coremltools") is None, reason='needs coremltools: pip install "faceall[coreml]"'
)
FORMATS = [("mlprogram", ".mlpackage"), ("neuralnetwork", ".mlmodel")]


@pytest.fixture
def pictures() -> Array:
    return np.random.default_rng(6).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)


def test_without_coremltools_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where coremltools cannot be imported, the error says what to install, and nothing is left behind."""
    absent = tmp_path / "absent" / "coremltools"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('absent')\n")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    target = tmp_path / "out" / "model.mlpackage"
    with pytest.raises(MissingDependencyError, match=r'pip install "faceall\[coreml\]"'):
        write_coreml(embedder_net(), target, manifest=manifest_of())
    assert not target.parent.exists()


def test_a_wrong_ending_is_refused(tmp_path: Path) -> None:
    """Core ML tells formats by their endings, so a wrong one is refused before any work."""
    with pytest.raises(ConvertError, match=r"mlprogram files end in \.mlpackage"):
        write_coreml(embedder_net(), tmp_path / "model.mlmodel", manifest=manifest_of())


@needs_coremltools
@pytest.mark.parametrize(("format", "ending"), FORMATS)
@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "palette8", "palette6"])
def test_an_embedder_is_within_its_gate(
    tmp_path: Path, pictures: Array, format: str, ending: str, precision: str
) -> None:
    """Every format and precision, from a picture, with the fixed standardisation inside."""
    path = tmp_path / f"model{ending}"
    write_coreml(embedder_net(), path, CoremlOptions(format=format, precision=precision), manifest=manifest_of())  # type: ignore[arg-type]
    report = coreml_parity(embedder_net(), path, pictures, precision=precision, manifest=manifest_of())  # type: ignore[arg-type]
    report.require()
    embedding = read_coreml(path).run({"image": pictures[0]})["embedding"]
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-3)


@needs_coremltools
@pytest.mark.parametrize(("format", "ending"), FORMATS)
@pytest.mark.parametrize(("kind", "channels"), [("prewhiten", "RGB"), ("fixed", "BGR")])
def test_pixels_are_standardised_inside(
    tmp_path: Path, pictures: Array, format: str, ending: str, kind: str, channels: str
) -> None:
    """Each picture's own standardisation stays exact in float16; blue first is turned in the file."""
    path, manifest = tmp_path / f"model{ending}", manifest_of(kind, channels)
    flat = np.full((16, 16, 3), 9, np.uint8)
    flat[3, 4] = 200  # bright on dark: the squares of its pixels are far above what float16 holds in sum
    samples = np.concatenate([pictures, flat[None]])
    for precision in ("float32", "float16"):
        write_coreml(embedder_net(), path, CoremlOptions(format=format, precision=precision), manifest=manifest)  # type: ignore[arg-type]
        coreml_parity(embedder_net(), path, samples, precision=precision, manifest=manifest).require()  # type: ignore[arg-type]


@needs_coremltools
@pytest.mark.parametrize(("format", "ending"), FORMATS)
def test_a_net_of_free_size_takes_every_size(tmp_path: Path, format: str, ending: str) -> None:
    """A net that only slides windows runs at heights and widths other than declared, both results in their shapes."""
    net, path = messy_net(), tmp_path / f"net{ending}"
    write_coreml(net, path, CoremlOptions(format=format, input="array"))  # type: ignore[arg-type]
    model = read_coreml(path)
    assert model.inputs["data"].shape == (1, 3, None, None)
    for height, width in ((16, 16), (21, 34)):
        sample = np.random.default_rng(height).normal(0, 1, (1, 3, height, width)).astype(np.float32)
        made, wanted = model.run({"data": sample}), run_all(net, {"data": sample})
        for blob, name in (("box-2", "box_2"), ("prob", "prob")):
            np.testing.assert_allclose(made[name], wanted[blob], atol=2e-5, rtol=1e-5)


@needs_coremltools
@pytest.mark.parametrize(("format", "ending"), FORMATS)
def test_same_input_same_bytes_and_plain_modes(tmp_path: Path, format: str, ending: str) -> None:
    """Two writings are equal byte by byte; everybody may read them; the metadata carries the manifest."""
    manifest = manifest_of()
    made = []
    for name in ("one", "two", "one"):
        path = tmp_path / f"{name}{ending}"
        write_coreml(embedder_net(), path, CoremlOptions(format=format), manifest=manifest)  # type: ignore[arg-type]
        parts = sorted(path.rglob("*")) if path.is_dir() else [path]
        made.append([part.read_bytes() for part in parts if part.is_file()])
        for part in (path, *parts):
            assert part.stat().st_mode & 0o777 == (0o755 if part.is_dir() else 0o644)
    assert made[0] == made[1] == made[2]
    model = read_coreml(tmp_path / f"one{ending}")
    assert Manifest.from_json(model.metadata[MANIFEST_KEY].replace('"files": {}', _FILES)).name == "small"
    assert model.metadata["license"] == "none"
    assert model.metadata["author"] == "faceall"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one{ending}", f"two{ending}"]


_FILES = '"files": {"model.prototxt": "' + "0" * 64 + '", "model.caffemodel": "' + "0" * 64 + '"}'


@needs_coremltools
def test_a_file_of_other_weights_misses_the_gate(tmp_path: Path, pictures: Array) -> None:
    """A report that compares with another net fails, and says by how much."""
    path = write_coreml(embedder_net(), tmp_path / "model.mlpackage", manifest=manifest_of())
    net = embedder_net()
    other = net.with_weights({**net.weights, "vector/0": net.weights["vector/0"][::-1]})
    with pytest.raises(ParityError, match="coreml"):
        coreml_parity(other, path, pictures, precision="float32", manifest=manifest_of()).require()
    (path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").write_bytes(b"\0" * 100)
    with pytest.raises(NetFormatError, match="damaged"):
        coreml_parity(net, path, pictures, precision="float32", manifest=manifest_of())

"""Core AI models, run by Apple's runtime where coreai-core is installed; and what happens without it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coreai_nets import activations_net, arcface_manifest, arcface_net, pools_net
from savedmodel_nets import LAYER_NETS, cascade_folder, layer_net

import faceall
from coreml_nets import embedder_net, manifest_of, messy_net
from faceall.caffe import Net
from faceall.caffe.reference import run_all
from faceall.convert import CoreaiOptions, ParityOptions, convert
from faceall.convert.sources.source import MANIFEST_KEY
from faceall.convert.targets.coreai import coreai_parity, read_coreai, write_coreai
from faceall.convert.targets.coreai.read import DIGEST, METADATA, PROGRAM
from faceall.errors import (
    ConvertError,
    MissingDependencyError,
    NetFormatError,
    ParityError,
    UnsupportedLayerError,
)
from faceall.types import Array

needs_coreai = pytest.mark.skipif(
    importlib.util.find_spec("coreai") is None, reason='needs coreai-core: pip install "faceall[coreai]"'
)
PRECISIONS = ("float32", "float16")
ODD_NETS = {"activations": activations_net, "pools": pools_net, "messy": messy_net}


@pytest.fixture
def images() -> Array:
    return np.random.default_rng(6).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)


@pytest.fixture
def unrun(tmp_path: Path) -> Path:
    """A folder with the three files of a model, whose program is no program."""
    folder = tmp_path / "unrun.aimodel"
    folder.mkdir()
    (folder / PROGRAM).write_bytes(b"no program")
    (folder / DIGEST).write_bytes(hashlib.sha256(b"no program").digest())
    (folder / METADATA).write_text(json.dumps({"author": "a", "creatorDefinedMetadata": {"own": "b"}}))
    return folder


def any_net(name: str) -> Net:
    return ODD_NETS[name]() if name in ODD_NETS else layer_net(name)


def test_one_module_imports_coreai() -> None:
    """A change of the beta costs one file."""
    root = Path(faceall.__file__).parent
    importing = re.compile(r"^\s*(from|import) coreai\b", re.MULTILINE)
    found = [path for path in root.rglob("*.py") if importing.search(path.read_text(encoding="utf-8"))]
    assert [path.relative_to(root).as_posix() for path in found] == ["convert/targets/coreai/border.py"]


def test_without_coreai_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where coreai-core cannot be imported, the error says what to install, and nothing is left behind."""
    absent = tmp_path / "absent" / "coreai"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('absent')\n")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    target = tmp_path / "out" / "model.aimodel"
    with pytest.raises(MissingDependencyError, match=r'pip install "faceall\[coreai\]"'):
        write_coreai(embedder_net(), target, manifest=manifest_of())
    assert not target.parent.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"precision": "int8"}, "precision 'int8' is unknown; known: float32, float16"),
        ({"input": "film"}, "input 'film' is unknown; known: image, array"),
    ],
)
def test_unknown_options_list_the_known(options: dict[str, Any], reason: str) -> None:
    """Core ML's compressed precisions are no precisions of Core AI."""
    with pytest.raises(ConvertError, match=reason):
        CoreaiOptions(**options)


def test_a_wrong_suffix_is_refused(tmp_path: Path) -> None:
    """A model's folder ends in .aimodel, for writing, converting and reading."""
    with pytest.raises(ConvertError, match=r"models end in \.aimodel"):
        write_coreai(embedder_net(), tmp_path / "model.mlpackage", manifest=manifest_of())
    with pytest.raises(ConvertError, match=r"Core AI model ends in \.aimodel, as model\.aimodel"):
        convert(tmp_path / "absent.pb", tmp_path / "model", target="coreai")
    with pytest.raises(NetFormatError, match=r"models end in \.aimodel"):
        read_coreai(tmp_path)


def test_only_a_model_is_replaced(tmp_path: Path) -> None:
    """A folder of that name with other things stays."""
    place = tmp_path / "photos.aimodel"
    place.mkdir()
    (place / "photo.jpg").touch()
    with pytest.raises(ConvertError, match="not a model"):
        convert(tmp_path / "absent.pb", place, target="coreai", replace_existing=True)
    assert (place / "photo.jpg").exists()


def test_damage_is_found_before_the_runtime_sees_it(unrun: Path) -> None:
    """The program must have its checksum; metadata must be JSON; a missing file is named."""
    assert read_coreai(unrun).metadata == {"author": "a", "own": "b"}
    (unrun / PROGRAM).write_bytes(b"no program!")
    with pytest.raises(NetFormatError, match="its checksum is not the one"):
        read_coreai(unrun)
    (unrun / METADATA).write_text("{")
    with pytest.raises(NetFormatError, match=r"metadata\.json is damaged"):
        read_coreai(unrun)
    (unrun / DIGEST).unlink()
    with pytest.raises(NetFormatError, match="is no Core AI model"):
        read_coreai(unrun)


@needs_coreai
def test_a_model_that_the_runtime_refuses_is_an_error_with_its_version(unrun: Path) -> None:
    """The runtime's error is one line that names the package and its version."""
    with pytest.raises(ConvertError, match=r"coreai-core [0-9.a-z]+ cannot run this model: ") as caught:
        read_coreai(unrun).run([{"image": np.zeros((1, 4, 4, 3), np.uint8)}])
    assert "\n" not in str(caught.value)


@needs_coreai
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("kind", "channels"), [("fixed", "RGB"), ("prewhiten", "RGB"), ("fixed", "BGR")])
def test_an_embedder_takes_pixels_and_gives_unit_vectors(
    tmp_path: Path, images: Array, precision: Any, kind: str, channels: str
) -> None:
    """Standardisation, also by each image's own numbers, the order of colours and the length are inside the model."""
    path, manifest = tmp_path / "model.aimodel", manifest_of(kind, channels)
    flat = np.full((16, 16, 3), 9, np.uint8)
    flat[3, 4] = 200  # bright on dark: the squares of its pixels are far above what float16 holds in sum
    write_coreai(embedder_net(), path, CoreaiOptions(precision=precision), manifest=manifest)
    samples = np.concatenate([images, flat[None]])
    report = coreai_parity(embedder_net(), path, samples, precision=precision, manifest=manifest)
    report.require()
    assert report.step == "coreai"
    assert report.engine.startswith("Apple's runtime, coreai-core ")
    (made,), _ = read_coreai(path).run([{"image": images[:1]}])
    assert made["embedding"].dtype == np.float32
    assert made["embedding"].shape == (1, 12)
    assert np.linalg.norm(made["embedding"]) == pytest.approx(1, abs=1e-3)


@needs_coreai
@pytest.mark.parametrize(
    ("name", "precision"),
    [*((name, "float32") for name in (*LAYER_NETS, *ODD_NETS)), *((name, "float16") for name in ODD_NETS)],
)
def test_every_layer_computes_what_the_net_computes(tmp_path: Path, name: str, precision: Any) -> None:
    """Nets with every kind of layer and pool agree with the slow reference."""
    net, path = any_net(name), tmp_path / "net.aimodel"
    write_coreai(net, path, CoreaiOptions(input="array", precision=precision, unit_length=False))
    sample = np.random.default_rng(2).normal(0, 1, net.inputs["data"]).astype(np.float32)
    (made,), _ = read_coreai(path).run([{"data": sample}])
    wanted = run_all(net, {"data": sample})
    blobs = {re.sub(r"\W", "_", blob): blob for blob in net.outputs}
    blobs |= {"embedding": net.outputs[0]} if len(net.outputs) == 1 else {}  # the only result counts as an embedding
    for output, array in made.items():
        expected = wanted[blobs[output]]
        scale = max(1.0, float(np.abs(expected).max()))
        bound = 2e-6 if precision == "float32" else 8e-3
        np.testing.assert_allclose(array.reshape(expected.shape) / scale, expected / scale, atol=bound, rtol=0)


@needs_coreai
def test_a_net_of_free_size_takes_every_size(tmp_path: Path) -> None:
    """A net that only slides windows runs at heights and widths other than declared."""
    net, path = messy_net(), tmp_path / "net.aimodel"
    write_coreai(net, path, CoreaiOptions(input="array"))
    samples = [np.random.default_rng(high).normal(0, 1, (1, 3, high, wide)).astype(np.float32)
               for high, wide in ((16, 16), (21, 34), (40, 17))]  # fmt: skip
    results, _ = read_coreai(path).run([{"data": sample} for sample in samples])
    for sample, made in zip(samples, results, strict=True):
        wanted = run_all(net, {"data": sample})
        for blob, name in (("box-2", "box_2"), ("prob", "prob")):
            np.testing.assert_allclose(made[name], wanted[blob], atol=2e-5, rtol=1e-5)


@needs_coreai
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("squeeze", [False, True])
def test_arcface_shapes_are_within_their_tolerance(tmp_path: Path, precision: Any, squeeze: bool) -> None:
    """Normalisation before convolutions, PReLU, residual sums, weighted channels."""
    net, path = arcface_net(squeeze=squeeze), tmp_path / "net.aimodel"
    write_coreai(net, path, CoreaiOptions(precision=precision), manifest=arcface_manifest())
    samples = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    coreai_parity(net, path, samples, precision=precision, manifest=arcface_manifest()).require()


@needs_coreai
@pytest.mark.parametrize("precision", PRECISIONS)
def test_nets_of_a_cascade_are_within_their_tolerance(tmp_path: Path, precision: Any) -> None:
    """MTCNN's three shapes, converted from their files; a report is beside each."""
    cascade_folder(tmp_path / "nets")
    for number in (1, 2, 3):
        source, place = tmp_path / "nets" / f"det{number}.prototxt", tmp_path / f"det{number}.aimodel"
        done = convert(source, place, target=CoreaiOptions(precision=precision, input="array"))
        assert [report.step for report in done.reports] == ["net", "coreai"]
        assert json.loads(done.report_path.read_text())["passed"] is True


@needs_coreai
def test_two_writings_compute_the_same_and_have_plain_modes(tmp_path: Path, images: Array) -> None:
    """Two writings have the same metadata, with the manifest, and the same results; everybody may read them."""
    made = []
    for name in ("one", "two", "one"):
        path = write_coreai(embedder_net(), tmp_path / f"{name}.aimodel", manifest=manifest_of())
        parts = sorted(path.iterdir())
        made.append({part.name: part.read_bytes() for part in parts})
        assert {part.stat().st_mode & 0o777 for part in parts} == {0o644}
        assert path.stat().st_mode & 0o777 == 0o755
    assert made[0][METADATA] == made[1][METADATA] == made[2][METADATA]
    results = [read_coreai(tmp_path / f"{name}.aimodel").run([{"image": images[:1]}])[0] for name in ("one", "two")]
    np.testing.assert_array_equal(results[0][0]["embedding"], results[1][0]["embedding"])
    assert made[0].keys() == {PROGRAM, DIGEST, METADATA}
    metadata = read_coreai(tmp_path / "one.aimodel").metadata
    assert json.loads(metadata[MANIFEST_KEY])["standardisation"]["kind"] == "fixed"
    assert (metadata["author"], metadata["license"], metadata["faceall.precision"]) == ("faceall", "none", "float32")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.aimodel", "two.aimodel"]


@needs_coreai
def test_a_model_of_other_weights_exceeds_the_tolerance(tmp_path: Path, images: Array) -> None:
    """A report that compares with another net fails, and names the target."""
    path = write_coreai(embedder_net(), tmp_path / "model.aimodel", manifest=manifest_of())
    net = embedder_net()
    other = net.with_weights({**net.weights, "vector/0": net.weights["vector/0"][::-1]})
    with pytest.raises(ParityError, match="coreai model differs"):
        coreai_parity(other, path, images, precision="float32", manifest=manifest_of()).require()
    with pytest.raises(ConvertError, match="not a declared input"):
        coreai_parity(net, path, np.zeros((1, 3, 16, 16), np.float32), precision="float32", manifest=manifest_of())


@needs_coreai
def test_a_layer_without_a_form_is_refused_by_name(tmp_path: Path) -> None:
    """An average over windows that round up depends on the size of the image, which is free here."""
    net = messy_net()
    layers = [layer if layer.name != "pool1" else type(layer)(
        "pool1", "Pooling", layer.bottoms, layer.tops, {"pooling_param": {"pool": "AVE", "kernel_size": 2, "stride": 2}}
    ) for layer in net.layers]  # fmt: skip
    with pytest.raises(UnsupportedLayerError, match=r"layer 'pool1' \(Pooling\)"):
        write_coreai(Net("net", tuple(layers), net.weights), tmp_path / "net.aimodel", CoreaiOptions(input="array"))
    assert not list(tmp_path.iterdir())


REAL = {
    "P-Net": ("models/mtcnn/det1.prototxt", "array"),
    "R-Net": ("models/mtcnn/det2.prototxt", "array"),
    "O-Net": ("models/mtcnn/det3.prototxt", "array"),
    "0095": ("models/omz/face-reidentification-retail-0095.xml", "image"),
}


@needs_coreai
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", REAL)
def test_real_nets_are_within_their_tolerance(shared: Path, tmp_path: Path, name: str, precision: Any) -> None:
    """MTCNN's nets and OpenVINO's embedder."""
    file, kind = REAL[name]
    options = CoreaiOptions(precision=precision, input=kind)  # type: ignore[arg-type]
    report = convert(shared / file, tmp_path / "net.aimodel", target=options).report
    assert report.passed


@needs_coreai
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_bundled_embedder_is_within_its_tolerance(tmp_path: Path, precision: Any) -> None:
    """faceall-128 and its alignment, which travels in the metadata."""
    folder = Path(faceall.__file__).parent / "models" / "bundled" / "faceall-128"
    options = CoreaiOptions(precision=precision)
    done = convert(folder, tmp_path / "net.aimodel", target=options)
    assert done.report.passed
    manifest = json.loads(read_coreai(done.path).metadata[MANIFEST_KEY])
    assert manifest["alignment"] == json.loads((folder / "manifest.json").read_text())["alignment"]


@needs_coreai
@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_facenet_is_within_its_tolerance(shared: Path, tmp_path: Path, precision: Any) -> None:
    """FaceNet on 16 crops, from TensorFlow's graph to Apple's runtime."""
    parity = ParityOptions(crops=shared / "models/facenet/golden.npz")
    options = CoreaiOptions(precision=precision)
    source = shared / "models/facenet/20180408-102900.pb"
    report = convert(source, tmp_path / "net.aimodel", target=options, parity=parity).report
    assert report.passed
    assert report.images == 16

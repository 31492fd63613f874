"""The whole way: a file in, a model folder out, and nothing at all where the gate is missed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorflow_graphs import small_facenet

from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net
from faceall.convert import compare, convert, read_check, translate
from faceall.convert.evaluate import evaluate
from faceall.convert.parity import random_pictures
from faceall.errors import ConvertError, ModelError, NetFormatError, ParityError, UnsupportedGraphError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small frozen graph on disk."""
    return small_facenet().write(tmp_path / "small.pb")


@pytest.mark.parametrize("style", ["keep", "fold"])
def test_folder_holds_a_net_that_gives_the_same_vectors(source: Path, tmp_path: Path, style: str) -> None:
    """What was written and is read again computes what the graph computes, from raw pixels."""
    made = convert(source, tmp_path / "model", batch_norm=style)  # type: ignore[arg-type]
    folder = made.folder
    folder.verify()
    crops = random_pictures(3, (19, 19, 3), seed=9)
    x = folder.manifest.standardisation.apply(crops)
    compiled = get_engine("reference").compile(read_net(folder.prototxt, folder.caffemodel))
    actual = compiled({"input": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})["embeddings"]
    graph = small_facenet().bound()
    np.testing.assert_allclose(actual, evaluate(graph, {"input": x})["embeddings"], atol=2e-6)


def test_manifest_says_what_the_net_needs(source: Path, tmp_path: Path) -> None:
    """Sizes come from the net, the name from the file."""
    manifest = convert(source, tmp_path / "model").folder.manifest
    assert (manifest.name, manifest.embedding_size, manifest.input_size) == ("facenet-small", 10, (19, 19))
    assert (manifest.input_blob, manifest.output_blob, manifest.source) == ("input", "embeddings", "small.pb")


def test_unknown_file_says_what_was_assumed(source: Path, tmp_path: Path) -> None:
    """The guess and the way to override it are remarked; a choice needs no remark."""
    made = convert(source, tmp_path / "guess")
    assert any("assumed" in remark and "--standardisation prewhiten" in remark for remark in made.remarks)
    chosen = convert(source, tmp_path / "chosen", standardisation="prewhiten")
    assert chosen.remarks == ()
    assert chosen.folder.manifest.standardisation.kind == "prewhiten"


def test_report_as_json_and_text(source: Path, tmp_path: Path) -> None:
    """The report has numbers, its stages on demand, and serialises."""
    report = convert(source, tmp_path / "model", stages=True).report
    values = json.loads(json.dumps(report.to_json()))
    assert values["passed"] is True
    assert 0 <= values["maximum"] <= 1e-5
    assert values["cosine_min"] == pytest.approx(1, abs=1e-6)
    blobs = [stage["blob"] for stage in values["stages"]]
    assert (blobs[0], blobs[-1]) == ("Net_Conv2d_1a_3x3", "embeddings")
    assert len(blobs) == len(set(blobs)) > 15
    assert "max abs" in report.to_text()


def test_given_vectors_are_the_reference(source: Path, tmp_path: Path) -> None:
    """Vectors that come with the pictures are compared, and wrong ones miss the gate."""
    crops = random_pictures(2, (19, 19, 3))
    x = (crops.astype(np.float32) - 127.5) / 128
    golden = evaluate(small_facenet().bound(), {"input": x})["embeddings"]
    assert convert(source, tmp_path / "right", check=crops, expected=golden).report.reference == "given"
    with pytest.raises(ParityError, match="nothing was written"):
        convert(source, tmp_path / "wrong", check=crops, expected=golden[::-1])
    assert not (tmp_path / "wrong").exists()


def test_gate_names_the_first_diverging_layer() -> None:
    """A wrong weight in the middle is found at its own layer, though all later ones are off, too."""
    translation = translate(small_facenet().bound(), name="net")
    weights = dict(translation.net.weights)
    key = "Net_Conv2d_3a_2x2/0"
    weights[key] = weights[key] * np.float32(1.01)
    damaged = replace(translation, net=translation.net.with_weights(weights))
    x = (random_pictures(2, (19, 19, 3)).astype(np.float32) - 127.5) / 128
    report = compare(damaged, x, engine="reference")
    assert not report.passed
    assert report.first_divergence is not None
    assert report.first_divergence.blob == "Net_Conv2d_3a_2x2"
    with pytest.raises(ParityError, match="first at 'Net_Conv2d_3a_2x2'"):
        report.require()


def test_not_a_number_misses_the_gate() -> None:
    """A NaN is no agreement."""
    translation = translate(small_facenet().bound(), name="net")
    weights = {key: array * np.float32("nan") for key, array in translation.net.weights.items()}
    damaged = replace(translation, net=translation.net.with_weights(weights))
    assert not compare(damaged, np.zeros((1, 19, 19, 3), np.float32), engine="reference").passed


def test_nothing_is_written_above_the_gate(source: Path, tmp_path: Path) -> None:
    """A gate of less than nothing refuses every net and leaves no trace."""
    with pytest.raises(ParityError):
        convert(source, tmp_path / "out" / "model", gate=-1.0)
    assert not (tmp_path / "out").exists()


def test_wrong_pictures_are_refused(source: Path, tmp_path: Path) -> None:
    """Pictures of another size are named with both sizes."""
    with pytest.raises(ConvertError, match=r"expected uint8 \(n, 19, 19, 3\)"):
        convert(source, tmp_path / "model", check=np.zeros((1, 8, 8, 3), np.uint8))


def test_output_that_is_no_vector_is_refused(source: Path, tmp_path: Path) -> None:
    """An inner node with a picture for its value is no embedding."""
    with pytest.raises(ConvertError, match="one vector per picture"):
        convert(source, tmp_path / "model", output="Net/Mixed/concat")


def test_existing_model_is_kept(source: Path, tmp_path: Path) -> None:
    """A second conversion to one place needs to be asked for."""
    convert(source, tmp_path / "model")
    with pytest.raises(ModelError, match="exists"):
        convert(source, tmp_path / "model")
    convert(source, tmp_path / "model", replace_existing=True)


@pytest.mark.parametrize("error", [NetFormatError, UnsupportedGraphError])
def test_errors_name_the_file(tmp_path: Path, error: type[Exception]) -> None:
    """A damaged and an unfit file are named alike."""
    path = tmp_path / "bad.pb"
    if error is NetFormatError:
        path.write_bytes(b"nonsense")
    else:
        small_facenet().write(path)
    with pytest.raises(error, match=r"bad\.pb"):
        convert(path, tmp_path / "model", input="nowhere" if error is UnsupportedGraphError else None)


def test_check_files(tmp_path: Path) -> None:
    """Pictures with or without vectors are read from an .npz; anything else is refused in one line."""
    crops = random_pictures(2, (8, 8, 3))
    np.savez(tmp_path / "both.npz", crops=crops, embeddings=np.ones((2, 4), np.float32))
    np.savez(tmp_path / "crops.npz", crops=crops)
    np.savez(tmp_path / "other.npz", faces=crops)
    np.savez(tmp_path / "float.npz", crops=crops.astype(np.float32))
    np.save(tmp_path / "array.npy", crops)
    (tmp_path / "text.npz").write_text("no archive")
    assert read_check(tmp_path / "crops.npz")[1] is None
    vectors = read_check(tmp_path / "both.npz")[1]
    assert vectors is not None
    assert vectors.shape == (2, 4)
    for name in ("other.npz", "float.npz", "array.npy", "text.npz", "absent.npz"):
        with pytest.raises(ConvertError, match=name):
            read_check(tmp_path / name)


def test_real_file_is_recognised_and_matches_its_golden_vectors(shared: Path, tmp_path: Path) -> None:
    """The whole conversion of 20180408-102900 is within 1e-5 of TensorFlow's own vectors."""
    crops, golden = read_check(shared / "models/facenet/golden.npz")
    source = shared / "models/facenet/20180408-102900.pb"
    made = convert(source, tmp_path / "model", check=crops, expected=golden)
    assert made.report.maximum <= 1e-5
    assert made.report.reference == "given"
    manifest = made.folder.manifest
    assert (manifest.name, manifest.embedding_size, manifest.standardisation.kind) == (
        "facenet-20180408-102900",
        512,
        "fixed",
    )

"""The whole way: a file in, a model folder out, and nothing at all where the tolerance is missed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net, write_net
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.convert import (
    BottleneckStyle,
    CaffeOptions,
    CoremlOptions,
    FaceCrops,
    FloorPool,
    ParityOptions,
    Reduction,
    SourceOptions,
    compare,
    convert,
    read_check,
    read_crops,
    translate,
)
from faceall.convert.parity.comparison import channels_first, random_images
from faceall.convert.parity.report import count_flips
from faceall.convert.targets.onnx import open_onnx, open_with_openvino
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.errors import (
    ArgumentError,
    ConvertError,
    ModelError,
    NetFormatError,
    ParityError,
    UnsupportedGraphError,
)
from faceall.images import write_image
from tensorflow_graphs import small_facenet


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small frozen graph on disk."""
    return small_facenet().write(tmp_path / "small.pb")


@pytest.mark.parametrize("style", ["keep", "fold"])
def test_folder_holds_a_net_that_gives_the_same_vectors(source: Path, tmp_path: Path, style: str) -> None:
    """What was written and is read again computes what the graph computes, from raw pixels."""
    made = convert(source, tmp_path / "model", reading=SourceOptions(batch_norm=style))  # type: ignore[arg-type]
    folder = made.folder
    folder.verify()
    crops = random_images(3, (19, 19, 3), seed=9)
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
    chosen = convert(source, tmp_path / "chosen", reading=SourceOptions(standardisation="prewhiten"))
    assert chosen.remarks == ()
    assert chosen.folder.manifest.standardisation.kind == "prewhiten"


def test_report_as_json_and_text(source: Path, tmp_path: Path) -> None:
    """The report has numbers, its stages on demand, and serialises."""
    report = convert(source, tmp_path / "model", parity=ParityOptions(stages=True)).report
    values = json.loads(json.dumps(report.to_json()))
    assert values["passed"] is True
    assert 0 <= values["maximum"] <= 1e-5
    assert values["cosine_min"] == pytest.approx(1, abs=1e-6)
    blobs = [stage["blob"] for stage in values["stages"]]
    assert (blobs[0], blobs[-1]) == ("Net_Conv2d_1a_3x3", "embeddings")
    assert len(blobs) == len(set(blobs)) > 15
    assert "max abs" in report.to_text()


def test_given_vectors_are_the_reference(source: Path, tmp_path: Path) -> None:
    """Vectors that come with the pictures are compared, and wrong ones miss the tolerance."""
    crops = random_images(2, (19, 19, 3))
    x = (crops.astype(np.float32) - 127.5) / 128
    golden = evaluate(small_facenet().bound(), {"input": x})["embeddings"]
    assert (
        convert(source, tmp_path / "right", parity=ParityOptions(crops=crops, expected=golden)).report.reference
        == "given"
    )
    with pytest.raises(ParityError, match="no model was written"):
        convert(source, tmp_path / "wrong", parity=ParityOptions(crops=crops, expected=golden[::-1]))
    assert not (tmp_path / "wrong").exists()


def test_gate_names_the_first_diverging_layer() -> None:
    """A wrong weight in the middle is found at its own layer, though all later ones are off, too."""
    translation = translate(small_facenet().bound(), name="net")
    weights = dict(translation.net.weights)
    key = "Net_Conv2d_3a_2x2/0"
    weights[key] = weights[key] * np.float32(1.01)
    damaged = replace(translation, net=translation.net.with_weights(weights))
    x = (random_images(2, (19, 19, 3)).astype(np.float32) - 127.5) / 128
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
    """A tolerance of less than nothing refuses every net: no model, but the report, which the error names."""
    with pytest.raises(ParityError, match=r"no model was written, only the report .*model\.parity\.json"):
        convert(source, tmp_path / "out" / "model", parity=ParityOptions(tolerance=-1.0))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.parity.json"]
    values = json.loads((tmp_path / "out/model.parity.json").read_text())
    assert values["passed"] is False
    assert values["steps"][-1]["stages"]


def test_wrong_pictures_are_refused(source: Path, tmp_path: Path) -> None:
    """Pictures of another size are named with both sizes."""
    with pytest.raises(ConvertError, match=r"expected uint8 \(n, 19, 19, 3\)"):
        convert(source, tmp_path / "model", parity=ParityOptions(crops=np.zeros((1, 8, 8, 3), np.uint8)))


def test_output_that_is_no_vector_is_refused(source: Path, tmp_path: Path) -> None:
    """An inner node with a picture for its value is no embedding."""
    with pytest.raises(ConvertError, match="one vector per"):
        convert(source, tmp_path / "model", reading=SourceOptions(output="Net/Mixed/concat"))


def test_existing_model_is_kept(source: Path, tmp_path: Path) -> None:
    """A second conversion to one place needs to be asked for."""
    convert(source, tmp_path / "model")
    with pytest.raises(ModelError, match="exists"):
        convert(source, tmp_path / "model")
    convert(source, tmp_path / "model", replace_existing=True)


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("precious", "caffe"), ("small.pb", "caffe"), (".", "caffe"), ("/", "caffe"), ("/", "onnx"), ("a.jpg", "caffe"),
        ("small.pb", "onnx"), ("a.jpg", "onnx"), ("precious", "onnx"), ("p.mlpackage", "coreml"), ("l.onnx", "onnx"),
    ],
)  # fmt: skip
def test_replacing_erases_nothing_but_models(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, target: Any
) -> None:
    """Folders with other things, files of other kinds, the source and what it lies in are refused before any work."""
    for name in ("precious/sub/photo.jpg", "a.jpg", "p.mlpackage/photo.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("hi")
    (tmp_path / "l.onnx").symlink_to(source)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("faceall.convert.conversion.open_subject", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises((ConvertError, ModelError)) as caught:
        convert("small.pb", place, target=target, replace_existing=True)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_name_of_the_file_does_not_enter_the_model(source: Path, tmp_path: Path) -> None:
    """The same graph under two names becomes the same model, with the same fingerprint."""
    (tmp_path / "renamed.pb").write_bytes(source.read_bytes())
    first, second = (convert(tmp_path / f"{name}.pb", tmp_path / name) for name in ("small", "renamed"))
    assert first.folder.fingerprint == second.folder.fingerprint
    assert second.manifest.name == "facenet-renamed"


def test_a_folder_in_use_is_refused_before_the_work(tmp_path: Path) -> None:
    """The source, which is absent, is not even looked for."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(ModelError, match="exists already"):
        convert(tmp_path / "absent.pb", tmp_path / "taken")


@pytest.mark.parametrize("error", [NetFormatError, UnsupportedGraphError])
def test_errors_name_the_file(tmp_path: Path, error: type[Exception]) -> None:
    """A damaged and an unfit file are named alike."""
    path = tmp_path / "bad.pb"
    if error is NetFormatError:
        path.write_bytes(b"nonsense")
    else:
        small_facenet().write(path)
    with pytest.raises(error, match=r"bad\.pb"):
        convert(
            path, tmp_path / "model", reading=SourceOptions(input="nowhere" if error is UnsupportedGraphError else None)
        )


def test_check_files(tmp_path: Path) -> None:
    """Pictures with or without vectors are read from an .npz; anything else is refused in one line."""
    crops = random_images(2, (8, 8, 3))
    np.savez(tmp_path / "both.npz", crops=crops, embeddings=np.ones((2, 4), np.float32))
    np.savez(tmp_path / "crops.npz", crops=crops)
    np.savez(tmp_path / "other.npz", faces=crops)
    np.savez(tmp_path / "float.npz", crops=crops.astype(np.float32))
    np.save(tmp_path / "array.npy", crops)
    (tmp_path / "text.npz").write_text("no archive")
    whole = (tmp_path / "both.npz").read_bytes()
    (tmp_path / "changed.npz").write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    np.savez_compressed(tmp_path / "packed.npz", crops=crops)
    packed = (tmp_path / "packed.npz").read_bytes()
    (tmp_path / "packed.npz").write_bytes(packed[:60] + bytes(40) + packed[100:])
    np.savez(tmp_path / "number.npz", crops=crops, embeddings=np.float32(1))
    assert read_check(tmp_path / "crops.npz")[1] is None
    vectors = read_check(tmp_path / "both.npz")[1]
    assert vectors is not None
    assert vectors.shape == (2, 4)
    for name in (
        "other.npz",
        "float.npz",
        "array.npy",
        "text.npz",
        "absent.npz",
        "changed.npz",
        "packed.npz",
        "number.npz",
    ):
        with pytest.raises(ConvertError, match=name):
            read_check(tmp_path / name)


@pytest.mark.parametrize("target", ["caffe", "onnx"])
def test_report_lies_beside_the_model(source: Path, tmp_path: Path, target: Any) -> None:
    """Every step with its numbers and decisions, as JSON; nothing else is left over."""
    made = convert(source, tmp_path / "out" / "m", target=target)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"m", "m.parity.json"}
    values = json.loads(made.report_path.read_text())
    assert values["passed"] is True
    assert [step["step"] for step in values["steps"]] == (["caffe"] if target == "caffe" else ["net", "onnx"])
    assert all((step["pairs"], step["flips"]) == (15, 0) for step in values["steps"])


def test_onnx_file_gives_the_vectors_for_any_batch(source: Path, tmp_path: Path) -> None:
    """The file, run by itself, agrees with the graph for one and for five pictures, and carries its manifest."""
    made = convert(source, tmp_path / "m.onnx", target="onnx")
    graph = small_facenet().bound()
    for count, run in ((1, open_onnx(made.path)[0]), (5, open_onnx(made.path)[0]), (5, open_with_openvino(made.path))):
        x = made.manifest.standardisation.apply(random_images(count, (19, 19, 3), seed=count))
        actual = run({"input": channels_first(x)})["embeddings"]
        np.testing.assert_allclose(actual, evaluate(graph, {"input": x})["embeddings"], atol=2e-6)
    onnxruntime = pytest.importorskip("onnxruntime")
    metadata = onnxruntime.InferenceSession(str(made.path)).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["faceall.manifest"])["name"] == "facenet-small"


def test_onnx_is_kept_unless_it_may_be_replaced(source: Path, tmp_path: Path) -> None:
    """A second conversion to one file needs to be asked for; a folder is no file."""
    convert(source, tmp_path / "m.onnx", target="onnx")
    with pytest.raises(ConvertError, match="exists already"):
        convert(source, tmp_path / "m.onnx", target="onnx")
    convert(source, tmp_path / "m.onnx", target="onnx", replace_existing=True)
    with pytest.raises(ConvertError, match="is a folder"):
        convert(source, tmp_path, target="onnx", replace_existing=True)


@pytest.mark.parametrize("floor_pool", get_args(FloorPool))
@pytest.mark.parametrize("bottleneck", get_args(BottleneckStyle))
def test_every_spelling_passes_the_gate(source: Path, tmp_path: Path, floor_pool: Any, bottleneck: Any) -> None:
    """All kinds of Caffe files hold the same net."""
    made = convert(
        source,
        tmp_path / "m",
        target=CaffeOptions(floor_pool=floor_pool, bottleneck=bottleneck),
        reading=SourceOptions(batch_norm="keep"),
    )
    kinds = {layer.type for layer in read_net(made.folder.prototxt).layers}
    assert made.report.maximum <= 1e-5
    assert ("Crop" in kinds) == (floor_pool == "crop")
    assert ("Slice" in kinds) == (floor_pool == "slice")


def test_model_folder_is_a_source(source: Path, tmp_path: Path) -> None:
    """What was written once goes on to another format, with its manifest."""
    first = convert(source, tmp_path / "first", reading=SourceOptions(batch_norm="keep", standardisation="prewhiten"))
    second = convert(
        tmp_path / "first",
        tmp_path / "second",
        target=CaffeOptions(floor_pool="conv"),
        reading=SourceOptions(name="second"),
    )
    assert second.report.reference == "net"
    assert second.manifest.name == "second"
    assert second.manifest.standardisation == first.manifest.standardisation
    assert second.manifest.source == first.manifest.source
    assert not any(layer.type == "BatchNorm" for layer in read_net(second.folder.prototxt).layers)
    caffe = convert(first.folder.prototxt, tmp_path / "third", reading=SourceOptions(standardisation="fixed"))
    assert caffe.manifest.embedding_size == 10


@pytest.mark.parametrize("given", ["m/model.prototxt", "m/model.caffemodel", "m.onnx"])
def test_what_was_written_is_read_with_its_manifest(source: Path, tmp_path: Path, given: str) -> None:
    """Standardisation, name and source come from the manifest, beside Caffe's files and inside ONNX; not a guess."""
    for place, target in (("m", "caffe"), ("m.onnx", "onnx")):
        convert(
            source, tmp_path / place, target=target, reading=SourceOptions(standardisation="prewhiten", name="mine")
        )  # type: ignore[arg-type]
    made = convert(tmp_path / given, tmp_path / "again")
    assert (made.manifest.name, made.manifest.standardisation.kind) == ("mine", "prewhiten")
    assert made.manifest.source == "small.pb"
    assert not any("assumed" in remark for remark in made.remarks)
    chosen = convert(
        tmp_path / given, tmp_path / "chosen", reading=SourceOptions(standardisation="fixed", name="other")
    ).manifest
    assert (chosen.name, chosen.standardisation.kind) == ("other", "fixed")


def test_other_pixels_drop_what_was_measured(source: Path, tmp_path: Path) -> None:
    """With another standardisation the threshold and the accuracy of the model are no longer known."""
    first = convert(source, tmp_path / "first", reading=SourceOptions(standardisation="fixed")).folder
    measured = replace(first.manifest, match_threshold=0.7, accuracy={"LFW": 0.9})
    (first.path / "manifest.json").write_text(measured.to_json())
    same = convert(first.path, tmp_path / "same", reading=SourceOptions(standardisation="fixed")).manifest
    other = convert(first.path, tmp_path / "other", reading=SourceOptions(standardisation="none")).manifest
    assert (same.match_threshold, same.accuracy) == (0.7, {"LFW": 0.9})
    assert (other.match_threshold, other.accuracy) == (None, {})


def test_a_stray_manifest_beside_a_prototxt_is_passed_over(source: Path, tmp_path: Path) -> None:
    """Another program's manifest.json says nothing of the net."""
    convert(source, tmp_path / "m")
    (tmp_path / "m" / "manifest.json").write_text("{}")
    made = convert(tmp_path / "m" / "model.prototxt", tmp_path / "again")
    assert made.manifest.embedding_size == 10
    assert "standardisation" in made.assumptions


def test_a_vector_of_one_by_one_pixels_is_an_embedding(tmp_path: Path) -> None:
    """A net that ends in (1, D, 1, 1) is an embedder of D numbers."""
    random = np.random.default_rng(0)
    options = {"convolution_param": {"num_output": 6, "kernel_size": [9], "bias_term": False}}
    layers = (input_layer("data", (1, 3, 9, 9)), Layer("vector", "Convolution", ("data",), ("vector",), options))
    kernel = random.normal(size=(6, 3, 9, 9)).astype(np.float32)
    write_net(
        Net("net", layers, weight_keys("vector", [kernel])), tmp_path / "_n_.prototxt", tmp_path / "_n_.caffemodel"
    )
    manifest = convert(tmp_path / "_n_.prototxt", tmp_path / "m").manifest
    assert (manifest.kind, manifest.embedding_size, manifest.name) == ("embedder", 6, "n")


def test_a_smaller_embedding_is_called_as_asked(source: Path, tmp_path: Path) -> None:
    """The name is taken as it is; a threshold for the larger vectors is dropped."""
    first = convert(source, tmp_path / "first").folder
    (first.path / "manifest.json").write_text(replace(first.manifest, match_threshold=0.7).to_json())
    faces = FaceCrops(random_images(20, (19, 19, 3)))
    made = convert(
        first.path, tmp_path / "m", reduction=Reduction(size=4, crops=faces), reading=SourceOptions(name="mine")
    )
    assert (made.manifest.name, made.manifest.match_threshold) == ("mine", None)


def test_net_before_and_after_are_compared_layer_by_layer(source: Path, tmp_path: Path) -> None:
    """With `stages`, a Caffe source is compared at every blob that both nets have."""
    convert(source, tmp_path / "first", reading=SourceOptions(batch_norm="keep"))
    made = convert(
        tmp_path / "first",
        tmp_path / "second",
        reading=SourceOptions(batch_norm="keep"),
        parity=ParityOptions(stages=True),
    )
    assert len(made.report.stages) > 15
    assert max(stage.relative for stage in made.report.stages) <= 1e-5


def test_smaller_embedding(source: Path, tmp_path: Path) -> None:
    """Ten numbers become four: the manifest says so, the report has the cost, the folder gives unit vectors."""
    faces = FaceCrops(random_images(60, (19, 19, 3), seed=4), tuple(f"p{number // 3}" for number in range(60)))
    made = convert(source, tmp_path / "m", reduction=Reduction(size=4, crops=faces))
    manifest = made.folder.manifest
    assert (manifest.name, manifest.embedding_size) == ("facenet-small-4", 4)
    assert manifest.source == "small.pb, 10 dimensions projected to 4 on 60 crops"
    assert [report.step for report in made.reports] == ["net", "projection", "caffe"]
    assert made.projection is not None
    assert (made.projection.before, made.projection.after, made.projection.crops) == (10, 4, 60)
    values = json.loads(made.report_path.read_text())["projection"]
    assert 0 < values["variance"] <= 1
    assert values["accuracy_after"] <= 1
    x = {"input": channels_first(manifest.standardisation.apply(random_images(3, (19, 19, 3), seed=9)))}
    vectors = get_engine("reference").compile(read_net(made.folder.prototxt, made.folder.caffemodel))(x)["embeddings"]
    assert vectors.shape == (3, 4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_crops_in_a_folder(source: Path, tmp_path: Path) -> None:
    """Pictures of the right size or larger are read, with the folders' names as labels; smaller ones are refused."""
    (tmp_path / "faces" / "Ann").mkdir(parents=True)
    for number, size in enumerate((19, 40)):
        write_image(tmp_path / "faces" / "Ann" / f"{number}.png", random_images(1, (size, size, 3))[0])
    crops = read_crops(tmp_path / "faces", (19, 19))
    assert crops.crops.shape == (2, 19, 19, 3)
    assert crops.labels == ("Ann", "Ann")
    np.testing.assert_array_equal(crops.crops[0], random_images(1, (19, 19, 3))[0])
    assert len(read_crops(tmp_path / "faces", (19, 19), 1).crops) == 1
    assert convert(source, tmp_path / "m", parity=ParityOptions(crops=tmp_path / "faces")).report.images == 2
    with pytest.raises(ConvertError, match=r"0\.png: is 19x19 pixels, .* at least 20x20"):
        read_crops(tmp_path / "faces", (20, 20))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConvertError, match="has no images"):
        read_crops(tmp_path / "empty", (19, 19))


def test_flips_are_counted_pair_by_pair() -> None:
    """Three vectors, of which one turns away: two of three decisions flip."""
    before = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1]])
    after = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]])
    assert count_flips(before, before, 1.1) == (3, 0)
    assert count_flips(after, before, 1.1) == (3, 2)
    assert count_flips(before * 7, before, 1.1) == (3, 0)  # lengths do not count


def test_unknown_target_is_refused(source: Path, tmp_path: Path) -> None:
    """The error lists the known ones."""
    with pytest.raises(ArgumentError, match="target is 'tflite', expected one of caffe, onnx"):
        convert(source, tmp_path / "m", target="tflite")  # type: ignore[arg-type]


@pytest.mark.parametrize(("format", "suffix"), [("mlprogram", ".mlpackage"), ("neuralnetwork", ".mlmodel")])
def test_coreml_file_is_compared_as_written(source: Path, tmp_path: Path, format: Any, suffix: str) -> None:
    """Both formats pass the tolerance of float32, twice to one place; nothing but the model and the report is left."""
    pytest.importorskip("coremltools", reason="needs coremltools; it comes with the extra coreml")
    for again in (False, True):
        options = CoremlOptions(format=format)
        place = tmp_path / "out" / f"m{suffix}"
        made = convert(source, place, target=options, replace_existing=again)
        assert [report.step for report in made.reports] == ["net", "coreml"]
        assert made.report.maximum <= 1e-5
        assert {path.name for path in place.parent.iterdir()} == {place.name, f"{place.name}.parity.json"}


def test_coreml_place_has_the_suffix_of_its_format(source: Path, tmp_path: Path) -> None:
    """Another suffix is refused before any work."""
    with pytest.raises(ConvertError, match=r"a Core ML mlprogram ends in \.mlpackage"):
        convert(source, tmp_path / "m.mlmodel", target="coreml")
    with pytest.raises(ConvertError, match=r"only Caffe's format makes a model folder"):
        _ = convert(source, tmp_path / "m.onnx", target="onnx").folder


def test_real_file_is_recognised_and_matches_its_golden_vectors(shared: Path, tmp_path: Path) -> None:
    """The whole conversion of 20180408-102900 is within 1e-5 of TensorFlow's own vectors."""
    crops, golden = read_check(shared / "models/facenet/golden.npz")
    source = shared / "models/facenet/20180408-102900.pb"
    made = convert(source, tmp_path / "model", parity=ParityOptions(crops=crops, expected=golden))
    assert made.report.maximum <= 1e-5
    assert made.report.reference == "given"
    manifest = made.folder.manifest
    assert (manifest.name, manifest.embedding_size, manifest.standardisation.kind) == (
        "facenet-20180408-102900",
        512,
        "fixed",
    )

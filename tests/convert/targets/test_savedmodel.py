"""SavedModels for TensorFlow Serving: what is written computes what the net computes, from pixels on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from savedmodel_nets import LAYER_NETS, cascade_folder, floor_net, impossible_net, layer_net, pool_net

from coreml_nets import embedder_net, manifest_of, messy_net
from faceall.caffe import Net, get_engine, read_net, write_net
from faceall.caffe.engines import CompiledNet
from faceall.caffe.shapes import infer_shapes
from faceall.convert import CaffeOptions, ParityOptions, SourceOptions, convert
from faceall.convert.parity.comparison import random_images
from faceall.convert.passes.pools import write_floor_pools
from faceall.convert.sources import open_source
from faceall.convert.sources.tensorflow.savedmodel import read_signature
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.targets.savedmodel import Part, savedmodel_parity, write_savedmodel
from faceall.convert.targets.savedmodel.prepare import join_floor_pools, prepare, takes_any_size
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.errors import ConvertError, FaceallError, NetFormatError, ParityError, ShapeError, UnsupportedGraphError
from faceall.models import CAFFEMODEL, PROTOTXT, Manifest, ModelFolder, write_model_folder
from faceall.types import Array
from tensorflow_graphs import small_facenet


def reference(net: Net, *outputs: str) -> CompiledNet:
    """The net in the slow engine."""
    return get_engine("reference").compile(net, list(outputs or net.outputs))


def model_folder(place: Path, net: Net, manifest: Manifest) -> ModelFolder:
    """The net as a model folder."""
    write_net(net, place.parent / "net.prototxt", place.parent / "net.caffemodel")
    files = {PROTOTXT: (place.parent / "net.prototxt").read_bytes()}
    files[CAFFEMODEL] = (place.parent / "net.caffemodel").read_bytes()
    return write_model_folder(place, manifest, files)


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    """A small embedder as a model folder."""
    return model_folder(tmp_path / "embedder", embedder_net(), manifest_of()).path


def run_written(folder: Path, signature: str, pictures: Array) -> dict[str, Array]:
    """What a signature gives for pictures (n, H, W, 3), its graph run in NumPy."""
    graph, inputs, outputs = read_signature(folder, signature)
    feeds = {inputs["images"]: pictures.astype(np.float32)}
    return {name: evaluate(replace(graph, output=tensor), feeds, keep=())[tensor] for name, tensor in outputs.items()}


def test_layout_is_what_tensorflow_serving_wants(embedder: Path, tmp_path: Path) -> None:
    """A numbered version with the graph, the weights inside it, and the manifest where TensorFlow does not look."""
    made = convert(embedder, tmp_path / "out" / "served", target="savedmodel")
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"served/1/saved_model.pb", "served/1/assets.extra/manifest.json", "served.parity.json"}
    saved = messages()["SavedModel"].FromString((made.path / "1/saved_model.pb").read_bytes())
    (meta,) = saved.meta_graphs
    assert list(meta.meta_info_def.tags) == ["serve"]
    assert set(meta.signature_def) == {"calculate_embeddings", "calculate_embeddings_from_images", "serving_default"}
    files_in = meta.signature_def["calculate_embeddings"].inputs["image_bytes"]
    images = meta.signature_def["serving_default"].inputs["images"]
    vectors = meta.signature_def["serving_default"].outputs["embeddings"]
    shapes = [[dim.size for dim in info.tensor_shape.dim] for info in (files_in, images, vectors)]
    assert shapes == [[-1], [-1, 16, 16, 3], [-1, 12]]
    assert (files_in.dtype, images.dtype, vectors.dtype) == (7, 1, 1)
    assert all(item.method_name == "tensorflow/serving/predict" for item in meta.signature_def.values())


def test_report_has_the_written_file(embedder: Path, tmp_path: Path) -> None:
    """What is compared last is the file, run in NumPy."""
    made = convert(embedder, tmp_path / "served", target="savedmodel")
    assert [report.step for report in made.reports] == ["net", "savedmodel"]
    assert made.report.engine == "the written graph, run in NumPy"
    assert json.loads(made.report_path.read_text())["passed"] is True


@pytest.mark.parametrize("kind", ["fixed", "prewhiten", "none"])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_standardisation_happens_inside(tmp_path: Path, kind: Any, channels: str) -> None:
    """Pixels 0 .. 255 in RGB go in, unit vectors come out, whatever the manifest wants in between."""
    folder = model_folder(tmp_path / "model", embedder_net(), manifest_of(channels=channels))
    made = convert(folder.path, tmp_path / "served", target="savedmodel", reading=SourceOptions(standardisation=kind))
    pictures = random_images(3, (16, 16, 3), seed=2)
    ordered = pictures if channels == "RGB" else pictures[..., ::-1]
    numbers = made.manifest.standardisation.apply(np.ascontiguousarray(ordered)).transpose(0, 3, 1, 2)
    vectors = reference(embedder_net())({"data": np.ascontiguousarray(numbers)})["vector"]
    wanted = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    actual = run_written(made.path / "1", "calculate_embeddings_from_images", pictures)["embeddings"]
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=2e-6)


def test_black_picture_is_prewhitened_without_dividing_by_zero(tmp_path: Path) -> None:
    """A picture of one colour has no deviation; the bound on it counts."""
    folder = model_folder(tmp_path / "model", embedder_net(), manifest_of("prewhiten"))
    made = convert(folder.path, tmp_path / "served", target="savedmodel")
    flat = run_written(made.path / "1", "serving_default", np.full((1, 16, 16, 3), 80, np.uint8))["embeddings"]
    zero = run_written(made.path / "1", "serving_default", np.zeros((1, 16, 16, 3), np.uint8))["embeddings"]
    np.testing.assert_allclose(flat, zero, atol=1e-6)
    assert np.isfinite(flat).all()


@pytest.mark.parametrize("name", LAYER_NETS)
def test_layer_computes_what_caffe_computes(tmp_path: Path, name: str) -> None:
    """Each kind of layer, with its odder options, against the reference of Caffe's operations."""
    net = layer_net(name)
    manifest = Manifest(name="net", kind="detector", input_size=(9, 8), input_blob="data", output_blob=net.outputs[0])
    part = Part(net, manifest)
    write_savedmodel([part], tmp_path / "1")
    pictures = random_images(2, (*net.inputs["data"][2:], 3), seed=4)
    report = savedmodel_parity(part, tmp_path / "1", pictures, tolerance=2e-6, threshold=None)
    assert report.passed, report.to_text()


@pytest.mark.parametrize("kind", ["MAX", "AVE"])
@pytest.mark.parametrize("rounding", ["CEIL", "FLOOR"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [(1, 1, 0), (2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 3, 0), (3, 1, 1), (4, 3, 2), (5, 2, 2)],
)
def test_pools_of_any_geometry(
    tmp_path: Path, kind: str, rounding: str, kernel: int, stride: int, pad: int
) -> None:  # fmt: skip
    """Windows that round up, borders that count in a mean and not in a maximum: at every size."""
    for number, size in enumerate([(8, 8), (9, 8), (10, 7), (11, 12), (13, 5)]):
        net = pool_net(kind, rounding, kernel, stride, pad, size)
        try:
            infer_shapes(net)
        except ShapeError:  # the last window would lie outside of the picture
            continue
        manifest = Manifest(name="net", kind="detector", input_size=size, input_blob="data", output_blob="pool")
        part = Part(net, manifest)
        write_savedmodel([part], tmp_path / str(number))
        pictures = random_images(1, (*size, 3), seed=number)
        report = savedmodel_parity(part, tmp_path / str(number), pictures, tolerance=1e-6, threshold=None)
        assert report.passed, f"{size}: {report.to_text()}"


def test_net_of_any_size_takes_every_size(tmp_path: Path) -> None:
    """A net without a layer of fixed size is right for pictures other than the declared ones, odd ones included."""
    net = messy_net()
    assert takes_any_size(prepare(net))
    manifest = Manifest(name="net", kind="detector", input_size=(16, 16), input_blob="data", output_blob="prob")
    write_savedmodel([Part(net, manifest)], tmp_path / "1")
    pictures = random_images(2, (21, 35, 3), seed=1)
    made = run_written(tmp_path / "1", "predict_from_images", pictures)
    numbers = manifest.standardisation.apply(pictures).transpose(0, 3, 1, 2)
    wanted = reference(net)({"data": np.ascontiguousarray(numbers)})
    for blob, name in (("box-2", "box_2"), ("prob", "prob")):
        np.testing.assert_allclose(made[name].transpose(0, 3, 1, 2), wanted[blob], atol=1e-5)


@pytest.mark.parametrize("style", ["crop", "slice"])
@pytest.mark.parametrize("kind", ["MAX", "AVE"])
def test_spelled_out_floor_pools_become_one_layer(style: Any, kind: str) -> None:
    """What Caffe's files say in several layers is one pool again, with the same numbers."""
    spelled = write_floor_pools(floor_net(kind), style)
    joined = join_floor_pools(spelled)
    assert [layer.type for layer in joined.layers] == ["Input", "Convolution", "Pooling", "Concat"]
    x = {"data": np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)}
    np.testing.assert_array_equal(reference(joined)(x)["both"], reference(spelled)(x)["both"])


@pytest.mark.parametrize("style", ["crop", "slice", "round-mode"])
def test_savedmodel_is_a_source(tmp_path: Path, style: Any) -> None:
    """There and back: the same layers and vectors, and the manifest that travelled in the folder."""
    graph = small_facenet().write(tmp_path / "small.pb")
    first = convert(
        graph,
        tmp_path / "first",
        target=CaffeOptions(floor_pool=style),
        reading=SourceOptions(standardisation="prewhiten", name="mine"),
    ).folder
    served = convert(first.path, tmp_path / "served", target="savedmodel")
    back = convert(served.path, tmp_path / "back", target=CaffeOptions(floor_pool=style)).folder
    assert replace(back.manifest, files={}, source=first.manifest.source) == replace(first.manifest, files={})
    nets = [read_net(folder.prototxt, folder.caffemodel) for folder in (first, back)]
    assert Counter(layer.type for layer in nets[0].layers) == Counter(layer.type for layer in nets[1].layers)
    x = np.random.default_rng(3).normal(size=(2, 3, 19, 19)).astype(np.float32)
    before, after = (reference(net)({"input": x})["embeddings"] for net in nets)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)


def test_newest_version_is_opened(embedder: Path, tmp_path: Path) -> None:
    """A folder of versions stands for its newest, by number and not by letters, and that is said."""
    for number in (2, 10):
        made = convert(
            embedder,
            tmp_path / "served" / str(number),
            target="savedmodel",
            reading=SourceOptions(name=f"version-{number}"),
        )
        assert made.path == tmp_path / "served" / str(number)
    source = open_source(tmp_path / "served")
    assert source.manifest is not None
    assert source.manifest.name == "version-10"
    assert source.remarks[0] == "versions 2, 10: using the newest, 10"
    assert open_source(tmp_path / "served" / "2").remarks == ()


def test_damaged_note_is_refused(tmp_path: Path) -> None:
    """A manifest beside the graph that is none, or another net's, is not believed."""
    served = convert(small_facenet().write(tmp_path / "small.pb"), tmp_path / "served", target="savedmodel")
    note = served.path / "1/assets.extra/manifest.json"
    text = note.read_text()
    note.write_text(text[:-9])
    with pytest.raises(NetFormatError, match=r"manifest\.json: the manifest is not JSON"):
        convert(served.path, tmp_path / "back")
    note.write_text(text.replace('"embedding_size": 10', '"embedding_size": 13'))
    with pytest.raises(ConvertError, match="disagree about sizes"):
        convert(served.path, tmp_path / "back")


def test_cascade_is_served_from_one_folder(tmp_path: Path) -> None:
    """Three nets with two signatures each; pictures are upright outside, though the nets see them turned."""
    nets = cascade_folder(tmp_path / "mtcnn")
    made = convert(tmp_path / "mtcnn", tmp_path / "served", target="savedmodel")
    steps = [report.step for report in made.reports]
    assert steps == ["net"] * 3 + [f"{name} in the savedmodel" for name in ("pnet", "rnet", "onet")]
    saved = messages()["SavedModel"].FromString((made.path / "1/saved_model.pb").read_bytes())
    wanted = {f"{name}_predict{end}" for name in ("pnet", "rnet", "onet") for end in ("", "_from_images")}
    assert set(saved.meta_graphs[0].signature_def) == wanted
    for name, size in (("pnet", (31, 18)), ("rnet", (24, 24)), ("onet", (48, 48))):
        pictures = random_images(2, (*size, 3), seed=7)
        numbers = (pictures.astype(np.float32) - 127.5) / 128
        results = reference(nets[name])({"data": np.ascontiguousarray(numbers.transpose(0, 3, 2, 1))})
        actual = run_written(made.path / "1", f"{name}_predict_from_images", pictures)
        by_channels = {2: "probabilities", 4: "offsets", 10: "landmarks"}
        assert set(actual) == {by_channels[array.shape[1]] for array in results.values()}
        for array in results.values():
            upright = array.transpose(0, 3, 2, 1) if array.ndim == 4 else array
            np.testing.assert_allclose(actual[by_channels[array.shape[1]]], upright, atol=2e-6)


def test_one_net_of_the_cascade_has_its_own_name(tmp_path: Path) -> None:
    """A P-Net alone is pnet_predict, too."""
    cascade_folder(tmp_path / "mtcnn")
    made = convert(tmp_path / "mtcnn" / "det1.prototxt", tmp_path / "served", target="savedmodel")
    assert read_signature(made.path / "1", "pnet_predict")[1] == {"image_bytes": "pnet/image_bytes"}


def test_missed_gate_leaves_the_report_alone(embedder: Path, tmp_path: Path) -> None:
    """Above the tolerance there is no folder, not even a draft."""
    (tmp_path / "out").mkdir()
    with pytest.raises(ParityError, match="no model was written"):
        convert(embedder, tmp_path / "out" / "served", target="savedmodel", parity=ParityOptions(tolerance=1e-12))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["served.parity.json"]


def test_place_is_not_taken_from_other_things(embedder: Path, tmp_path: Path) -> None:
    """What is there stays, unless it is SavedModels and may be replaced."""
    place = tmp_path / "served"
    convert(embedder, place, target="savedmodel")
    with pytest.raises(ConvertError, match=r"exists already; .* name a new version, as served/2"):
        convert(embedder, place, target="savedmodel")
    convert(embedder, place, target="savedmodel", replace_existing=True)
    (place / "notes").mkdir()
    with pytest.raises(ConvertError, match="holds other things than SavedModels"):
        convert(embedder, place, target="savedmodel", replace_existing=True)
    assert (place / "1").is_dir()


def test_layers_without_counterpart_are_listed_at_once(tmp_path: Path) -> None:
    """All of them, by name, before anything is written."""
    manifest = Manifest(name="net", kind="detector", input_size=(9, 8), input_blob="data", output_blob="soft")
    with pytest.raises(ConvertError, match=r"2 layers have no counterpart in TensorFlow: 'wide' .*'soft'"):
        write_savedmodel([Part(impossible_net(), manifest)], tmp_path / "1")
    assert not (tmp_path / "1").exists()


def test_several_results_are_listed(tmp_path: Path) -> None:
    """A SavedModel of a detector is refused as a source with the names of what it finds."""
    cascade_folder(tmp_path / "mtcnn")
    served = convert(tmp_path / "mtcnn", tmp_path / "served", target="savedmodel")
    with pytest.raises(UnsupportedGraphError, match="3 signatures take images; choose one with --signature: 'onet_"):
        open_source(served.path)
    with pytest.raises(UnsupportedGraphError, match=r"3 results; name one with --output-node: onet/landmarks"):
        open_source(served.path, signature="onet_predict_from_images")


def test_signature_is_for_savedmodels_alone(embedder: Path, tmp_path: Path) -> None:
    """Elsewhere it would do nothing, which is said."""
    with pytest.raises(FaceallError, match="--signature"):
        convert(embedder, tmp_path / "x", reading=SourceOptions(signature="serving_default"))
    net = tmp_path / "plain.prototxt"
    write_net(embedder_net(), net, net.with_suffix(".caffemodel"))
    with pytest.raises(ConvertError, match="--signature: a caffe source has none"):
        convert(net, tmp_path / "x", reading=SourceOptions(signature="serving_default"))

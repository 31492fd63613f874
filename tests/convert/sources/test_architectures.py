"""Our own definitions: FaceNet's real weights by name, every naming, and what does not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from source_checks import refusal, run_net, run_source, write_checkpoint

from faceall.caffe import Net, infer_shapes
from faceall.convert import translate
from faceall.convert.architectures.definitions import facenet_graph, inception_resnet_v1, mobile_facenet
from faceall.convert.architectures.weights import facenet_weights
from faceall.convert.sources import open_source
from faceall.convert.tensorflow.graphdef import read_graph
from faceall.convert.tensorflow.simplify import bind
from faceall.errors import ConvertError
from faceall.types import Array
from places import GRAPH

BLOCKS = {"Block35": "Repeat/block35", "Block17": "Repeat_1/block17", "Block8": "Repeat_2/block8"}


@pytest.fixture(scope="module")
def narrow() -> Net:
    """Inception-ResNet-v1, an eighth as wide, 16 numbers."""
    return inception_resnet_v1(width=0.125, embedding_size=16)


@pytest.fixture(scope="module")
def images() -> Array:
    """Two images of noise."""
    return np.random.default_rng(0).normal(size=(2, 160, 160, 3)).astype(np.float32)


def by_layer(net: Net) -> dict[str, dict[str, Array]]:
    """The weights of a net with BatchNorm kept: layer -> kind -> array in TensorFlow's order."""
    found: dict[str, dict[str, Array]] = {}
    for layer in net.layers:
        blobs = net.blobs(layer.name)
        if layer.name.startswith("embeddings"):
            continue
        if layer.type in ("Convolution", "InnerProduct"):
            order = (2, 3, 1, 0) if blobs[0].ndim == 4 else (1, 0)
            found[layer.name] = {"weights": np.ascontiguousarray(blobs[0].transpose(order))}
            found[layer.name] |= {"biases": blobs[1]} if blobs[1:] else {}
        elif layer.type == "BatchNorm":
            found[layer.name] = {"moving_mean": blobs[0], "moving_variance": blobs[1]}
        elif layer.type == "Scale":
            found[layer.name.removesuffix("_Scale")] |= {"gamma": blobs[0], "beta": blobs[1]}
    return found


def facenet_name(layer: str) -> str:
    """What FaceNet calls a layer of ours, spelled out a second time."""
    scope, norm = "InceptionResnetV1/", "/BatchNorm" if layer.endswith("_BatchNorm") else ""
    layer = layer.removesuffix("_BatchNorm")
    if layer.startswith("Block8_6_"):
        block, rest = "Block8", layer.removeprefix("Block8_6_")
    elif match := re.match(r"(Block\d+)_(\d+)_(.*)", layer):
        block, rest = f"{BLOCKS[match[1]]}_{match[2]}", match[3]
    elif match := re.match(r"(Mixed_\da)_(.*)", layer):
        block, rest = match[1], match[2]
    else:
        return f"{scope}{layer}{norm}"
    rest = re.sub(r"(Branch_\d)_", r"\1/", rest)
    return f"{scope}{block}/{rest}{norm}"


def test_real_weights_by_name_give_the_real_vectors(shared: Path) -> None:
    """The variables in the real graph, put into our definition by their names, give TensorFlow's vectors."""
    path = shared / GRAPH
    golden = path.with_name("golden.npz")
    if not path.is_file() or not golden.is_file():
        pytest.skip(f"needs FaceNet; {path} is absent")
    variables = {node.name: node.attrs["value"] for node in read_graph(path).nodes.values() if node.op == "Const"}
    net = translate(bind(facenet_graph(facenet_weights(variables))), name="facenet").net
    with np.load(golden) as archive:
        crops, expected = archive["crops"], archive["embeddings"]
    actual = run_net(net, (crops.astype(np.float32) - 127.5) / 128)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_checkpoint_without_a_graph_is_facenet_by_name(tmp_path: Path, narrow: Net, images: Array) -> None:
    """Variables with FaceNet's names, of any width, make the net whose weights they are."""
    layers = by_layer(narrow)
    variables = {f"{facenet_name(name)}/{kind}": a for name, kinds in layers.items() for kind, a in kinds.items()}
    variables |= {
        "InceptionResnetV1/Bottleneck/weights/Adam": np.zeros((3, 3), np.float32),
        "Logits/weights": np.ones(2),
    }
    write_checkpoint(tmp_path / "model-7.ckpt-3", variables)
    source = open_source(tmp_path)
    assert source.kind == "variables"
    np.testing.assert_allclose(run_source(source, images), run_net(narrow, images), rtol=0, atol=2e-6)


def test_facenet_names_its_blocks_apart() -> None:
    """The last block stands alone in FaceNet; the three repeats have their prefixes."""
    names = ("Repeat/block35_3/Branch_0/Conv2d_1x1", "Repeat_1/block17_10/Conv2d_1x1", "Repeat_2/block8_5/Conv2d_1x1")
    variables = {f"InceptionResnetV1/{name}/weights": np.zeros(1) for name in (*names, "Block8/Conv2d_1x1")}
    assert sorted(facenet_weights(variables)) == [
        "Block17_10_Conv2d_1x1/weights",
        "Block35_3_Branch_0_Conv2d_1x1/weights",
        "Block8_5_Conv2d_1x1/weights",
        "Block8_6_Conv2d_1x1/weights",
    ]


@pytest.mark.parametrize("described", [True, False])
def test_keras_facenet_with_code_is_rebuilt(tmp_path: Path, narrow: Net, images: Array, described: bool) -> None:
    """The old Keras FaceNet, whose Lambda layers hold bytecode, is rebuilt by its layers' names; no code runs."""
    h5py = pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    kinds = {"weights": "kernel:0", "biases": "bias:0"}
    order = ("weights", "biases", "gamma", "beta", "moving_mean", "moving_variance")
    with h5py.File(tmp_path / "facenet_keras.h5", "w") as file:
        group = file.create_group("model_weights") if described else file
        if described:
            code = {"class_name": "Lambda", "name": "scale", "config": {"function": ["4wEAAAA=\n", None, None]}}
            file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": [code]}})
        group.attrs["layer_names"] = [name.encode() for name in by_layer(narrow)]
        for name, arrays in by_layer(narrow).items():
            names = [f"{name}/{kinds.get(kind, kind + ':0')}" for kind in order if kind in arrays]
            group.create_group(name).attrs["weight_names"] = [text.encode() for text in names]
            for text, kind in zip(names, [kind for kind in order if kind in arrays], strict=True):
                group[name][text] = arrays[kind]
    source = open_source(tmp_path / "facenet_keras.h5")
    assert ("holds program code (Lambda layers)" if described else "holds weights alone") in source.remarks[0]
    np.testing.assert_allclose(run_source(source, images), run_net(narrow, images), rtol=0, atol=2e-6)


def test_lambda_in_another_net_is_refused_by_name(tmp_path: Path) -> None:
    """Code in a file is never run, and a net that needs it is refused with the names of such layers."""
    h5py = pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    layers = [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 8, 8, 3]}},
        {"class_name": "Lambda", "config": {"name": "double", "function": ["4wEAAAA=\n", None, None]}},
        {"class_name": "GRU", "config": {"name": "memory"}},
    ]
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "n", "layers": layers}})
        file.create_group("model_weights/in")
        file["model_weights"].attrs["layer_names"] = [b"in"]
    text = refusal(tmp_path / "net.h5")
    assert "2 layers have no counterpart: 'double' (Lambda: it holds program code" in text
    assert "'memory' (GRU)" in text


def test_weights_that_do_not_fit_are_listed(narrow: Net) -> None:
    """What is absent and what has another shape is said at once, with what was expected."""
    weights = {f"{name}/{kind}": a for name, kinds in by_layer(narrow).items() for kind, a in kinds.items()}
    del weights["Block8_6_Conv2d_1x1/biases"]
    weights["Mixed_6a_Branch_0_Conv2d_1a_3x3/weights"] = np.zeros((3, 1, 32, 48), np.float32)
    with pytest.raises(ConvertError, match="2 do not fit") as caught:
        facenet_graph(weights)
    assert "'Block8_6_Conv2d_1x1/biases' is absent" in str(caught.value)
    assert "is float32 (3, 1, 32, 48), expected float (3, 3, 32, any)" in str(caught.value)


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    """A checkpoint of another net without its graph says what it holds."""
    write_checkpoint(tmp_path / "m-1", {"lenet/weights": np.zeros(3, np.float32)})
    text = refusal(tmp_path)
    assert "no .meta lies beside it" in text
    assert "not those of FaceNet's Inception-ResNet-v1" in text


def test_folding_keeps_what_the_definition_computes(narrow: Net, images: Array) -> None:
    """The definition with its normalisations folded computes the same."""
    folded = inception_resnet_v1(width=0.125, embedding_size=16, batch_norm="fold")
    assert not any(layer.type == "BatchNorm" for layer in folded.layers)
    np.testing.assert_allclose(run_net(folded, images), run_net(narrow, images), rtol=0, atol=2e-6)


def test_mobile_facenet_has_its_form() -> None:
    """MobileFaceNet takes 112 pixels, sees 7 x 7 at its end, counts a million weights and gives unit vectors."""
    net = mobile_facenet()
    shapes = infer_shapes(net)
    assert net.inputs == {"input": (1, 3, 112, 112)}
    assert shapes["Conv_3_PReLU_PRelu"] == (1, 512, 7, 7)
    assert shapes["embeddings"] == (1, 128)
    kernels = sum(a.size for name, a in net.weights.items() if name.endswith("/0") and a.ndim == 4)
    assert 0.9e6 < kernels < 1.1e6
    noise = np.random.default_rng(0).normal(size=(2, 112, 112, 3)).astype(np.float32)
    vectors = run_net(net, noise)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, run_net(net, noise, "reference"), rtol=0, atol=2e-6)

"""The nets: their numbers, and that the converter takes them as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="training needs Keras")
pytest.importorskip("tensorflow", reason="Keras computes with TensorFlow here")

import keras

from faceall.convert import ParityOptions, SourceOptions, convert, read_graph
from faceall.convert.architectures.definitions import inception_resnet_v1 as defined
from faceall.errors import TrainError
from faceall.train.distillation.initialisation import fit_layers, teacher_weights
from faceall.train.nets import inception_resnet_v1, mobile_facenet
from faceall.train.norm import batch_normalization
from places import GRAPH


def randomise(net: object, seed: int = 0) -> None:
    """Statistics as after a training: means off zero, variances off one."""
    random = np.random.default_rng(seed)
    for variable in net.variables:  # type: ignore[attr-defined]
        if variable.path.endswith(("beta", "moving_mean")):
            variable.assign(random.normal(0, 0.2, variable.shape))
        elif variable.path.endswith("moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))


def test_the_full_inception_resnet_has_facenets_variables() -> None:
    """As many numbers that learn as the definition, into which FaceNet's own weights fit, has weights when folded."""
    defined_net = defined(batch_norm="fold")
    layers = {layer.name for layer in defined_net.layers if layer.type == "Convolution" or "Bottleneck" in layer.name}
    expected = sum(array.size for key, array in defined_net.weights.items() if key.rpartition("/")[0] in layers)
    assert sum(int(np.prod(variable.shape)) for variable in inception_resnet_v1().trainable_variables) == expected


@pytest.mark.parametrize("architecture", ["inception_resnet_v1", "mobile_facenet"])
def test_the_converter_takes_a_net_as_it_is(architecture: str, tmp_path: Path) -> None:
    """Through the gate, and the model gives the vectors that Keras gives."""
    if architecture == "mobile_facenet":
        net = mobile_facenet(width=0.25, embedding_size=32)
    else:
        net = inception_resnet_v1(width=0.1, multiple=2, embedding_size=32, image_size=96)
    randomise(net)
    net.save(tmp_path / "net.keras")
    done = convert(
        tmp_path / "net.keras",
        tmp_path / "model",
        reading=SourceOptions(standardisation="fixed"),
        parity=ParityOptions(tolerance=5e-4),
    )
    assert done.manifest.embedding_size == 32
    assert done.report.cosine_min > 0.999999


def test_widths_are_rounded_to_their_multiple() -> None:
    """Every convolution of a net has a number of channels that its multiple divides."""
    net = inception_resnet_v1(width=0.34, multiple=8, embedding_size=128, image_size=112)
    channels = {layer.filters for layer in net.layers if type(layer).__name__ == "Conv2D"}
    assert all(count % 8 == 0 for count in channels)


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"width": 0}, "width is 0"), ({"image_size": 60}, "at least 75"), ({"dropout": 1.0}, "dropout is 1.0")],
)
def test_nets_that_cannot_be_are_refused(options: dict[str, float], problem: str) -> None:
    """In one line each."""
    with pytest.raises(TrainError, match=problem):
        inception_resnet_v1(**options)  # type: ignore[arg-type]


def test_the_fast_normalisation_is_keras_own() -> None:
    """While training and in use, on the same images: outputs, and statistics but for the unbiased variance."""
    x = np.random.default_rng(0).normal(1, 2, (8, 5, 5, 6)).astype(np.float32)
    layers = [kind(scale=False, momentum=0.9) for kind in (batch_normalization(), keras.layers.BatchNormalization)]
    trained = [np.asarray(layer(x, training=True)) for layer in layers]
    np.testing.assert_allclose(*trained, atol=1e-5)
    np.testing.assert_allclose(*(np.asarray(layer.moving_mean) for layer in layers), atol=1e-6)
    np.testing.assert_allclose(*(np.asarray(layer.moving_variance) for layer in layers), rtol=0.01)
    np.testing.assert_allclose(*(np.asarray(layer(x)) for layer in layers), rtol=0.01, atol=1e-2)
    assert layers[0].get_config().keys() == layers[1].get_config().keys()


def test_a_student_as_wide_as_its_teacher_inherits_all() -> None:
    """Every layer then finds the teacher's own weights again, so the last features are the teacher's."""
    teacher, student = (inception_resnet_v1(width=0.06, multiple=2, embedding_size=8, image_size=None) for _ in "ab")
    images = np.random.default_rng(0).normal(0, 0.5, (160, 80, 80, 3)).astype(np.float32)
    for layer in teacher.layers:
        layer.momentum = 0.0
    teacher(images, training=True)  # its statistics are those of the images, as after a training
    fit_layers(student, teacher, images)
    bodies = [keras.Model(net.inputs, net.get_layer("Block35_2_Activation").output) for net in (teacher, student)]
    given, own = (body.predict_on_batch(images[:8]) for body in bodies)
    assert np.corrcoef(np.ravel(given), np.ravel(own))[0, 1] > 0.99


@pytest.mark.slow
def test_facenets_weights_make_the_same_net(shared: Path) -> None:
    """In our Keras model they give the vectors that the converted graph gives."""
    graph = shared / GRAPH
    if not graph.is_file():
        pytest.skip(f"needs FaceNet; {graph} is missing")
    golden = np.load(shared / "models/facenet/golden.npz")
    net = inception_resnet_v1()
    weights = teacher_weights(read_graph(graph))
    for variable in net.variables:
        variable.assign(weights[variable.path])
    vectors = net.predict_on_batch((golden["crops"][:4].astype(np.float32) - 127.5) / 128)
    np.testing.assert_allclose(vectors, golden["embeddings"][:4], atol=2e-6)

"""TensorFlow itself runs the graph of FaceNet, and every later step gives what it gives.

Runs where TensorFlow is installed, as scripts/test-tensorflow has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net
from faceall.convert import SourceOptions, convert
from faceall.convert.parity.comparison import channels_first
from faceall.convert.parity.crops import default_crops
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.graphdef import read_graph
from faceall.convert.tensorflow.simplify import bind
from faceall.models import Standardisation
from faceall.types import Float32Array
from places import GRAPH

TOLERANCE = 1e-5

tensorflow = pytest.importorskip("tensorflow", reason="needs TensorFlow; run scripts/test-tensorflow")


@pytest.fixture(scope="module")
def graph(shared: Path) -> Path:
    """The frozen graph of the real FaceNet."""
    return shared / GRAPH


@pytest.fixture(scope="module")
def images(shared: Path) -> Float32Array:
    """Crops of several people and the golden ones, standardised."""
    golden = np.load(shared / "models/facenet/golden.npz")["crops"][:3]
    return Standardisation().apply(np.concatenate([golden, default_crops((160, 160)).crops[:3]]))


@pytest.fixture(scope="module")
def vectors(graph: Path, images: Float32Array) -> Float32Array:
    """What this TensorFlow makes of the images."""
    return np.asarray(run(graph, {"input:0": images, "phase_train:0": False}), np.float32)


def run(graph: Path, feeds: dict[str, Any]) -> Any:
    v1 = tensorflow.compat.v1
    definition = v1.GraphDef.FromString(graph.read_bytes())
    with tensorflow.Graph().as_default() as held:
        tensorflow.import_graph_def(definition, name="")
        with v1.Session(graph=held) as session:
            return session.run("embeddings:0", feeds)


def test_the_golden_vectors_are_this_tensorflows(shared: Path, vectors: Float32Array) -> None:
    """Those that lie beside the model were computed by another version, and stay true."""
    golden = np.load(shared / "models/facenet/golden.npz")["embeddings"][:3]
    np.testing.assert_allclose(vectors[:3], golden, atol=TOLERANCE)


def test_the_graph_in_numpy_computes_what_tensorflow_computes(
    graph: Path, images: Float32Array, vectors: Float32Array
) -> None:
    """The first step of every proof: the source as faceall runs it."""
    bound = bind(read_graph(graph))
    np.testing.assert_allclose(evaluate(bound, {bound.input: images})[bound.output], vectors, atol=TOLERANCE)


@pytest.mark.parametrize("batch_norm", ["keep", "fold"])
def test_caffe_files_compute_what_tensorflow_computes(
    graph: Path, images: Float32Array, vectors: Float32Array, tmp_path: Path, batch_norm: Any
) -> None:
    """The last step: the files as written, in the engine that people use."""
    folder = convert(graph, tmp_path / "model", reading=SourceOptions(batch_norm=batch_norm)).folder
    compiled = get_engine().compile(read_net(folder.prototxt, folder.caffemodel), precision="float32")
    made = compiled({"input": channels_first(images)})["embeddings"]
    np.testing.assert_allclose(made, vectors, atol=TOLERANCE)

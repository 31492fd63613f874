"""faceall's engines against OpenCV 4's own Caffe importer, which reads the files with nothing of ours in between.

It needs OpenCV 4; `scripts/check-against-opencv4` makes an environment that has it and runs this.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caffe_nets import random_inputs, random_net

from faceall.caffe.engines import DEFAULT_ENGINE, get_engine
from faceall.caffe.files import read_net, write_net
from faceall.caffe.net import Net
from faceall.convert import facenet_net
from faceall.errors import ModelNotFoundError
from faceall.models import find_model
from faceall.types import Float32Array

cv2 = pytest.importorskip("cv2")
pytestmark = pytest.mark.skipif(
    not hasattr(cv2.dnn, "readNetFromCaffe"),
    reason=f"OpenCV {cv2.__version__} has no Caffe importer; run scripts/check-against-opencv4",
)

TOLERANCE = 1e-5
ENGINES = ("reference", DEFAULT_ENGINE)
NAMES = ("det1", "det2", "det3")


def opencv(files: tuple[Path, Path], inputs: Mapping[str, Float32Array]) -> dict[str, Any]:
    """What OpenCV computes from a prototxt and a caffemodel: the blobs that no layer reads."""
    net = cv2.dnn.readNetFromCaffe(str(files[0]), str(files[1]))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.enableWinograd(False)
    for name, array in inputs.items():
        net.setInput(array, name)
    ours = read_net(files[0])
    writers = {top: layer.name for layer in ours.layers for top in layer.tops}  # OpenCV knows results by their layers
    return dict(zip(ours.outputs, net.forward([writers[blob] for blob in ours.outputs]), strict=True))


def check(what: str, engine: str, net: Net, inputs: dict[str, Float32Array], wanted: Mapping[str, Any]) -> None:
    """The engine differs from OpenCV by at most `TOLERANCE`; by how much is printed."""
    results = get_engine(engine).compile(net, list(wanted))(inputs)
    for name, expected in wanted.items():
        assert results[name].shape == expected.shape
        difference = float(np.abs(results[name] - expected).max())
        print(f"{what:<28} {engine:<10} {name:<12} max abs difference {difference:.1e}")
        assert difference <= TOLERANCE


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_the_published_nets_of_mtcnn_compute_what_opencv_computes(engine: str, name: str, mtcnn_folder: Path) -> None:
    """det1, det2, det3 as they were published, on random numbers in the range of their images."""
    files = mtcnn_folder / f"{name}.prototxt", mtcnn_folder / f"{name}.caffemodel"
    net = read_net(*files)
    rng = np.random.default_rng(0)
    inputs = {"data": rng.uniform(-1, 1, (4, *net.inputs["data"][1:])).astype(np.float32)}
    check(name, engine, net, inputs, opencv(files, inputs))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [(12, 12), (13, 38), (97, 120), (250, 250)])
def test_p_net_computes_what_opencv_computes_at_any_size(
    engine: str, size: tuple[int, int], mtcnn_folder: Path
) -> None:
    """Odd and even sides, where rounding up in the pooling shows."""
    files = mtcnn_folder / "det1.prototxt", mtcnn_folder / "det1.caffemodel"
    net = read_net(*files)
    inputs = {"data": np.random.default_rng(1).uniform(-1, 1, (2, 3, *size)).astype(np.float32)}
    check(f"det1 at {size}", engine, net, inputs, opencv(files, inputs))


@pytest.mark.parametrize("name", NAMES)
def test_opencv_reads_written_files_as_the_published_ones(name: str, mtcnn_folder: Path, tmp_path: Path) -> None:
    """What faceall writes gives the same numbers, bit for bit."""
    published = mtcnn_folder / f"{name}.prototxt", mtcnn_folder / f"{name}.caffemodel"
    written = tmp_path / "model.prototxt", tmp_path / "model.caffemodel"
    net = read_net(*published)
    write_net(net, *written)
    inputs = random_inputs(net, np.random.default_rng(2), 3)
    before, after = (opencv(files, inputs) for files in (published, written))
    for blob in net.outputs:
        np.testing.assert_array_equal(before[blob], after[blob])


@pytest.mark.parametrize("seed", range(10))
def test_random_nets_compute_what_opencv_computes(seed: int) -> None:
    """Nets of all layer types, through the engine "opencv", which spells them for its importer."""
    net = random_net(seed)
    inputs = random_inputs(net, np.random.default_rng(seed), 2)
    check(net.name, "reference", net, inputs, get_engine("opencv").compile(net)(inputs))


@pytest.fixture(scope="module", params=["fold", "keep"])
def facenet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, tuple[Path, Path]]:
    """Files of a FaceNet: the published graph, batch norm folded and kept; without it the installed embedder."""
    folder = tmp_path_factory.mktemp("facenet")
    files = folder / "model.prototxt", folder / "model.caffemodel"
    graph = request.getfixturevalue("shared") / "models" / "facenet" / "20180408-102900.pb"
    if graph.is_file():
        write_net(facenet_net(graph, batch_norm=request.param), *files)
        return f"facenet, batch norm {request.param}", files
    try:
        model = find_model()
    except ModelNotFoundError as error:
        pytest.skip(str(error))
    return model.name, (model.prototxt, model.caffemodel)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_facenet_computes_what_opencv_computes(facenet: tuple[str, tuple[Path, Path]], engine: str) -> None:
    """The converted files as they are, in OpenCV and in faceall."""
    name, files = facenet
    net = read_net(*files)
    rng = np.random.default_rng(3)
    inputs = {blob: rng.uniform(-1, 1, (2, *shape[1:])).astype(np.float32) for blob, shape in net.inputs.items()}
    check(name, engine, net, inputs, opencv(files, inputs))

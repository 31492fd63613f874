"""Single-shot detectors: recognising, installing, decoding, and what the real YuNet finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector_files import STRIDES, scrfd_file, yunet_file
from faceall.detect import Detector, install_detector, installed_detectors, is_detector_file
from faceall.detect.single_shot.anchor_free import decode_scrfd, decode_yunet
from faceall.detect.single_shot.onnx_file import recognise_graph, with_free_size
from faceall.errors import ModelDamagedError, ModelError, ModelNotFoundError, NetFormatError
from faceall.types import Array, Image


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for installed models."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "own"))
    return tmp_path / "own" / "models"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_yunet_boxes_are_decoded_cell_by_cell(random: np.random.Generator) -> None:
    """Box, score and landmarks of every cell are those of the formulas, written out for one cell at a time."""
    width, height = 64, 96
    outputs: dict[str, Array] = {}
    for stride in STRIDES:
        cells = (width // stride) * (height // stride)
        for name, size in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = random.uniform(0, 1, (1, cells, size)).astype(np.float32)
    found = decode_yunet(outputs, width, height, 0.5)
    expected = []
    for stride in STRIDES:
        columns = width // stride
        for cell in range(columns * (height // stride)):
            row, column = divmod(cell, columns)
            cls, obj, box, kps = (outputs[f"{name}_{stride}"][0, cell] for name in ("cls", "obj", "bbox", "kps"))
            score = float(np.sqrt(cls[0] * obj[0]))
            if score < 0.5:
                continue
            x, y = (column + box[0]) * stride, (row + box[1]) * stride
            w, h = np.exp(box[2]) * stride, np.exp(box[3]) * stride
            points = [((column + kps[2 * n]) * stride, (row + kps[2 * n + 1]) * stride) for n in range(5)]
            expected.append((score, [x - w / 2, y - h / 2, x + w / 2, y + h / 2], points))
    assert len(expected) == len(found.scores) > 10
    np.testing.assert_allclose(found.scores, [entry[0] for entry in expected], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [entry[1] for entry in expected], rtol=1e-4)
    np.testing.assert_allclose(found.landmarks, [entry[2] for entry in expected], rtol=1e-4)


@pytest.mark.parametrize("anchors", [1, 2])
def test_scrfd_boxes_are_decoded_anchor_by_anchor(random: np.random.Generator, anchors: int) -> None:
    """The anchors of one cell share its centre; distances and offsets count in strides."""
    graph = recognise_graph(scrfd_file(anchors=anchors))
    assert graph is not None
    width, height = 64, 32
    outputs: dict[str, Array] = {}
    for level in graph.levels:
        count = anchors * (width // level.stride) * (height // level.stride)
        for name, size in ((level.score, 1), (level.box, 4), (level.landmarks, 10)):
            outputs[name] = random.uniform(0, 1, (count, size)).astype(np.float32)
    found = decode_scrfd(outputs, graph.levels, width, height, 0.3)
    number = 0
    for level in graph.levels:
        columns = width // level.stride
        for anchor in range(len(outputs[level.score])):
            if outputs[level.score][anchor, 0] < 0.3:
                continue
            row, column = divmod(anchor // anchors, columns)
            x, y, stride = column * level.stride, row * level.stride, level.stride
            left, top, right, bottom = outputs[level.box][anchor] * stride
            np.testing.assert_allclose(found.boxes[number], [x - left, y - top, x + right, y + bottom], rtol=1e-5)
            points = outputs[level.landmarks][anchor].reshape(5, 2) * stride + [x, y]
            np.testing.assert_allclose(found.landmarks[number], points, rtol=1e-5)
            number += 1
    assert number == len(found.scores) > 5


def test_graphs_are_recognised_by_their_outputs() -> None:
    """YuNet by its names, SCRFD by three outputs of each last size; other bytes are an error."""
    yunet, scrfd = recognise_graph(yunet_file()), recognise_graph(scrfd_file())
    assert yunet is not None
    assert scrfd is not None
    assert (yunet.family, yunet.channels, yunet.input_size) == ("yunet", "BGR", None)
    assert (scrfd.family, scrfd.channels) == ("scrfd", "RGB")
    assert [level.stride for level in scrfd.levels] == list(STRIDES)
    assert [level.score for level in scrfd.levels] == ["440", "441", "442"]
    for broken in (b"", b"no graph", yunet_file()[:500]):
        with pytest.raises(NetFormatError, match="is not an ONNX file"):
            recognise_graph(broken)


@pytest.mark.parametrize("make", [yunet_file, scrfd_file], ids=["yunet", "scrfd"])
@pytest.mark.parametrize("shape", [(1, 1), (40, 300), (700, 1500)])
def test_random_detectors_run(own_models: Path, tmp_path: Path, make: object, shape: tuple[int, int]) -> None:
    """A net with random weights runs on images of any size; whatever it finds touches the image and is sorted."""
    file = write(tmp_path / "random net.onnx", make())  # type: ignore[operator]
    model = install_detector(file)
    assert (model.name, model.path.parent) == ("random-net", own_models)
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    faces = Detector("random-net", rotate=False)(image)
    assert (np.diff(faces.scores) <= 0).all()
    assert (faces.boxes[:, 0] < shape[1]).all()
    assert (faces.boxes[:, 3] > 0).all()


def test_yunet_of_a_fixed_size_runs_at_any_size(own_models: Path, tmp_path: Path) -> None:
    """OpenCV's zoo publishes YuNet for 640 x 640: it finds what the same net of a variable size finds."""
    fixed = yunet_file(4, side=640)
    described = recognise_graph(fixed)
    assert described is not None
    assert described.input_size == (640, 640)
    install_detector(write(tmp_path / "fixed.onnx", fixed))
    install_detector(write(tmp_path / "variable.onnx", yunet_file(4)))
    image = np.random.default_rng(1).integers(0, 256, (200, 1000, 3)).astype(np.uint8)
    first, second = (Detector(name, rotate=False)(image) for name in ("fixed", "variable"))
    assert len(first) == len(second) > 0
    np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)


def test_a_net_that_needs_its_size_keeps_it(own_models: Path, tmp_path: Path) -> None:
    """A YuNet whose reshapes state the number of cells is run at its own size."""
    file = yunet_file(side=320, infers=False)
    assert with_free_size(file) == file
    model = install_detector(write(tmp_path / "rigid.onnx", file))
    assert model.manifest.input_size == (320, 320)
    image = np.random.default_rng(1).integers(0, 256, (200, 1000, 3)).astype(np.uint8)
    faces = Detector("rigid", rotate=False)(image)
    assert (faces.boxes[:, 0] < 1000).all()


def test_other_files_are_refused(own_models: Path, tmp_path: Path) -> None:
    """Not ONNX, another graph, a missing file and a taken name: one line each."""
    text = write(tmp_path / "text.onnx", b"not a net")
    assert not is_detector_file(text)
    assert not is_detector_file(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match=r"text\.onnx: is not an ONNX file"):
        install_detector(text)
    with pytest.raises(ModelError, match="cannot be read"):
        install_detector(tmp_path / "missing.onnx")
    install_detector(write(tmp_path / "a.onnx", yunet_file(0)))
    with pytest.raises(ModelError, match="another model"):
        install_detector(write(tmp_path / "a.onnx", yunet_file(1)))
    assert install_detector(tmp_path / "a.onnx", replace=True).name == "a"


def test_installed_detectors_are_listed_and_verified(own_models: Path, tmp_path: Path) -> None:
    """An unknown name lists the known ones; a changed file is refused."""
    assert installed_detectors() == ["mtcnn"]
    model = install_detector(write(tmp_path / "net.onnx", scrfd_file()))
    assert installed_detectors() == ["mtcnn", "net"]
    with pytest.raises(ModelNotFoundError, match="no detector 'other' is installed; available are mtcnn, net"):
        Detector("other")
    (model.path / "model.onnx").write_bytes(yunet_file())
    with pytest.raises(ModelDamagedError, match=r"model\.onnx"):
        Detector("net")


def test_yunet_finds_the_faces_of_a_group(own_models: Path, shared: Path) -> None:
    """The published file is installed as "yunet" and agrees with MTCNN on six faces and their landmarks."""
    from faceall.images import read_image

    model = install_detector(shared / "models/yunet/yunet_n_dynamic.onnx")
    assert (model.name, model.manifest.licence) == ("yunet", "Apache-2.0")
    image: Image = read_image(shared / "data/photos/group-of-six.jpg")
    yunet, mtcnn = Detector("yunet")(image), Detector()(image)
    assert len(yunet) == len(mtcnn) == 6
    for face in yunet:
        distances = np.abs(mtcnn.landmarks - face.landmarks).max(axis=(1, 2))
        assert distances.min() < 0.15 * (face.box[2] - face.box[0])


def test_a_gallery_remembers_its_detector(own_models: Path, tmp_path: Path) -> None:
    """A chosen detector is used again after the gallery was reopened; an unknown one is refused and changes nothing."""
    from faceall.gallery import Gallery

    install_detector(write(tmp_path / "net.onnx", yunet_file()))
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.detector == "mtcnn"
        gallery.choose_detector("net")
        with pytest.raises(ModelNotFoundError, match="no detector 'other'"):
            gallery.choose_detector("other")
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.detector == "net"
        assert repr(gallery._analyser.detector) == "Detector('net')"

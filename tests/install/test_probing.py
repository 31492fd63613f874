"""The unknown input of an embedder is found on faces, or named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceall.caffe import Layer, Net, input_layer, write_caffemodel, write_prototxt
from faceall.caffe.net import weight_keys
from faceall.errors import ConvertError
from faceall.install import PeopleFaces, bundled_faces, probe, read_people
from faceall.install.faces import LabelledFace
from faceall.install.probing import require_decided, with_input
from faceall.models import CAFFEMODEL, PROTOTXT, Alignment, CropRule, Manifest, ModelFolder, write_model_folder

SIDE, SIZE = 8, 16


@pytest.fixture
def embedder(tmp_path: Path) -> ModelFolder:
    """An embedder that reads the first channel of its input alone."""
    kernel = np.zeros((SIZE, 3, SIDE, SIDE), np.float32)
    kernel[:, 0] = np.random.default_rng(0).normal(size=(SIZE, SIDE, SIDE))
    options = {"inner_product_param": {"num_output": SIZE, "bias_term": False}}
    layers = (input_layer("data", (1, 3, SIDE, SIDE)), Layer("fc", "InnerProduct", ("data",), ("vector",), options))
    net = Net("net", layers, weight_keys("fc", [kernel.reshape(SIZE, -1)]))
    manifest = Manifest(
        name="first",
        embedding_size=SIZE,
        input_size=(SIDE, SIDE),
        crop=CropRule(margin=0),
        input_blob="data",
        output_blob="vector",
        source="first.onnx",
    )
    files = {PROTOTXT: write_prototxt(net).encode(), CAFFEMODEL: write_caffemodel(net)}
    return write_model_folder(tmp_path / "first", manifest, files)


def people(channel: int, *, bundled: bool = False) -> PeopleFaces:
    """Five people with four photos each; one channel shows who it is, the others are noise."""
    random = np.random.default_rng(1)
    faces = []
    for name in "abcde":
        pattern = random.integers(0, 256, (SIDE, SIDE))
        for _ in range(4):
            image = random.integers(0, 256, (SIDE, SIDE, 3))
            image[..., channel] = np.clip(pattern + random.integers(-20, 21, pattern.shape), 0, 255)
            box = np.array([0, 0, SIDE, SIDE], np.float64)
            faces.append(LabelledFace(image.astype(np.uint8), box, np.zeros((5, 2)), name))
    return PeopleFaces("twenty faces", tuple(faces), bundled=bundled)


@pytest.mark.parametrize(("channel", "order"), [(0, "RGB"), (2, "BGR")])
def test_the_channel_order_that_separates_people_is_found(embedder: ModelFolder, channel: int, order: str) -> None:
    """Red shows who it is, so the net's first channel is red; or blue."""
    report = probe(embedder, ("channels",), people(channel))
    assert report.best.parts == {"channels": order}
    assert report.undecided == ()
    assert report.best.separation > 2 * report.rows[1].separation
    assert "channels" in report.to_text()


def test_what_makes_no_difference_remains_undecided(embedder: ModelFolder) -> None:
    """Green is in the middle of either order; the refusal has the figures and the option."""
    report = probe(embedder, ("channels",), people(1))
    assert report.undecided == ("channels",)
    with pytest.raises(ConvertError, match=r"first\.onnx: twenty faces do not settle .*BGR.*RGB.*--channels rgb\|bgr"):
        require_decided(report, "first.onnx")


def test_two_portraits_never_settle_the_channel_order(embedder: ModelFolder) -> None:
    """They are too few, whatever the figures."""
    faces = bundled_faces()
    assert (faces.people, len(faces.labels)) == (2, 24)
    assert faces.crops(CropRule(), (32, 24)).shape == (24, 24, 32, 3)
    assert "channels" in probe(embedder, ("channels", "standardisation"), faces).undecided


def test_bundled_faces_are_the_same_at_every_call() -> None:
    """Variations are drawn with a fixed seed, aligned or cropped."""
    faces = bundled_faces()
    for framing in (CropRule(), Alignment()):
        first, second = (faces.crops(framing, (112, 112)) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_only_the_named_parts_change(embedder: ModelFolder) -> None:
    """The rest of the manifest stays."""
    manifest = with_input(embedder.manifest, channels="BGR")
    assert (manifest.channels, manifest.crop) == ("BGR", embedder.manifest.crop)
    aligned = with_input(manifest, alignment="arcface", standardisation="unit")
    assert (aligned.channels, aligned.crop, aligned.standardisation.scale) == ("BGR", None, 1 / 255)
    assert with_input(aligned, alignment="none").alignment is None


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    """An empty folder says nothing about an embedder."""
    with pytest.raises(ConvertError, match="expected at least three people"):
        read_people(tmp_path)


def test_photos_of_people_are_read(shared: Path) -> None:
    """The largest face of each photo, with the folder's name."""
    faces = read_people(shared / "data" / "gallery")
    assert (faces.people, len(faces.faces)) == (3, 9)

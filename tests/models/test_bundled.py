"""The model that comes with faceall: whole, small, described as it is, and good at telling people apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceall
from faceall.analysis import primary_face
from faceall.caffe.files import read_net
from faceall.detect import Detector
from faceall.embed import Embedder
from faceall.gallery import Gallery
from faceall.images import read_image
from faceall.models import ModelFolder, find_model, search_path
from faceall.types import Float32Array, Image
from places import ROOT

FOLDER = Path(faceall.__file__).parent / "models" / "bundled"
NAME = "faceall-128"


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> ModelFolder:
    """The bundled model, with nothing else installed."""
    monkeypatch.setattr("faceall.models.store.BUNDLED", FOLDER)
    return find_model()


@pytest.fixture
def recipe(bundled: ModelFolder) -> dict[str, Any]:
    """How it was trained."""
    return dict(json.loads((bundled.path / "training.json").read_bytes()))


def test_it_is_the_default(bundled: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing installed it is what every command uses, and so is what EMBEDDING_SIZE=128 asks for."""
    assert search_path()[-1] == FOLDER
    assert bundled.name == NAME
    monkeypatch.setenv("EMBEDDING_SIZE", "128")
    assert Embedder().model == bundled


def test_its_files_are_whole_and_small(bundled: ModelFolder) -> None:
    """Every checksum holds, and all of it is at most 6 MB."""
    bundled.verify()
    assert {path.name for path in bundled.path.iterdir()} == {*bundled.manifest.files, "manifest.json"}
    assert sum(path.stat().st_size for path in bundled.path.iterdir()) <= 6_000_000


def test_manifest_recipe_and_weights_agree(bundled: ModelFolder, recipe: dict[str, Any]) -> None:
    """What the recipe says of size, width and count is what the net has; the card names the same figures."""
    manifest, options = bundled.manifest, recipe["options"]
    net = read_net(bundled.prototxt, bundled.caffemodel)
    assert manifest.input_size == (options["image_size"],) * 2
    assert manifest.embedding_size == options["embedding_size"] == 128
    assert sum(blob.size for blob in net.weights.values()) == recipe["weights"]
    first = next(layer for layer in net.layers if layer.type == "Convolution")
    step = options["multiple"]
    assert first.parameters["convolution_param"]["num_output"] == max(step, round(32 * options["width"] / step) * step)
    assert manifest.accuracy == {"LFW view 1": recipe["results"]["lfw-dev"]["accuracy"]}
    assert recipe["learning_curve"][-1]["step"] == options["length"]


def test_the_card_gives_the_same_figures(bundled: ModelFolder, recipe: dict[str, Any]) -> None:
    """The model card names the accuracy, the threshold and the number of weights of the files."""
    card = ROOT / "docs" / "explanation" / "model-card.md"
    if not card.exists():
        pytest.skip("needs the source tree: docs/explanation/model-card.md is absent")
    text = card.read_text()
    assert f"{recipe['results']['lfw-dev']['accuracy']:.4f}" in text
    assert f"{bundled.manifest.match_threshold}" in text
    assert f"{recipe['weights']:,}" in text
    assert bundled.manifest.files["model.caffemodel"] in text


def test_a_portrait_is_itself_and_not_its_noise(bundled: ModelFolder, astronaut: Image, tmp_path: Path) -> None:
    """Registered and searched with the bundled model: the mirrored portrait is a match, noise shows nobody."""
    with Gallery.open(tmp_path / "gallery") as gallery:
        (portrait,) = (ROOT / "examples" / "photos" / "Eileen_Collins").iterdir()
        list(gallery.register(portrait.parent.parent))
        (result,) = gallery.search(np.ascontiguousarray(astronaut[:, ::-1]))
        assert gallery.model is not None
        assert gallery.model.startswith(NAME)
        assert result.matches[0].person == "Eileen_Collins"
        assert result.matches[0].matches
        assert gallery.search(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)) == []


def test_three_people_are_told_apart(bundled: ModelFolder, shared: Path) -> None:
    """Of nine photos of three people, every two of one person are nearer than any two of different people."""
    detector, embedder = Detector(), Embedder()
    vectors: list[Float32Array] = []
    people: list[str] = []
    for path in sorted((shared / "data" / "gallery").rglob("*.jpg")):
        image = read_image(path)
        faces = detector(image)
        vectors.append(embedder(image, faces.take([primary_face(faces, image.shape)]))[0])
        people.append(path.parent.name)
    table = np.stack(vectors)
    distances = ((table[:, None] - table[None]) ** 2).sum(axis=2)
    same = np.array([[a == b for b in people] for a in people])
    off = ~np.eye(len(people), dtype=bool)
    assert distances[same & off].max() < distances[~same].min()

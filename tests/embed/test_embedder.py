"""Faces -> unit vectors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceall.caffe.caffemodel import write_caffemodel
from faceall.caffe.engines import get_engine
from faceall.caffe.prototxt import write_prototxt
from faceall.embed import Embedder
from faceall.embed.embedder import BATCH
from faceall.errors import ModelDamagedError, ModelNotFoundError, SettingError
from faceall.models import (
    CAFFEMODEL,
    PROTOTXT,
    Alignment,
    CropRule,
    Manifest,
    ModelFolder,
    Standardisation,
    find_model,
    write_model_folder,
)
from faceall.types import Array, Faces, Image
from tiny_model import tiny_net, write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tiny embedder with random weights that makes 128 numbers."""
    return write_tiny_model(tmp_path_factory.mktemp("models"))


@pytest.fixture
def crops() -> Array:
    """37 random crops: more than two batches."""
    return np.random.default_rng(3).integers(0, 256, (37, 160, 160, 3)).astype(np.uint8)


def write(folder: Path, **changes: object) -> ModelFolder:
    """The tiny model with another manifest."""
    net = tiny_net()
    manifest = Manifest(name="tiny", embedding_size=128, input_size=(160, 160), input_blob="data", output_blob="vector")
    files = {PROTOTXT: write_prototxt(net).encode(), CAFFEMODEL: write_caffemodel(net)}
    return write_model_folder(folder / "tiny", replace(manifest, **changes), files)  # type: ignore[arg-type]


def by_hand(crops: Array) -> Array:
    """What the tiny net gives for crops, through the reference and without the Embedder."""
    numbers = ((crops.astype(np.float64) - 127.5) / 128).transpose(0, 3, 1, 2).astype(np.float32)
    vectors = get_engine("reference").compile(tiny_net())({"data": numbers})["vector"].astype(np.float64)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def faces_at(*boxes: list[float]) -> Faces:
    count = len(boxes)
    return Faces(np.array(boxes, np.float32), np.ones(count, np.float32), np.zeros((count, 5, 2), np.float32))


def test_golden_vectors(shared: Path, facenet: ModelFolder) -> None:
    """FaceNet gives TensorFlow's own vectors to 1e-5; a wrong standardisation would raise no error but fail here."""
    golden = np.load(shared / "models/facenet/golden.npz")
    vectors = Embedder(facenet.path, precision="float32").embed_crops(golden["crops"])
    assert np.abs(vectors - golden["embeddings"]).max() <= 1e-5


def test_the_fastest_precision_stays_close(shared: Path, facenet: ModelFolder) -> None:
    """Whatever "auto" chooses on this processor, the cosine to the golden vectors is at least 0.9999."""
    golden = np.load(shared / "models/facenet/golden.npz")
    vectors = Embedder(facenet.path, precision="auto").embed_crops(golden["crops"])
    assert (vectors * golden["embeddings"]).sum(axis=1).min() >= 0.9999


def test_a_second_start_gives_the_same_vectors(shared: Path, facenet: ModelFolder) -> None:
    """A net that comes back from the disk computes in the precision that it was compiled for."""
    crops = np.load(shared / "models/facenet/golden.npz")["crops"][:2]
    first = Embedder(facenet.path, precision="float32").embed_crops(crops)
    again = Embedder(facenet.path, precision="float32").embed_crops(crops)
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_vectors_are_those_of_the_reference(tiny: ModelFolder, crops: Array) -> None:
    """Standardised, run and scaled to unit length: equal to the same thing done by hand."""
    vectors = Embedder(tiny.path, precision="float32").embed_crops(crops[:3])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, by_hand(crops[:3]), atol=1e-5)


def test_batches_do_not_matter(tiny: ModelFolder, crops: Array) -> None:
    """Many crops at once give the vectors that they give one by one."""
    embedder = Embedder(tiny.path, precision="float32")
    assert len(crops) > 2 * BATCH
    single = np.concatenate([embedder.embed_crops(crop[None]) for crop in crops])
    np.testing.assert_allclose(embedder.embed_crops(crops), single, atol=1e-6)


def test_no_face_gives_no_vector(tiny: ModelFolder, astronaut: Image) -> None:
    """Of an empty `Faces` comes an array of shape (0, size)."""
    assert Embedder(tiny.path)(astronaut, Faces.empty()).shape == (0, 128)


def test_threads_share_one_embedder(tiny: ModelFolder, crops: Array) -> None:
    """Eight threads that start at once get the vectors of one."""
    embedder = Embedder(tiny.path, precision="float32")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda start: embedder.embed_crops(crops[start : start + 5]), range(30)))
    for start, vectors in enumerate(found):
        np.testing.assert_allclose(vectors, by_hand(crops[start : start + 5]), atol=1e-5)


def test_the_manifest_orders_the_colours(tmp_path: Path, crops: Array) -> None:
    """A model that says BGR gets the channels the other way round."""
    vectors = Embedder(write(tmp_path, channels="BGR").path, precision="float32").embed_crops(crops[:2])
    np.testing.assert_allclose(vectors, by_hand(crops[:2, ..., ::-1]), atol=1e-5)


def test_the_manifest_standardises(tmp_path: Path, crops: Array) -> None:
    """A model that wants whitened images gets them: a brighter, flatter copy gives the same vector."""
    folder = write(tmp_path, standardisation=Standardisation(kind="prewhiten"))
    embedder = Embedder(folder.path, precision="float32")
    flat = (crops[:2] // 4 * 2 + 60).astype(np.uint8)
    plain = (crops[:2] // 4 * 4).astype(np.uint8)
    np.testing.assert_allclose(embedder.embed_crops(flat), embedder.embed_crops(plain), atol=1e-5)


def test_the_manifest_cuts(tmp_path: Path, astronaut: Image) -> None:
    """Without a margin the crop of a 160 pixel box is that piece of the image, black where it leaves it."""
    embedder = Embedder(write(tmp_path, crop=CropRule(margin=0.0)).path)
    inside, outside = embedder.crop(astronaut, faces_at([100, 50, 260, 210], [-80, 0, 80, 160]))
    np.testing.assert_array_equal(inside, astronaut[50:210, 100:260])
    assert not outside[:, :80].any()
    np.testing.assert_array_equal(outside[:, 80:], astronaut[:160, :80])


def test_crops_of_another_size_are_refused(tiny: ModelFolder) -> None:
    """The message gives the actual and the expected shape."""
    with pytest.raises(ValueError, match=r"uint8 \(1, 100, 100, 3\), expected uint8 \(n, 160, 160, 3\)"):
        Embedder(tiny.path).embed_crops(np.zeros((1, 100, 100, 3), np.uint8))


def test_damaged_weights_are_refused(tmp_path: Path, crops: Array) -> None:
    """A flipped byte in the caffemodel is found before the net is compiled."""
    folder = write_tiny_model(tmp_path, seed=99)
    data = bytearray(folder.caffemodel.read_bytes())
    data[len(data) // 2] ^= 1
    folder.caffemodel.write_bytes(data)
    with pytest.raises(ModelDamagedError, match="SHA-256"):
        Embedder(folder.path).embed_crops(crops[:1])


@pytest.fixture
def two_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search path with a model of 64 numbers before one of 128."""
    write_tiny_model(tmp_path, "a-small", 64)
    write_tiny_model(tmp_path, "b-large", 128)
    monkeypatch.setenv("FACEALL_MODELS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "size", "expected"), [("", None, 64), ("128", None, 128), ("128", 64, 64), ("", 128, 128)]
)
def test_the_size_chooses_the_model(
    two_sizes: Path, monkeypatch: pytest.MonkeyPatch, environment: str, size: int | None, expected: int
) -> None:
    """The argument counts first, then EMBEDDING_SIZE, then the order of the models."""
    monkeypatch.setenv("EMBEDDING_SIZE", environment)
    assert Embedder(size=size).size == expected


def test_a_named_model_wins_over_the_environment(two_sizes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EMBEDDING_SIZE only chooses where nothing else does."""
    monkeypatch.setenv("EMBEDDING_SIZE", "128")
    assert Embedder("a-small").size == 64


def test_a_size_that_no_model_makes(two_sizes: Path) -> None:
    """The message lists what there is and says what to get."""
    with pytest.raises(ModelNotFoundError, match=r"512 dimensions.*a-small \(64\), b-large \(128\).*models import"):
        Embedder(size=512)


@pytest.mark.parametrize("text", ["large", "-1", "0", "12.5"])
def test_an_environment_that_is_no_size(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """EMBEDDING_SIZE has to be a whole number above 0."""
    monkeypatch.setenv("EMBEDDING_SIZE", text)
    with pytest.raises(SettingError, match="EMBEDDING_SIZE"):
        Embedder()


def test_default_is_the_first_installed(two_sizes: Path) -> None:
    """Without any wish it is the model that `find_model` gives."""
    assert Embedder().model == find_model()


def test_a_model_with_an_alignment_sees_faces_warped_to_its_template(tmp_path: Path) -> None:
    """The landmarks of a turned face come to lie on the template; the vectors are those of the warped crop."""
    model = write(tmp_path, crop=None, alignment=Alignment("openvino-0095"))
    template = Alignment("openvino-0095").points * 160
    turned = template @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 0.5 + [150, 90]
    image = np.zeros((240, 320, 3), np.uint8)
    for x, y in turned:
        image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 255
    low, high = turned.min(axis=0), turned.max(axis=0)
    faces = Faces(np.array([[*low, *high]], np.float32), np.ones(1, np.float32), turned[None].astype(np.float32))
    embedder = Embedder(model.path)
    (crop,) = embedder.crop(image, faces)
    for x, y in template:
        assert crop[int(y), int(x)].min() > 200
    np.testing.assert_array_equal(embedder(image, faces), embedder.embed_crops(crop[None]))
    assert embedder.crop(image, Faces.empty()).shape == (0, 160, 160, 3)


def test_the_alignment_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    """Vectors of differently aligned faces cannot be compared, so they are those of two models."""
    prints = {
        write(tmp_path / str(number), crop=None, alignment=alignment).fingerprint
        for number, alignment in enumerate((Alignment("arcface-112"), Alignment("openvino-0095")))
    }
    assert len(prints | {write(tmp_path / "crop").fingerprint}) == 3

"""SavedModels in the real TensorFlow, as a server loads them: skipped where it is not installed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from savedmodel_nets import LAYER_NETS, cascade_folder, layer_net, pool_net

from coreml_nets import messy_net
from faceall.caffe import Net, get_engine
from faceall.convert import ParityOptions, SourceOptions, convert
from faceall.convert.parity.comparison import random_images
from faceall.convert.targets.savedmodel import Part, write_savedmodel
from faceall.convert.targets.savedmodel.encode import UINT8, graph_bytes
from faceall.convert.targets.savedmodel.images import resize as scaled
from faceall.convert.tensorflow.graph_writer import GraphWriter
from faceall.embed import Embedder
from faceall.images import crop, read_image, resize
from faceall.models import Manifest, ModelFolder
from faceall.types import Array, Image
from tiny_model import write_tiny_model

tensorflow = pytest.importorskip("tensorflow", reason="needs TensorFlow, which alone can say that it reads the files")


def served(folder: Path) -> Any:
    """The SavedModel in a version folder, loaded."""
    return tensorflow.saved_model.load(str(folder))


def call(model: Any, signature: str, **feeds: Array | list[bytes]) -> dict[str, Array]:
    """One request, its results as arrays."""
    values = {name: tensorflow.constant(value) for name, value in feeds.items()}
    results = model.signatures[signature](**values)
    return {name: value.numpy() for name, value in results.items()}


def encoded(picture: Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as a file's bytes."""
    file = io.BytesIO()
    PillowImage.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def written(net: Net, folder: Path, size: tuple[int, int]) -> Manifest:
    """The net as a SavedModel of a detector in `folder`."""
    manifest = Manifest(name="net", kind="detector", input_size=size, input_blob="data", output_blob=net.outputs[-1])
    write_savedmodel([Part(net, manifest)], folder)
    return manifest


def assert_same(net: Net, folder: Path, pictures: Array, manifest: Manifest) -> None:
    """TensorFlow's results are the net's, to 1e-5 of their magnitude."""
    results = call(served(folder), "predict_from_images", images=pictures.astype(np.float32))
    numbers = np.ascontiguousarray(manifest.standardisation.apply(pictures).transpose(0, 3, 1, 2))
    wanted = get_engine("reference").compile(net)({"data": numbers})
    assert len(results) == len(wanted)
    for blob, array in wanted.items():
        actual = results[blob.replace("-", "_")]
        actual = actual.transpose(0, 3, 1, 2) if actual.ndim == 4 else actual
        np.testing.assert_allclose(actual, array, rtol=0, atol=1e-5 * max(1.0, float(np.abs(array).max())))


@pytest.mark.parametrize("name", LAYER_NETS)
def test_layer_computes_what_caffe_computes(tmp_path: Path, name: str) -> None:
    """Every kind of layer loads and agrees."""
    net = layer_net(name)
    manifest = written(net, tmp_path / "1", (9, 8))
    assert_same(net, tmp_path / "1", random_images(2, (8, 9, 3), seed=4), manifest)


@pytest.mark.parametrize("kind", ["MAX", "AVE"])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 3, 0), (3, 1, 1)])
@pytest.mark.parametrize("size", [(8, 9), (11, 7)])
def test_pools_round_up(
    tmp_path: Path, kind: str, kernel: int, stride: int, pad: int, size: tuple[int, int]
) -> None:  # fmt: skip
    """Caffe's windows, in TensorFlow's own pools."""
    net = pool_net(kind, "CEIL", kernel, stride, pad, size)
    manifest = written(net, tmp_path / "1", size[::-1])
    assert_same(net, tmp_path / "1", random_images(2, (*size, 3)), manifest)


def test_net_of_any_size_takes_every_size(tmp_path: Path) -> None:
    """Odd sizes, too, and files instead of pixels."""
    net = messy_net()
    manifest = written(net, tmp_path / "1", (16, 16))
    pictures = random_images(2, (21, 35, 3), seed=1)
    assert_same(net, tmp_path / "1", pictures, manifest)
    model = served(tmp_path / "1")
    from_files = call(model, "predict", image_bytes=[encoded(picture) for picture in pictures])
    from_pixels = call(model, "predict_from_images", images=pictures.astype(np.float32))
    for name, array in from_pixels.items():
        np.testing.assert_allclose(from_files[name], array, rtol=0, atol=1e-6)


def test_cascade_is_served(tmp_path: Path) -> None:
    """Upright files go in; the results are those of the nets, which see them turned."""
    nets = cascade_folder(tmp_path / "mtcnn")
    made = convert(
        tmp_path / "mtcnn", tmp_path / "served", target="savedmodel", parity=ParityOptions(engine="reference")
    )
    model = served(made.path / "1")
    by_channels = {2: "probabilities", 4: "offsets", 10: "landmarks"}
    for name, size in (("pnet", (31, 18)), ("rnet", (24, 24)), ("onet", (48, 48))):
        pictures = random_images(2, (*size, 3), seed=7)
        results = call(model, f"{name}_predict", image_bytes=[encoded(picture) for picture in pictures])
        numbers = np.ascontiguousarray(((pictures.astype(np.float32) - 127.5) / 128).transpose(0, 3, 2, 1))
        for array in get_engine("reference").compile(nets[name])({"data": numbers}).values():
            upright = array.transpose(0, 3, 2, 1) if array.ndim == 4 else array
            np.testing.assert_allclose(results[by_channels[array.shape[1]]], upright, rtol=0, atol=1e-5)


@pytest.fixture
def portrait(astronaut: Image) -> Image:
    """The face of the portrait with some room, (160, 160, 3)."""
    return crop(astronaut, (150, 30, 310, 190), size=(160, 160))


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[ModelFolder, Any]:
    """A model, and its SavedModel in TensorFlow."""
    folder = write_tiny_model(tmp_path / "models")
    made = convert(
        folder.path,
        tmp_path / "served",
        target="savedmodel",
        reading=SourceOptions(standardisation="fixed"),
        parity=ParityOptions(engine="reference"),
    )
    return folder, served(made.path / "1")


def test_file_of_a_crop_gives_the_embedders_vector(tiny: tuple[ModelFolder, Any], portrait: Image) -> None:
    """A client sends the JPEG or PNG of a crop of the model's size and gets what Embedder makes of the same file."""
    folder, model = tiny
    files = [encoded(portrait), *(encoded(portrait, "JPEG", quality=quality) for quality in (60, 90))]
    vectors = call(model, "calculate_embeddings", image_bytes=files)["embeddings"]
    wanted = Embedder(folder.path, engine="reference").embed_crops(np.stack([read_image(file) for file in files]))
    np.testing.assert_allclose(vectors, wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [(512, 512), (200, 250), (320, 320), (91, 160), (64, 300), (80, 97)])
def test_crop_of_another_size_is_scaled_alike(
    tiny: tuple[ModelFolder, Any], astronaut: Image, size: tuple[int, int]
) -> None:
    """Scaling inside is the model's own: by area where it shrinks, bilinear where it grows; the vectors hardly move."""
    folder, model = tiny
    picture = resize(astronaut, size)
    vector = call(model, "calculate_embeddings", image_bytes=[encoded(picture)])["embeddings"]
    wanted = Embedder(folder.path, engine="reference").embed_crops(resize(picture, (160, 160))[None])
    assert float((vector * wanted).sum()) > 1 - 1e-5


@pytest.mark.parametrize(
    ("size", "share"),
    [((320, 320), 0), ((200, 250), 0), ((512, 512), 0.005), ((91, 160), 0.005), ((64, 300), 0.05), ((80, 97), 0.15)],
)
def test_scaled_pixels_are_off_by_at_most_one(astronaut: Image, size: tuple[int, int], share: float) -> None:
    """TensorFlow's two steps against OpenCV's: next to none is off where a picture shrinks, few where it grows."""
    writer = GraphWriter()
    writer.node("x", "Placeholder", dtype=UINT8, shape=(-1, -1, 3))
    scaled(writer, "x", (160, 160))
    graph = tensorflow.compat.v1.GraphDef.FromString(graph_bytes(writer.nodes.values()))
    picture = resize(astronaut, size)
    with tensorflow.Graph().as_default(), tensorflow.compat.v1.Session() as session:
        tensorflow.import_graph_def(graph, name="")
        actual = session.run("image:0", {"x:0": picture})
    difference = np.abs(actual - resize(picture, (160, 160)).astype(np.float32))
    assert difference.max() <= 1
    assert difference.mean() <= share


def test_what_is_no_picture_is_an_error_of_the_request(tiny: tuple[ModelFolder, Any]) -> None:
    """The server answers with an error instead of a vector."""
    with pytest.raises(tensorflow.errors.InvalidArgumentError):
        call(tiny[1], "calculate_embeddings", image_bytes=[b"no picture"])


@pytest.mark.slow
def test_facenet_is_served(facenet: ModelFolder, shared: Path, portrait: Image, tmp_path: Path) -> None:
    """The real net: TensorFlow's golden vectors come back, from pixels and from files."""
    golden = np.load(shared / "models/facenet/golden.npz")
    made = convert(
        facenet.path, tmp_path / "served", target="savedmodel", parity=ParityOptions(crops=golden["crops"][:2])
    )
    model = served(made.path / "1")
    pixels = golden["crops"][:4].astype(np.float32)
    vectors = call(model, "calculate_embeddings_from_images", images=pixels)["embeddings"]
    np.testing.assert_allclose(vectors, golden["embeddings"][:4], rtol=0, atol=1e-5)
    files = [encoded(picture) for picture in golden["crops"][:4]] + [encoded(portrait, "JPEG", quality=90)]
    vectors = call(model, "calculate_embeddings", image_bytes=files)["embeddings"]
    np.testing.assert_allclose(vectors[:4], golden["embeddings"][:4], rtol=0, atol=1e-5)
    embedder = Embedder(facenet.path, precision="float32")
    np.testing.assert_allclose(vectors[4:], embedder.embed_crops(read_image(files[4])[None]), rtol=0, atol=1e-5)

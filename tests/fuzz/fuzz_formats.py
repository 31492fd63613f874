"""The formats that faceall reads: small whole files, how each is spoilt, and what a user does with it."""

from __future__ import annotations

import io
import random
import re
import sys
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from fuzz_damage import NUMBERS, TEXTS, damaged, twisted, twisted_json
from google.protobuf import text_format

from coreml_files import small_network, small_program, small_weights, write_package
from coreml_nets import embedder_net, manifest_of, messy_net
from faceall.caffe import schema as caffe_schema
from faceall.caffe.caffemodel import write_caffemodel
from faceall.caffe.engines.openvino import import_openvino
from faceall.caffe.net import Net
from faceall.caffe.onnx import to_onnx
from faceall.caffe.onnx_schema import messages as onnx_messages
from faceall.caffe.prototxt import message_of, write_prototxt
from faceall.caffe.shapes import infer_shapes
from faceall.convert import ParityOptions, SourceOptions, convert, translate
from faceall.convert.sources.tensorflow.savedmodel import SAVED_MODEL
from faceall.convert.sources.tensorflow.schema import messages as source_messages
from faceall.convert.targets.coreml import read_coreml
from faceall.convert.targets.onnx import onnx_bytes
from faceall.convert.targets.savedmodel import Part, write_savedmodel
from faceall.convert.tensorflow.schema import messages as tensorflow_messages
from tensorflow_graphs import small_facenet

sys.path.insert(0, str(Path(__file__).parent.parent / "convert" / "sources"))
from onnx_nets import NETS

BYTES_SHARE = 0.5
"""The part of the cases whose bytes are damaged; in the others the message is whole, and hostile."""


class Format(ABC):
    """One kind of file."""

    name: ClassVar[str]

    @abstractmethod
    def write(self, folder: Path, chance: random.Random) -> Path:
        """Write a spoilt file, and what belongs to it; the path that a user gives."""

    def use(self, path: Path, engine: str | None) -> object:
        """What a user does with the file."""
        return convert(path, path.with_name("made"), target="caffe", parity=ParityOptions(engine=engine))


def _spoilt(data: bytes, kind: Any, chance: random.Random) -> bytes:
    """`data` of a message of class `kind`, damaged or twisted."""
    if chance.random() < BYTES_SHARE:
        return damaged(data, chance)
    return bytes(twisted(_parsed(data, kind), chance).SerializePartialToString())


@cache
def _parsed(data: bytes, kind: Any) -> Any:
    return kind.FromString(data)


@cache
def _graph(norm: str) -> bytes:
    return small_facenet(norm).data()


@cache
def _nets() -> tuple[Net, ...]:
    return embedder_net(), messy_net()


class FrozenGraph(Format):
    name = "pb"

    def write(self, folder: Path, chance: random.Random) -> Path:
        path = folder / "model.pb"
        path.write_bytes(_spoilt(_graph(chance.choice(("fused", "plain"))), tensorflow_messages()["GraphDef"], chance))
        return path


class Prototxt(Format):
    name = "prototxt"

    def write(self, folder: Path, chance: random.Random) -> Path:
        net, path = chance.choice(_nets()), folder / "model.prototxt"
        path.with_suffix(".caffemodel").write_bytes(write_caffemodel(net))
        path.write_bytes(self._spoilt(net, chance))
        return path

    def _spoilt(self, net: Net, chance: random.Random) -> bytes:
        kind = chance.randrange(8)
        if kind == 0:
            return _hostile_text(write_prototxt(net), chance).encode()
        if kind < 4:
            return damaged(write_prototxt(net).encode(), chance)
        return str(text_format.MessageToString(twisted(message_of(net), chance))).encode()


def _hostile_text(text: str, chance: random.Random) -> str:
    """Text that no message makes: nested without end, numbers beyond their type, words for numbers."""
    kind = chance.randrange(4)
    if kind == 0:
        return "layer { " * chance.choice((100, 10_000, 200_000)) + text
    lines = text.splitlines()
    place = chance.randrange(len(lines))
    key, colon, _ = lines[place].partition(":")
    if kind == 1 and colon:
        lines[place] = f"{key}: {chance.choice(('9' * 5000, '1e999', '-0x1', 'nan', '[1, 2', chr(39) * 3))}"
    elif kind == 2:
        lines[place] = f"{lines[place]} # {chance.choice(TEXTS)}"
    else:
        lines.insert(place, lines[place] * chance.choice((2, 500)))
    return "\n".join(lines)


class Caffemodel(Format):
    name = "caffemodel"

    def write(self, folder: Path, chance: random.Random) -> Path:
        net, path = chance.choice(_nets()), folder / "model.caffemodel"
        if chance.random() < 0.7:
            path.with_suffix(".prototxt").write_text(write_prototxt(net))
        path.write_bytes(_spoilt(write_caffemodel(net), caffe_schema.messages()["NetParameter"], chance))
        return path


class Onnx(Format):
    name = "onnx"

    def write(self, folder: Path, chance: random.Random) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(_spoilt(_onnx(chance.randrange(2)), onnx_messages()["ModelProto"], chance))
        return path


@cache
def _onnx(number: int) -> bytes:
    if number:
        return to_onnx(messy_net(), messy_net().outputs)
    net = translate(small_facenet().bound(), name="small").net
    size = infer_shapes(net)["embeddings"][1]
    blobs = {"input_blob": "input", "output_blob": "embeddings"}
    manifest = replace(manifest_of(), **blobs, input_size=(19, 19), embedding_size=size)  # type: ignore[arg-type]
    return onnx_bytes(net, net.outputs, manifest)


class Network(Format):
    name = "mlmodel"

    def write(self, folder: Path, chance: random.Random) -> Path:
        message, path = small_network(*small_weights()), folder / "model.mlmodel"
        path.write_bytes(_spoilt(message.SerializeToString(deterministic=True), type(message), chance))
        return path

    def use(self, path: Path, engine: str | None) -> object:
        return _run_coreml(path)


class Package(Format):
    name = "mlpackage"

    def write(self, folder: Path, chance: random.Random) -> Path:
        path = folder / "model.mlpackage"
        writer = small_program(*small_weights(), dtype=chance.choice(("float32", "float16")))
        model, blob = writer.model.SerializeToString(deterministic=True), bytes(writer.blob)
        part = chance.choice(("model", "model", "weights", "manifest"))
        if part == "model":
            model = _spoilt(model, type(writer.model), chance)
        write_package(path, model, damaged(blob, chance) if part == "weights" else blob)
        if part == "manifest":
            self._spoil_manifest(path / "Manifest.json", chance)
        return path

    def _spoil_manifest(self, manifest: Path, chance: random.Random) -> None:
        whole = manifest.read_text()
        if chance.random() < BYTES_SHARE:
            manifest.write_bytes(damaged(whole.encode(), chance))
        else:
            manifest.write_text(twisted_json(whole, chance))

    def use(self, path: Path, engine: str | None) -> object:
        return _run_coreml(path)


def _run_coreml(path: Path) -> object:
    model = read_coreml(path)
    feature = next(iter(model.inputs.values()))
    shape: Callable[..., Any] = np.zeros
    sides = [size or 6 for size in feature.shape]
    sample = shape((*sides[2:], 3), np.uint8) if feature.kind == "image" else shape(sides, np.float32)
    return model.run({feature.name: sample})


class SavedModelFolder(Format):
    name = "savedmodel"

    def write(self, folder: Path, chance: random.Random) -> Path:
        files = dict(_savedmodel(chance.choice(("ours", "exported", "saved_v1"))))
        name = chance.choice((SAVED_MODEL, SAVED_MODEL, *sorted(files)))
        if name == SAVED_MODEL:
            files[name] = self._spoilt(files[name], chance)
        elif name.endswith(".json") and chance.random() < BYTES_SHARE:
            files[name] = twisted_json(files[name].decode(), chance).encode()
        else:
            files[name] = damaged(files[name], chance)
        for name, data in files.items():
            (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "model" / name).write_bytes(data)
        return folder / "model"

    def _spoilt(self, data: bytes, chance: random.Random) -> bytes:
        """The whole file, or the graph inside."""
        kind = source_messages()["SavedModel"]
        if chance.random() < BYTES_SHARE:
            return _spoilt(data, kind, chance)
        model = kind.FromString(data)
        graph = model.meta_graphs[0]
        graph.graph_def = _spoilt(graph.graph_def, tensorflow_messages()["GraphDef"], chance)
        return bytes(model.SerializeToString())


@cache
def _savedmodel(name: str) -> Mapping[str, bytes]:
    """Path in the folder -> contents; one of ours, or one that TensorFlow wrote."""
    if name != "ours":
        with zipfile.ZipFile(_MADE) as archive:
            held = [item for item in archive.namelist() if item.startswith(f"{name}/") and not item.endswith("/")]
            return {item.removeprefix(f"{name}/"): archive.read(item) for item in held}
    net = translate(small_facenet().bound(), name="small").net
    blobs = {"input_blob": "input", "output_blob": "embeddings"}
    size = infer_shapes(net)["embeddings"][1]
    manifest = replace(manifest_of(), **blobs, input_size=(19, 19), embedding_size=size)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as place:
        write_savedmodel([Part(net, manifest)], Path(place) / "1")
        files = [path for path in sorted(Path(place, "1").rglob("*")) if path.is_file()]
        return {str(path.relative_to(Path(place, "1"))): path.read_bytes() for path in files}


class KerasFile(Format):
    name = "keras"

    def write(self, folder: Path, chance: random.Random) -> Path:
        path = folder / chance.choice(("functional.keras", "sequential.keras", "functional.h5", "sequential.h5"))
        with zipfile.ZipFile(_MADE) as archive:
            data = archive.read(path.name)
        whole = chance.random() < BYTES_SHARE
        if path.suffix == ".keras" and not whole:
            data = self._zipped(data, chance)
        path.write_bytes(damaged(data, chance) if whole else data)
        if path.suffix == ".h5" and not whole:
            with h5py.File(path, "r+") as file:
                file.attrs["model_config"] = twisted_json(str(file.attrs["model_config"]), chance)[:60_000]
        return path

    def _zipped(self, data: bytes, chance: random.Random) -> bytes:
        """A whole archive, one of whose parts is spoilt."""
        made, spoilt = io.BytesIO(), chance.choice(("config.json", "config.json", "model.weights.h5"))
        with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(made, "w") as after:
            for item in before.infolist():
                part = before.read(item)
                if item.filename == spoilt:
                    is_text = spoilt.endswith(".json")
                    part = twisted_json(part.decode(), chance).encode() if is_text else damaged(part, chance)
                after.writestr(zipfile.ZipInfo(item.filename), part)
        return made.getvalue()


class Exported(Format):
    """An ONNX file of another program."""

    name = "exported"

    def write(self, folder: Path, chance: random.Random) -> Path:
        path = folder / "net.onnx"
        path.write_bytes(_spoilt(_exported(chance.choice(sorted(NETS))), onnx_messages()["ModelProto"], chance))
        return path

    def use(self, path: Path, engine: str | None) -> object:
        return _converted(path, engine)


class OpenvinoModel(Format):
    name = "openvino"

    def write(self, folder: Path, chance: random.Random) -> Path:
        xml, weights = _openvino(chance.choice(sorted(NETS)))
        if chance.random() < 0.3:
            weights = damaged(weights, chance)
        else:
            xml = damaged(xml, chance) if chance.random() < BYTES_SHARE else _twisted_xml(xml, chance)
        (folder / "net.xml").write_bytes(xml)
        if chance.random() < 0.95:
            (folder / "net.bin").write_bytes(weights)
        return folder / "net.xml"

    def use(self, path: Path, engine: str | None) -> object:
        return _converted(path, engine)


class TfliteFile(Format):
    name = "tflite"

    def write(self, folder: Path, chance: random.Random) -> Path:
        with zipfile.ZipFile(_MADE.with_name("tflite_files.zip")) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".tflite"))
            data = archive.read(chance.choice(names))
        (folder / "net.tflite").write_bytes(damaged(data, chance))
        return folder / "net.tflite"

    def use(self, path: Path, engine: str | None) -> object:
        return _converted(path, engine)


def _converted(path: Path, engine: str | None) -> object:
    """Convert an embedder whose input is known."""
    reading = SourceOptions(channels="rgb", standardisation="unit", alignment="none")
    return convert(path, path.with_name("made"), reading=reading, parity=ParityOptions(engine=engine))


@cache
def _exported(name: str) -> bytes:
    return NETS[name]()


@cache
def _openvino(name: str) -> tuple[bytes, bytes]:
    """The two files of a net."""
    openvino = import_openvino()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "net.xml"
        openvino.save_model(openvino.Core().read_model(_exported(name)), place, compress_to_fp16=False)
        return place.read_bytes(), place.with_suffix(".bin").read_bytes()


def _twisted_xml(xml: bytes, chance: random.Random) -> bytes:
    """The layers with one to three attributes, dimensions or names changed."""
    for _ in range(chance.randint(1, 3)):
        places = list(re.finditer(rb'(?<=")[^"]*(?=")|(?<=<dim>)[^<]*', xml))
        place = chance.choice(places)
        value = str(chance.choice((*NUMBERS, "1,1,65536,65536", "u4", "Broadcast", "")))
        xml = xml[: place.start()] + value.encode() + xml[place.end() :]
    return xml


_MADE = Path(__file__).parent.parent / "convert" / "sources" / "tensorflow_files.zip"

SLOW = ("exported", "openvino", "tflite")
"""Formats that a process of its own reads, about a second for each file."""

FORMATS: dict[str, Format] = {
    made.name: made
    for made in (
        FrozenGraph(),
        Prototxt(),
        Caffemodel(),
        Onnx(),
        Network(),
        Package(),
        SavedModelFolder(),
        KerasFile(),
        Exported(),
        OpenvinoModel(),
        TfliteFile(),
    )
}

"""The formats that faceall reads: small whole files, how each is spoilt, and what a user does with it."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from fuzz_damage import TEXTS, damaged, twisted, twisted_json
from google.protobuf import text_format

from coreml_files import small_network, small_program, small_weights, write_package
from coreml_nets import embedder_net, manifest_of, messy_net
from faceall.caffe import schema as caffe_schema
from faceall.caffe.caffemodel import write_caffemodel
from faceall.caffe.net import Net
from faceall.caffe.onnx import to_onnx
from faceall.caffe.onnx_schema import messages as onnx_messages
from faceall.caffe.prototxt import message_of, write_prototxt
from faceall.caffe.shapes import infer_shapes
from faceall.convert import convert, translate
from faceall.convert.coreml import read_coreml
from faceall.convert.targets.onnx import onnx_bytes
from faceall.convert.tensorflow_schema import messages as tensorflow_messages
from tensorflow_graphs import small_facenet

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
        return convert(path, path.with_name("made"), target="caffe", engine=engine)


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


FORMATS: dict[str, Format] = {
    made.name: made for made in (FrozenGraph(), Prototxt(), Caffemodel(), Onnx(), Network(), Package())
}

"""Small Core ML files, made with faceall's own schema and no coremltools."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceall.convert.targets.coreml.schema import RGB, messages
from faceall.types import Array

CODES = {"bool": 1, "float16": 10, "float32": 11, "int8": 21, "int32": 23, "uint8": 31, "uint32": 33}
BLOB_CODES = {"float16": 1, "float32": 2, "uint8": 3, "int8": 4}
_FIELDS = {"float32": "floats", "int32": "ints", "bool": "bools"}


class ProgramWriter:
    """An ML Program, operation by operation; arrays go into the blob file where `blob` says so."""

    def __init__(self) -> None:
        self.model = messages()["Model"](specificationVersion=7)
        function = self.model.mlProgram.functions.add(key="main").value
        function.opset = "CoreML6"
        self.function = function
        self.block = function.block_specializations.add(key="CoreML6").value
        self.blob = bytearray(struct.pack("<II", 0, 2) + bytes(56))

    def input(self, name: str, shape: Sequence[int], *, image: bool = False, color: int = RGB) -> str:
        described = self.model.description.input.add(name=name)
        if image:
            described.type.imageType.height, described.type.imageType.width = shape[2:]
            described.type.imageType.colorSpace = color
        else:
            described.type.multiArrayType.shape.extend(shape)
        self._type(self.function.inputs.add(name=name).type, "float32", shape)
        return name

    def output(self, *names: str) -> None:
        for name in names:
            self.model.description.output.add(name=name)
            self.block.outputs.append(name)

    def operation(
        self, kind: str, name: str, shape: Sequence[int], inputs: Mapping[str, Any], *, dtype: str = "float32",
        attributes: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        made = self.block.operations.add(type=kind)
        self._type(made.outputs.add(name=name).type, dtype, shape)
        for key, value in inputs.items():
            for one in value if isinstance(value, list) else [value]:
                binding = next((e for e in made.inputs if e.key == key), None) or made.inputs.add(key=key)
                bound = binding.value.arguments.add()
                if isinstance(one, str) and not one.startswith("="):
                    bound.name = one
                else:
                    self._value(bound.value, one)
        for key, value in (attributes or {}).items():
            self._value(made.attributes.add(key=key).value, value)
        return name

    def _type(self, target: Any, dtype: str, shape: Sequence[int]) -> None:
        target.tensorType.dataType = CODES[dtype]
        target.tensorType.rank = len(shape)
        for size in shape:
            target.tensorType.dimensions.add().constant.size = size

    def _value(self, target: Any, value: Any) -> None:
        if isinstance(value, str):
            target.type.tensorType.dataType = 2
            target.immediateValue.tensor.strings.values.append(value.removeprefix("="))
            return
        array = np.asarray(value)
        array = array.astype({"int64": "int32", "float64": "float32"}.get(str(array.dtype), array.dtype))
        dtype = str(array.dtype)
        self._type(target.type, dtype, array.shape)
        if dtype in BLOB_CODES and array.size > 8:
            target.blobFileValue.fileName, target.blobFileValue.offset = (
                "@model_path/weights/weight.bin",
                self._put(array),
            )
        elif dtype in _FIELDS:
            getattr(target.immediateValue.tensor, _FIELDS[dtype]).values.extend(array.reshape(-1).tolist())
        else:
            target.immediateValue.tensor.bytes.values = array.tobytes()

    def _put(self, array: Array) -> int:
        self.blob.extend(bytes(-len(self.blob) % 64))
        offset = len(self.blob)
        self.blob += struct.pack("<IIQQ", 0xDEADBEEF, BLOB_CODES[str(array.dtype)], array.nbytes, offset + 64) + bytes(
            40
        )
        self.blob += array.tobytes()
        return offset

    def save(self, path: Path) -> Path:
        write_package(path, self.model.SerializeToString(), bytes(self.blob))
        return path


def write_package(path: Path, model: bytes, blob: bytes) -> None:
    """The folder of an .mlpackage."""
    data = path / "Data" / "com.apple.CoreML"
    (data / "weights").mkdir(parents=True, exist_ok=True)
    (data / "model.mlmodel").write_bytes(model)
    (data / "weights" / "weight.bin").write_bytes(blob)
    entry = {"path": "com.apple.CoreML/model.mlmodel"}
    (path / "Manifest.json").write_text(json.dumps({"itemInfoEntries": {"A": entry}, "rootModelIdentifier": "A"}))


def small_program(kernel: Array, matrix: Array, *, dtype: str = "float32") -> ProgramWriter:
    """A picture (6, 6) -> convolution -> ReLU -> largest of 2 x 2 -> a row -> linear -> a vector of unit length."""
    writer, outputs = ProgramWriter(), kernel.shape[0]
    writer.input("image", (1, 3, 6, 6), image=True)
    writer.operation("mul", "scaled", (1, 3, 6, 6), {"x": "image", "y": np.float32(1 / 128)})
    writer.operation("cast", "low", (1, 3, 6, 6), {"x": "scaled", "dtype": "=fp16" if dtype == "float16" else "=fp32"},
                     dtype=dtype)  # fmt: skip
    writer.operation("const", "kernel", kernel.shape, {}, dtype=dtype, attributes={"val": kernel.astype(dtype)})
    writer.operation("conv", "conv", (1, outputs, 4, 4), {"x": "low", "weight": "kernel", "pad_type": "=valid"},
                     dtype=dtype)  # fmt: skip
    writer.operation("relu", "relu", (1, outputs, 4, 4), {"x": "conv"}, dtype=dtype)
    pooling = {"x": "relu", "kernel_sizes": [np.array([2, 2])], "strides": [np.array([2, 2])], "pad_type": "=valid"}
    writer.operation("max_pool", "pool", (1, outputs, 2, 2), pooling, dtype=dtype)
    writer.operation("reshape", "row", (1, outputs * 4), {"x": "pool", "shape": [np.array([1, outputs * 4])]},
                     dtype=dtype)  # fmt: skip
    writer.operation("linear", "vector", (1, len(matrix)), {"x": "row", "weight": matrix.astype(dtype)}, dtype=dtype)
    writer.operation("cast", "wide", (1, len(matrix)), {"x": "vector", "dtype": "=fp32"})
    writer.operation("reduce_sum_square", "sum", (1, 1),
                     {"x": "wide", "axes": [np.array([1])], "keep_dims": np.bool_(True)})  # fmt: skip
    writer.operation("rsqrt", "inverse", (1, 1), {"x": "sum", "epsilon": np.float32(1e-10)})
    writer.operation("mul", "embedding", (1, len(matrix)), {"x": "wide", "y": "inverse"})
    writer.output("embedding")
    return writer


def small_network(kernel: Array, matrix: Array) -> Any:
    """The same net as layers of a NeuralNetwork; the message, to be saved or spoilt."""
    model = messages()["Model"](specificationVersion=4)
    image = model.description.input.add(name="image").type.imageType
    image.height, image.width, image.colorSpace = 6, 6, RGB
    model.description.output.add(name="embedding")
    network = model.neuralNetwork
    network.arrayInputShapeMapping = network.imageInputShapeMapping = 1
    network.preprocessing.add(featureName="image").scaler.channelScale = 1 / 128

    def layer(name: str, source: str) -> Any:
        made = network.layers.add(name=name)
        made.input.append(source)
        made.output.append(name)
        return made

    convolution = layer("conv", "image").convolution
    convolution.outputChannels, convolution.kernelChannels, convolution.nGroups = len(kernel), 3, 1
    convolution.kernelSize.extend(kernel.shape[2:])
    convolution.valid.SetInParent()
    convolution.weights.floatValue.extend(kernel.reshape(-1).tolist())
    layer("relu", "conv").activation.ReLU.SetInParent()
    pooling = layer("pool", "relu").pooling
    pooling.kernelSize.extend([2, 2])
    pooling.stride.extend([2, 2])
    pooling.includeLastPixel.SetInParent()
    layer("row", "pool").reshapeStatic.targetShape.extend([1, len(kernel) * 4])
    inner = layer("vector", "row").innerProduct
    inner.outputChannels, inner.inputChannels = matrix.shape
    inner.weights.floatValue.extend(matrix.reshape(-1).tolist())
    total = layer("sum", "vector").reduceSumSquare
    total.axes.append(1)
    total.keepDims = True
    inverse = layer("inverse", "sum").unary
    inverse.type, inverse.epsilon = 1, 1e-10
    product = layer("embedding", "vector")
    product.input.append("inverse")
    product.multiplyBroadcastable.SetInParent()
    return model


def small_weights(seed: int = 0) -> tuple[Array, Array]:
    """(kernel (5, 3, 3, 3), matrix (7, 20)), float32."""
    random = np.random.default_rng(seed)
    return random.normal(0, 1, (5, 3, 3, 3)).astype(np.float32), random.normal(0, 1, (7, 20)).astype(np.float32)


def by_hand(picture: Array, kernel: Array, matrix: Array) -> Array:
    """What the small net gives, by plain loops in float64."""
    pixels = picture.astype(np.float64).transpose(2, 0, 1) / 128
    convolved = np.array(
        [[[np.sum(pixels[:, y : y + 3, x : x + 3] * taps) for x in range(4)] for y in range(4)] for taps in kernel]
    )
    rectified = np.maximum(convolved, 0)
    pooled = np.array([[[plane[y : y + 2, x : x + 2].max() for x in (0, 2)] for y in (0, 2)] for plane in rectified])
    vector = matrix.astype(np.float64) @ pooled.reshape(-1)
    return np.asarray(vector / np.linalg.norm(vector))

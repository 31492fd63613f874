"""Recognise ONNX detectors by the names and shapes of their inputs and outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceall.caffe.onnx_schema import messages
from faceall.detect.single_shot.anchor_free import STRIDES, Candidates, ScrfdLevel, decode_scrfd, decode_yunet
from faceall.errors import NetFormatError
from faceall.types import Float32Array

_YUNET_OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
_VALUES = {"score": 1, "box": 4, "landmarks": 10}


@dataclass(frozen=True)
class DetectorGraph:
    """What faceall needs to know of an ONNX detector.

    Attributes
    ----------
    family : str
        "yunet" or "scrfd".
    input_name : str
        Name of the input (1, 3, H, W).
    input_size : (int, int) or None
        Width and height if they are fixed, None if any multiple of 32 is accepted.
    outputs : tuple of str
        Names of the outputs, in their order.
    levels : tuple of ScrfdLevel
        The output levels of SCRFD; empty for YuNet.
    """

    family: str
    input_name: str
    input_size: tuple[int, int] | None
    outputs: tuple[str, ...]
    levels: tuple[ScrfdLevel, ...] = ()

    @property
    def channels(self) -> str:
        """The order of the colour channels, "BGR" or "RGB"."""
        return "BGR" if self.family == "yunet" else "RGB"

    @property
    def mean_and_scale(self) -> tuple[float, float]:
        """The standardisation: (pixel - mean) * scale."""
        return (0.0, 1.0) if self.family == "yunet" else (127.5, 1 / 128)

    def decode(self, outputs: Mapping[str, Float32Array], width: int, height: int, min_score: float) -> Candidates:
        """Decode the outputs of the net for an input of that size."""
        if self.family == "yunet":
            return decode_yunet(outputs, width, height, min_score)
        return decode_scrfd(outputs, self.levels, width, height, min_score)


def recognise_graph(data: bytes) -> DetectorGraph | None:
    """Recognise a face detector.

    Parameters
    ----------
    data : bytes
        The content of an ONNX file.

    Returns
    -------
    DetectorGraph or None
        None if the file is a valid ONNX file but not a detector that faceall can decode.

    Raises
    ------
    NetFormatError
        If the bytes are not an ONNX file.
    """
    graph = _parse(data).graph
    constants = {item.name for item in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in constants]
    outputs = tuple(entry.name for entry in graph.output)
    if len(inputs) != 1:
        return None
    size = _input_size(_shape(inputs[0]))
    name = inputs[0].name
    if set(_YUNET_OUTPUTS) == set(outputs):
        return DetectorGraph("yunet", name, size, outputs)
    levels = _scrfd_levels([(entry.name, _shape(entry)) for entry in graph.output])
    return DetectorGraph("scrfd", name, size, outputs, levels) if levels else None


def with_free_size(data: bytes) -> bytes:
    """Let a YuNet with a fixed input size accept any multiple of 32.

    OpenCV's zoo publishes YuNet for 640 x 640 pixels, but nothing in the graph depends on it: every reshape infers one
    of its sizes. Other files are returned as they are.

    Parameters
    ----------
    data : bytes
        The content of an ONNX file.

    Raises
    ------
    NetFormatError
        If the bytes are not an ONNX file.
    """
    found = recognise_graph(data)
    model = _parse(data)
    if found is None or found.family != "yunet" or found.input_size is None or not _infers_sizes(model.graph):
        return data
    for entry in model.graph.input:
        if entry.name == found.input_name:
            for axis, name in ((2, "height"), (3, "width")):
                entry.type.tensor_type.shape.dim[axis].Clear()
                entry.type.tensor_type.shape.dim[axis].dim_param = name
    for entry in model.graph.output:
        entry.type.tensor_type.shape.dim[1].Clear()
        entry.type.tensor_type.shape.dim[1].dim_param = f"{entry.name}_cells"
    model.graph.ClearField("value_info")
    return bytes(model.SerializeToString())


def _infers_sizes(graph: Any) -> bool:
    """Return whether the target shape of every reshape is constant and leaves one size open."""
    constants = {item.name: item for item in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    targets = [node.input[1] for node in graph.node if node.op_type == "Reshape" and len(node.input) > 1]
    return all(target in constants and -1 in _integers(constants[target]) for target in targets)


def _integers(tensor: Any) -> list[int]:
    """Return the values of an int64 tensor."""
    return [int(value) for value in tensor.int64_data or np.frombuffer(tensor.raw_data, "<i8")]


def _parse(data: bytes) -> Any:
    """Parse the file; raise NetFormatError if it is damaged."""
    from google.protobuf.message import DecodeError

    model = messages()["ModelProto"]()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise NetFormatError(f"is not an ONNX file ({error})") from error
    if not model.graph.node:
        raise NetFormatError("is not an ONNX file: it has no layers")
    return model


def _shape(entry: Any) -> list[int]:
    """Return the sizes of an input or output; 0 for an unknown size."""
    return [int(dimension.dim_value) for dimension in entry.type.tensor_type.shape.dim]


def _input_size(shape: list[int]) -> tuple[int, int] | None:
    """Return width and height if both are fixed."""
    return (shape[3], shape[2]) if len(shape) == 4 and shape[2] > 0 and shape[3] > 0 else None


def _scrfd_levels(outputs: list[tuple[str, list[int]]]) -> tuple[ScrfdLevel, ...]:
    """Group nine outputs by their last size, 1, 4 or 10; each kind is ordered by stride."""
    kinds: dict[int, list[str]] = defaultdict(list)
    for name, shape in outputs:
        kinds[shape[-1] if shape else 0].append(name)
    columns = [kinds[size] for size in _VALUES.values()]
    if len(outputs) != 3 * len(STRIDES) or any(len(column) != len(STRIDES) for column in columns):
        return ()
    return tuple(ScrfdLevel(stride, *names) for stride, *names in zip(STRIDES, *columns, strict=True))

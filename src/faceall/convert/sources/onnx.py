"""Read ONNX files: those that faceall wrote directly, all others through OpenVINO."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from google.protobuf.message import DecodeError

from faceall.caffe.net import Net
from faceall.caffe.onnx_schema import messages
from faceall.caffe.prototxt import message_of
from faceall.convert.sources.onnx_graph import FREE_SIZE, GraphReader
from faceall.convert.sources.onnx_operations import NODES
from faceall.convert.sources.openvino import open_openvino
from faceall.convert.sources.source import MANIFEST_KEY, Source, digests, read_note
from faceall.convert.sources.tensorflow.tensor_bundle import read_bytes
from faceall.errors import ModelError, NetError, NetFormatError, UnsupportedGraphError
from faceall.models import Manifest
from faceall.protobuf import MessageClass, build_messages

_PRODUCER = b"\x12\x07faceall"
"""The field of ONNX's ModelProto with the name of the program that wrote a file."""

_METADATA = {
    "Entry": """
        optional string key = 1
        optional string value = 2""",
    "ModelMetadata": "repeated Entry metadata_props = 14",
}
"""The fields of ONNX's ModelProto that `to_onnx` does not write."""

_DAMAGE = (KeyError, IndexError, ValueError, TypeError, OverflowError)


def open_onnx(path: Path, image_size: int | None = None) -> Source:
    """Read the net in an ONNX file: one that faceall wrote directly, any other through OpenVINO.

    Parameters
    ----------
    path : Path
        The file.
    image_size : int, optional
        Side of the images in pixels, for a file of another program that leaves it free.

    Raises
    ------
    NetFormatError
        If it is damaged.
    UnsupportedGraphError
        The message lists every node without a counterpart.
    """
    data = read_bytes(path)
    if _PRODUCER not in data[:64]:
        return open_openvino(path, "onnx", image_size)
    try:
        source = Source("onnx", path, path.stem, net=_own_net(path, data), files_sha256=digests([path]))
    except UnsupportedGraphError:  # a Normalize or a pool that rounds up, which are several nodes in ONNX
        source = open_openvino(path, "onnx", image_size or FREE_SIZE)
    try:
        return replace(source, manifest=_manifest(data, source.net))
    except (ModelError, DecodeError, *_DAMAGE) as error:
        raise NetFormatError(f"{path}: its metadata '{MANIFEST_KEY}' is damaged: {str(error)[:160]}") from error


def _own_net(path: Path, data: bytes) -> Net:
    """Read the net of a file that faceall wrote."""
    try:
        model = messages()["ModelProto"].FromString(data)
        if not model.graph.node:
            raise NetFormatError("it holds no net")
        net = GraphReader(model.graph, NODES).net()
        message_of(net)  # refuses options that are of another type than Caffe's
    except UnsupportedGraphError as error:
        raise UnsupportedGraphError(f"{path}: {error}") from error
    except (DecodeError, NetError, *_DAMAGE) as error:
        raise NetFormatError(f"{path}: the ONNX file is damaged: {str(error).splitlines()[0][:160]}") from error
    return net


@cache
def _metadata() -> dict[str, MessageClass]:
    return build_messages("faceall.onnx_metadata", _METADATA)


def _manifest(data: bytes, net: Net | None) -> Manifest | None:
    """Return the manifest in a file's metadata; None if there is none.

    Raises
    ------
    ModelError
        If it is not this net's.
    """
    for entry in _metadata()["ModelMetadata"].FromString(data).metadata_props:
        if entry.key == MANIFEST_KEY:
            manifest = read_note(entry.value)
            if net is None or manifest.input_blob not in net.inputs or manifest.output_blob not in net.outputs:
                raise ModelError(f"it is for a net from '{manifest.input_blob}' to '{manifest.output_blob}'")
            return manifest
    return None

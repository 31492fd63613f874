"""Open any file or folder with a net; its format is recognised by content, not by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from faceall.convert.sources.caffe import caffe_files, open_caffe_folder, open_caffemodel, open_prototxt
from faceall.convert.sources.keras.files import HDF5_MAGIC, ZIP_MAGIC
from faceall.convert.sources.keras.models import open_keras
from faceall.convert.sources.onnx import open_onnx
from faceall.convert.sources.openvino import open_openvino
from faceall.convert.sources.source import ACCEPTED, Source, digests
from faceall.convert.sources.tensorflow.checkpoint import is_checkpoint, open_checkpoint
from faceall.convert.sources.tensorflow.savedmodel import SAVED_MODEL, is_version, open_savedmodel
from faceall.convert.sources.tensorflow.table import TABLE_MAGIC
from faceall.convert.tensorflow.graphdef import read_graph
from faceall.errors import NetFormatError

_SUFFIXES = ("*.pb", "*.keras", "*.h5", "*.hdf5", "*.onnx", "*.xml", "*.tflite")
"""Files of a folder that may be its only net."""

_MOST_FIELDS = 200_000
"""Fields of a file's outermost message; one for each node of a graph."""

_KNOWN_ELSE = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"\x80\x02": "a pickle, which may run code when it is opened",
    b"\x80\x03": "a pickle, which may run code when it is opened",
    b"\x80\x04": "a pickle, which may run code when it is opened",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip archive; unpack it first",
}


def open_source(
    path: str | Path, *, output: str | None = None, signature: str | None = None, image_size: int | None = None
) -> Source:
    """Open a net from a file or a folder, in any of the formats of `ACCEPTED`.

    Parameters
    ----------
    output : str, optional
        The tensor that will be read, where it is not the usual one: its variables are read.
    signature : str, optional
        The signature of a SavedModel that has several.
    image_size : int, optional
        Side of the images in pixels, for an ONNX, OpenVINO, TFLite or training file that leaves it free.

    Raises
    ------
    NetFormatError
        If it is damaged or not a net. The message says what is accepted.
    ConvertError
        If it is a net that cannot be converted, or leaves the size of its images free and none is given.
    MissingDependencyError
        Without h5py for Keras files.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path, output, signature, image_size)
    if not path.exists():
        if is_checkpoint(path):
            return open_checkpoint(path, output=output)
        raise NetFormatError(f"{path}: there is no such file or folder")
    if not path.is_file():
        raise NetFormatError(f"{path}: is a device, a pipe or a socket; expected a file or a folder")
    if path.name == SAVED_MODEL or _looks_like_savedmodel(path):
        return open_savedmodel(path.parent, output=output, signature=signature)
    if ".data-" in path.name or _is_index(path) or _meta_graph(path):
        return open_checkpoint(path, output=output)
    return _opener(path, image_size)(path)


def _open_folder(folder: Path, output: str | None, signature: str | None, image_size: int | None) -> Source:
    if (folder / SAVED_MODEL).is_file():
        return open_savedmodel(folder, output=output, signature=signature)
    if versions := _versions(folder):
        return _open_version(folder, versions, output, signature)
    if is_checkpoint(folder):
        return open_checkpoint(folder, output=output)
    if any(caffe_files(folder)):
        return open_caffe_folder(folder, image_size)
    files = [file for suffix in _SUFFIXES for file in sorted(folder.glob(suffix))]
    if len(files) == 1:
        return open_source(files[0], output=output, image_size=image_size)
    found = ", ".join(file.name for file in files[:6]) or "no net"
    hint = "give the path of one" if files else f"expected {ACCEPTED}"
    raise NetFormatError(f"{folder}: the folder holds {found}; {hint}")


def _versions(folder: Path) -> list[Path]:
    """Return the versions of a SavedModel folder of TensorFlow Serving in their order: FOLDER/1, FOLDER/2."""
    found = [path.parent for path in folder.glob(f"*/{SAVED_MODEL}") if is_version(path.parent.name)]
    return sorted(found, key=lambda path: int(path.name))


def _open_version(folder: Path, versions: list[Path], output: str | None, signature: str | None) -> Source:
    source = open_savedmodel(versions[-1], output=output, signature=signature)
    listed = ", ".join(path.name for path in versions[-6:])
    remarks = (f"versions {listed}: using the newest, {versions[-1].name}",) if len(versions) > 1 else ()
    return replace(source, path=folder, name=folder.name or source.name, remarks=(*remarks, *source.remarks))


def _opener(path: Path, image_size: int | None) -> Callable[[Path], Source]:
    """Return the reader of a file, chosen by its first bytes and its fields."""
    start = _start(path)
    if not start:
        raise NetFormatError(f"{path}: the file is empty; expected {ACCEPTED}")
    if start.startswith((HDF5_MAGIC, ZIP_MAGIC)):
        return open_keras
    for magic, what in _KNOWN_ELSE.items():
        if start.startswith(magic):
            raise NetFormatError(f"{path}: this is {what}; expected {ACCEPTED}")
    if start[4:8] == b"TFL3":
        return partial(open_openvino, kind="tflite", image_size=image_size)
    if _is_text(start):
        return _text_opener(path, start, image_size)
    fields = _fields(path)
    if path.suffix == ".bin" and path.with_suffix(".xml").is_file():
        return partial(_open_weights, image_size=image_size)
    if path.suffix == ".onnx" or ((1, 0) in fields and (7, 2) in fields and (1, 2) not in fields):
        return partial(open_onnx, image_size=image_size)
    if (100, 2) in fields or path.suffix == ".caffemodel":
        return partial(open_caffemodel, image_size=image_size)
    if (1, 2) in fields or path.suffix == ".pb":
        return _open_frozen
    suffixes: dict[str, Callable[[Path], Source]] = {".keras": open_keras, ".h5": open_keras, ".hdf5": open_keras}
    if path.suffix in suffixes:
        return suffixes[path.suffix]
    raise NetFormatError(f"{path}: no net, or a damaged one; expected {ACCEPTED}")


def _open_weights(path: Path, image_size: int | None) -> Source:
    """Open an OpenVINO model by its file of weights."""
    return open_source(path.with_suffix(".xml"), image_size=image_size)


def _open_frozen(path: Path) -> Source:
    graph = read_graph(path)
    return Source("frozen graph", path, path.stem, graph, files_sha256=digests([path]))


def _text_opener(path: Path, start: bytes, image_size: int | None) -> Callable[[Path], Source]:
    if path.suffix == ".prototxt" or re.search(rb"^\s*(layers?|input)\s*[:{]", start, re.MULTILINE):
        return partial(open_prototxt, image_size=image_size)
    if re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<net\b", start, re.DOTALL):
        return partial(open_openvino, kind="openvino", image_size=image_size)
    if b"node {" in start or b"node{" in start:
        return _open_frozen  # says that it wants the binary form
    raise NetFormatError(f"{path}: this is a text that is no prototxt; expected {ACCEPTED}")


def _start(path: Path, count: int = 4096) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise NetFormatError(f"{path}: cannot be read: {error.strerror}") from error


def _is_text(start: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in start)


def _is_index(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - len(TABLE_MAGIC)))
            return file.read() == TABLE_MAGIC
    except OSError:
        return False


def _meta_graph(path: Path) -> bool:
    """Return whether a file is a checkpoint's graph: one description, one graph, and collections or signatures."""
    fields = _fields(path)
    others = fields[(3, 2)] + fields[(4, 2)] + fields[(5, 2)]
    return path.suffix == ".meta" or (
        fields[(1, 2)] == 1 and fields[(2, 2)] == 1 and others > 0 and (100, 2) not in fields
    )


def _looks_like_savedmodel(path: Path) -> bool:
    fields = _fields(path)
    return set(fields) == {(1, 0), (2, 2)} and (path.parent / "variables").is_dir()


def _fields(path: Path) -> Counter[tuple[int, int]]:
    """Count (field number, wire type) of a protocol-buffer message; return nothing for other files."""
    found: Counter[tuple[int, int]] = Counter()
    try:
        with path.open("rb") as file:
            size, count = file.seek(0, 2), 0
            file.seek(0)
            while file.tell() < size:
                tag = _varint(file.read)
                found[(tag >> 3, tag & 7)] += 1
                number = _varint(file.read) if tag & 7 in (0, 2) else 0
                file.seek({0: 0, 1: 8, 2: number, 5: 4}[tag & 7], 1)
                count += 1
                if file.tell() > size or count > _MOST_FIELDS:
                    return Counter()
    except (OSError, KeyError, ValueError, IndexError, OverflowError):
        return Counter()
    return found


def _varint(read: Callable[[int], bytes]) -> int:
    result = 0
    for shift in range(0, 64, 7):
        byte = read(1)[0]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result
    raise ValueError("a number of more than 64 bits")

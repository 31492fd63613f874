"""`Source`: a net as read from a file or folder of any format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from faceall.caffe.net import Net
from faceall.convert.budget import limited
from faceall.convert.tensorflow.graph import Graph
from faceall.convert.tensorflow.simplify import bind
from faceall.errors import ModelError, NetFormatError, UnsupportedGraphError
from faceall.models import CAFFEMODEL, PROTOTXT, Manifest, sha256_of

FileKind: TypeAlias = Literal["onnx", "openvino", "tflite"]
"""The kinds of sources that OpenVINO runs."""

SourceKind: TypeAlias = Literal[
    "frozen graph", "checkpoint", "variables", "savedmodel", "keras", "caffe", "onnx", "openvino", "tflite"
]

MANIFEST_KEY = "faceall.manifest"
"""The key of the manifest in the metadata of ONNX files."""

ACCEPTED = (
    "a frozen TensorFlow graph (.pb), a TensorFlow 1 checkpoint (folder or prefix with .index and .data, with or "
    "without .meta), a SavedModel folder, a Keras file (.keras, .h5), Caffe's prototxt with its caffemodel, an ONNX "
    "file, an OpenVINO model (.xml with its .bin), or a TFLite file"
)
"""The supported formats, for messages."""


@dataclass(frozen=True, eq=False)
class Source:
    """A net and its origin; it has either a graph or a net.

    input, output the names of the boundary's tensors where the format says them; None: to be found

    Parameters
    ----------
    kind : SourceKind
        The format.
    path : Path
        What was opened.
    name : str
        A name for the net, from the file's or the folder's.
    graph : Graph, optional
        TensorFlow's view, (N, H, W, C), its variables constants; its boundary is still open (see `bound`).
    net : Net, optional
        Caffe's view, (N, C, H, W).
    remarks : tuple[str, ...]
        What was chosen or is worth knowing, a sentence each.
    manifest : Manifest, optional
        What faceall noted in the file when it wrote it; None if there is nothing.
    files_sha256 : Mapping[str, str]
        The name of every file that was read -> its SHA-256.
    """

    kind: SourceKind
    path: Path
    name: str
    graph: Graph | None = None
    net: Net | None = None
    input: str | None = None
    output: str | None = None
    remarks: tuple[str, ...] = ()
    manifest: Manifest | None = None
    files_sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The identity of the source: the file's SHA-256, or that of the list of all files' where there are several."""
        if len(self.files_sha256) == 1:
            return next(iter(self.files_sha256.values()))
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.files_sha256.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def bound(self, *, input: str | None = None, output: str | None = None) -> Graph:
        """Return the graph between its input and its output, ready for `translate`.

        Raises
        ------
        UnsupportedGraphError
            If the boundary cannot be found, or where the source is no graph.
        """
        if self.graph is None:
            raise UnsupportedGraphError(f"{self.path}: a {self.kind} source is a net already; it has no graph")
        try:
            with limited():
                return bind(self.graph, input=input or self.input, output=output or self.output)
        except (UnsupportedGraphError, NetFormatError) as error:
            raise type(error)(f"{self.path}: {error}") from error


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file by its name.

    Raises
    ------
    NetFormatError
        If a file cannot be read.
    """
    try:
        return {path.name: sha256_of(path) for path in paths}
    except OSError as error:
        raise NetFormatError(f"{error.filename}: cannot be read: {error.strerror}") from error


def read_note(text: str | bytes) -> Manifest:
    """Read a manifest that faceall wrote into a file of another format; it lists no files.

    Raises
    ------
    ModelError
        As `Manifest.from_json` does.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the manifest is not JSON ({error})") from error
    if isinstance(values, dict):
        values["files"] = dict.fromkeys((PROTOTXT, CAFFEMODEL), "0" * 64)
    return replace(Manifest.from_json(json.dumps(values)), files={})

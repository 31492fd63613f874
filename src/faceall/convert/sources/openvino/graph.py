"""`OpenvinoGraph`: the operations of a file as OpenVINO reads it, in plain values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from faceall.convert.interpreter import module_command
from faceall.errors import NetFormatError
from faceall.types import Array

SIDE = 112
"""Height and width for which a file with a free image size is read if none is given, as most embedders have it."""

_WORKER = "faceall.convert.sources.openvino.worker"
_SECONDS = 10
"""The CPU seconds for reading any file, in addition to those by size."""
_SLOWEST = 20_000_000
"""The slowest expected reading, in bytes per second."""
_WAIT = 60
"""Additional seconds for a busy machine."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Parameters
    ----------
    key : str
        Unique in the graph; "KEY:0" is the node's first output.
    name : str
        OpenVINO's name.
    type : str
        OpenVINO's operation, as "Convolution".
    inputs : tuple of str
        The values that it reads, as "KEY:0".
    shapes : tuple of tuple of int
        The shape of each output, for a batch of one.
    attributes : mapping
        Its attributes as plain values.
    """

    key: str
    name: str
    type: str
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    attributes: Mapping[str, Any]

    @property
    def output(self) -> str:
        """The node's first output."""
        return f"{self.key}:0"


@dataclass(frozen=True, eq=False)
class OpenvinoGraph:
    """A graph.

    Parameters
    ----------
    nodes : tuple of Node
        In the order of execution.
    constants : mapping of str to array
        Value -> its array.
    inputs, outputs : mapping of str to str
        Value -> the file's name for it.
    free_size : bool
        Whether the file leaves the height or width of an input free; they are as given to `read_graph` here.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    free_size: bool

    @cached_property
    def reads(self) -> Counter[str]:
        """How often each value is read, by nodes and as an output."""
        return Counter(
            [*(value for node in self.nodes if node.type != "Result" for value in node.inputs), *self.outputs]
        )

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each value, for a batch of one."""
        return {f"{node.key}:{port}": shape for node in self.nodes for port, shape in enumerate(node.shapes)}


def read_graph(path: Path, side: int = SIDE) -> OpenvinoGraph:
    """Read an ONNX, OpenVINO IR (.xml) or TFLite file in a child process of limited time and memory.

    Parameters
    ----------
    path : Path
        The file.
    side : int
        Height and width of an input whose size the file leaves free.

    Raises
    ------
    NetFormatError
        If the file is damaged or OpenVINO cannot read it.
    """
    with tempfile.TemporaryDirectory(prefix="faceall-") as folder:
        result = Path(folder) / "graph.npz"
        _run_worker(path, result, side)
        try:
            with np.load(result, allow_pickle=False) as archive:
                return _parsed(json.loads(archive["graph"].tobytes()), archive)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise NetFormatError(f"{path}: OpenVINO's graph of the file is incomplete: damaged") from error


def _run_worker(path: Path, result: Path, side: int) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    seconds = (
        _SECONDS + sum(file.stat().st_size for file in (path, path.with_suffix(".bin")) if file.is_file()) // _SLOWEST
    )
    command = module_command(_WORKER, str(path.resolve()), str(result), str(seconds), str(side))
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_WAIT + 10 * seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise NetFormatError(f"{path}: OpenVINO cannot read the file in time: damaged") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else "reading it takes too long, too much memory, or ends the process"
        raise NetFormatError(f"{path}: OpenVINO cannot read the file: {reason[:200]}")


def _parsed(graph: Any, archive: Any) -> OpenvinoGraph:
    nodes = tuple(
        Node(
            item["key"],
            item["name"],
            item["type"],
            tuple(item["inputs"]),
            tuple(tuple(shape) for shape in item["shapes"]),
            item["attributes"],
        )
        for item in graph["nodes"]
    )
    constants = {node.output: archive[node.key] for node in nodes if node.type == "Constant"}
    inputs = {f"{item['key']}:0": item["name"] for item in graph["inputs"]}
    outputs = {item["value"]: item["name"] for item in graph["outputs"]}
    return OpenvinoGraph(nodes, constants, inputs, outputs, graph["free"])

"""`open_openvino`: an ONNX, OpenVINO IR or TFLite file as a net."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faceall.caffe.net import Net
from faceall.caffe.shapes import fit_weights
from faceall.convert.sources.openvino.activations import ACTIVATIONS
from faceall.convert.sources.openvino.arithmetic import ARITHMETIC, Writer
from faceall.convert.sources.openvino.arrangement import ARRANGEMENT
from faceall.convert.sources.openvino.builder import Builder, CannotReadError
from faceall.convert.sources.openvino.graph import SIDE, Node, OpenvinoGraph, read_graph
from faceall.convert.sources.openvino.lengths import LENGTHS
from faceall.convert.sources.openvino.products import PRODUCTS
from faceall.convert.sources.source import FileKind, Source, digests
from faceall.errors import ConvertError, FileOnlyError, NetError, NetFormatError, UnsupportedGraphError

OPERATIONS: Mapping[str, Writer] = {**ACTIVATIONS, **ARITHMETIC, **ARRANGEMENT, **LENGTHS, **PRODUCTS}
"""Every operation of OpenVINO that can be translated."""

_DAMAGE = (ArithmeticError, LookupError, TypeError, ValueError, StopIteration)


def open_openvino(path: Path, kind: FileKind, image_size: int | None = None) -> Source:
    """Read an ONNX, OpenVINO IR (.xml with its .bin) or TFLite file through OpenVINO.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        The format, as in `Source.kind`.
    image_size : int, optional
        Side of the images in pixels, for a file that leaves it free.

    Raises
    ------
    NetFormatError
        If the file is damaged or OpenVINO cannot read it.
    FileOnlyError
        If an operation has no counterpart in Caffe. The message lists them.
    ConvertError
        If the file leaves the size of its images free and none is given.
    """
    graph = read_graph(path, image_size or SIDE)
    if not graph.inputs or not graph.outputs:
        raise NetFormatError(f"{path}: the file holds no net: it has no input or no output")
    require_size(path, graph, image_size)
    try:
        net = translate(graph, path.stem)
        net = fit_weights(net)
    except UnsupportedGraphError as error:
        raise FileOnlyError(path, kind, str(error)) from error
    except (NetError, *_DAMAGE) as error:
        raise NetFormatError(f"{path}: the graph of the file is damaged: {str(error).splitlines()[0][:160]}") from error
    return Source(kind, path, path.stem, net=net, files_sha256=digests(files_of(path, kind)))


def files_of(path: Path, kind: FileKind) -> list[Path]:
    """Return the files of a source: an OpenVINO model may have its weights in a .bin."""
    weights = path.with_suffix(".bin")
    return [path, weights] if kind == "openvino" and weights.is_file() else [path]


def require_size(path: Path, graph: OpenvinoGraph, image_size: int | None) -> None:
    """Raise ConvertError if a file leaves the size of its images free and none is given."""
    if graph.free_size and image_size is None:
        raise ConvertError(
            f"{path}: the file leaves the size of its images free: give it with --image-size N ({SIDE} for most face "
            "embedders)"
        )


def translate(graph: OpenvinoGraph, name: str) -> Net:
    """Translate a graph into a net called `name`.

    Raises
    ------
    UnsupportedGraphError
        If an operation has no counterpart in Caffe. The message lists them.
    """
    builder = Builder(graph)
    needed = _needed(graph)
    problems = []
    for node in graph.nodes:
        if node.type == "Parameter":
            _declare(builder, node)
        elif node.type not in ("Constant", "Result") and node.key in needed:
            problems += _write(builder, node)
    if problems:
        raise UnsupportedGraphError(f"{len(problems)} operations have no counterpart in Caffe: {', '.join(problems)}")
    return builder.net(name)


def _needed(graph: OpenvinoGraph) -> set[str]:
    """Return the keys of the nodes that the outputs depend on."""
    found = {value.partition(":")[0] for value in graph.outputs}
    for node in reversed(graph.nodes):
        if node.key in found:
            found.update(value.partition(":")[0] for value in node.inputs)
    return found


def _declare(builder: Builder, node: Node) -> None:
    shape = node.shapes[0]
    last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
    blob_shape = (shape[0], shape[3], shape[1], shape[2]) if last else shape
    order = (0, 2, 3, 1) if last else tuple(range(len(shape)))
    builder.declare_input(node.output, builder.graph.inputs[node.output], blob_shape, order)


def _write(builder: Builder, node: Node) -> list[str]:
    """Translate one node; return what prevents it."""
    known = (builder.values, builder.lengths, builder.enlarged, builder.constants)
    if any(all(value not in table for table in known) for value in node.inputs):
        return []  # reads a value that has no counterpart itself
    if node.type not in OPERATIONS:
        return [f"'{node.name}' ({node.type})"]
    try:
        OPERATIONS[node.type](builder, node)
    except CannotReadError as error:
        return [f"'{node.name}' ({node.type}: {error})"]
    return []

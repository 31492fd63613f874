"""TensorFlow 1 checkpoints: a graph (.meta) with its variables (.index, .data), or the variables alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from faceall.convert.architectures.definitions import facenet_graph
from faceall.convert.architectures.weights import facenet_weights
from faceall.convert.budget import allowed_bytes, limited, require_few_fields
from faceall.convert.sources.source import Source, digests
from faceall.convert.sources.tensorflow.freeze import freeze
from faceall.convert.sources.tensorflow.functions import inline_calls
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.sources.tensorflow.tensor_bundle import Bundle, read_bytes
from faceall.convert.tensorflow.graph import Graph, node_of
from faceall.convert.tensorflow.graphdef import parse_graph
from faceall.errors import ConvertError, NetError, NetFormatError, UnsupportedGraphError

_STEP = re.compile(r"(\.ckpt)?-\d+$")


@dataclass(frozen=True)
class _Found:
    """A checkpoint's files: the prefix of its variables, its graph if there is one, remarks on the choice."""

    prefix: Path
    meta: Path | None
    remarks: tuple[str, ...]


def is_checkpoint(path: Path) -> bool:
    """Return whether `path` is a folder with checkpoints, the prefix of one, or one of its files."""
    if path.is_dir():
        return any(path.glob("*.index"))
    return path.suffix in (".index", ".meta") or ".data-" in path.name or Path(f"{path}.index").is_file()


def open_checkpoint(path: Path, *, output: str | None = None) -> Source:
    """Read a checkpoint, given by its folder, its prefix or one of its files.

    Parameters
    ----------
    output : str, optional
        The tensor that will be read; None: `embeddings`.

    Raises
    ------
    NetFormatError
        If it is damaged or incomplete.
    ConvertError
        If faceall does not know the net.
    """
    found = _find(path)
    with limited():
        bundle = Bundle(found.prefix)
    files = [bundle.index, *bundle.files]
    if found.meta is None:
        return _variables(path, found, bundle, files)
    data = read_bytes(found.meta)
    try:
        with limited(allowed_bytes(len(data))):
            graph = parse_graph(inline_calls(_graph_def(data)))
    except (NetFormatError, UnsupportedGraphError) as error:
        raise error.at(found.meta) from error
    graph = freeze_for(found.prefix, graph, bundle, output)
    name = found.prefix.name.removeprefix("model-")
    files_sha256 = digests([found.meta, *files])
    name = _STEP.sub("", name) or found.prefix.name
    return Source("checkpoint", path, name, graph, remarks=found.remarks, files_sha256=files_sha256)


def freeze_for(path: Path, graph: Graph, bundle: Bundle, output: str | None) -> Graph:
    """Return the graph with the variables that `output` needs; None: `embeddings`, or all that anything needs.

    Raises
    ------
    NetFormatError
        If a variable is missing or damaged.
    UnsupportedGraphError
        If the graph cannot be frozen.
    """
    wanted = [output.removesuffix(":0")] if output else [name for name in ("embeddings",) if name in graph.nodes]
    known = [name for name in wanted if node_of(name) in graph.nodes]
    try:
        return freeze(graph, bundle, known or _ends(graph), strict=bool(known))
    except NetError as error:
        raise error.at(path) from error


def _ends(graph: Graph) -> list[str]:
    """Return the nodes that compute a result: nothing reads them, and they are no bookkeeping."""
    bookkeeping = ("Assign", "Save", "Restore", "NoOp", "Merge", "Apply", "Summary", "IsInitialized", "Shard")
    ends = [name for name, readers in graph.readers.items() if not readers and graph.nodes[name].inputs]
    return [name for name in ends if not any(word in graph.nodes[name].op for word in bookkeeping)]


def _graph_def(data: bytes) -> bytes:
    require_few_fields(data)
    try:
        message = messages()["MetaGraphDef"].FromString(data)
    except DecodeError as error:
        raise NetFormatError("expected a checkpoint's graph (.meta), the bytes are damaged") from error
    if not message.graph_def:
        raise NetFormatError("expected a checkpoint's graph (.meta), it holds no graph")
    return bytes(message.graph_def)


def _variables(path: Path, found: _Found, bundle: Bundle, files: list[Path]) -> Source:
    """Build FaceNet from variables without a graph, with faceall's own definition of the net."""
    try:
        graph = facenet_graph(facenet_weights(bundle))
    except NetFormatError as error:
        raise error.at(found.prefix) from error
    except ConvertError as error:
        raise ConvertError(f"{found.prefix}: no .meta lies beside it, and {error}") from error
    remark = "no graph (.meta) lies beside the variables: put into faceall's own definition of Inception-ResNet-v1"
    name = _STEP.sub("", found.prefix.name.removeprefix("model-")) or found.prefix.name
    return Source("variables", path, name, graph, remarks=(*found.remarks, remark), files_sha256=digests(files))


def _find(path: Path) -> _Found:
    """Return the files that `path` stands for."""
    if path.is_dir():
        return _newest(path)
    if path.suffix == ".meta":
        return _beside(path)
    prefix = Path(re.sub(r"(\.index|\.data-\d+-of-\d+)$", "", str(path)))
    if not Path(f"{prefix}.index").is_file():
        raise NetFormatError(
            f"{prefix}: no checkpoint: there is no {prefix.name}.index; a folder or a prefix is wanted"
        )
    return _Found(prefix, _meta(prefix), ())


def _newest(folder: Path) -> _Found:
    prefixes = sorted((Path(str(file).removesuffix(".index")) for file in folder.glob("*.index")), key=_age)
    if not prefixes:
        raise NetFormatError(f"{folder}: no checkpoint: the folder holds no .index file")
    newest, remarks = prefixes[-1], []
    if len(prefixes) > 1:
        remarks.append(f"{len(prefixes)} checkpoints in the folder: using the newest, {newest.name}")
    remarks += [f"{file.name} lies in the folder, too; give its path to convert it" for file in folder.glob("*.pb")][:1]
    return _Found(newest, _meta(newest), tuple(remarks))


def _beside(meta: Path) -> _Found:
    """Return the newest checkpoint that belongs to a .meta file."""
    if not meta.is_file():
        raise NetFormatError(f"{meta}: cannot be read: there is no such file")
    stem = meta.name.removesuffix(".meta")
    prefixes = [Path(str(file).removesuffix(".index")) for file in meta.parent.glob("*.index")]
    mine = sorted(
        (prefix for prefix in prefixes if prefix.name == stem or _STEP.sub("", prefix.name) == stem), key=_age
    )
    if not mine:
        raise NetFormatError(f"{meta}: the variables are absent: there is no {stem}.index or {stem}.ckpt-N.index")
    remarks = (f"{len(mine)} checkpoints belong to it: using the newest, {mine[-1].name}",) if mine[1:] else ()
    return _Found(mine[-1], meta, remarks)


def _meta(prefix: Path) -> Path | None:
    """Return the graph of a checkpoint: PREFIX.meta, or the one without the step as facenet's releases have it."""
    names = (prefix.name, _STEP.sub("", prefix.name))
    return next((file for name in names if (file := prefix.with_name(f"{name}.meta")).is_file()), None)


def _age(prefix: Path) -> tuple[list[int], float]:
    """Return the sort key of a checkpoint: the numbers in its name (date, step), then the file's time."""
    numbers = [int(text) for text in re.findall(r"\d+", prefix.name)]
    return numbers, Path(f"{prefix}.index").stat().st_mtime

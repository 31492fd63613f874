"""TensorFlow's SavedModel folders, of TensorFlow 1 and 2: saved_model.pb and variables/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from faceall.convert.budget import allowed_bytes, limited, require_few_fields
from faceall.convert.sources.source import Source, digests, read_note
from faceall.convert.sources.tensorflow.checkpoint import freeze_for
from faceall.convert.sources.tensorflow.functions import inline_calls
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.sources.tensorflow.tensor_bundle import Bundle, read_bytes
from faceall.convert.tensorflow.graph import Graph, Node, node_of
from faceall.convert.tensorflow.graphdef import parse_graph
from faceall.convert.tensorflow.schema import BOOL
from faceall.errors import ModelError, NetFormatError, UnsupportedGraphError
from faceall.models import Manifest
from faceall.protobuf import Message

SAVED_MODEL = "saved_model.pb"
EXTRA, MANIFEST_FILE = "assets.extra", "manifest.json"
"""The folder, which TensorFlow ignores, and the file of the manifest in a SavedModel."""

STANDARDISED = "standardised"
"""The tensor in a SavedModel written by faceall that the net reads, behind decoding and standardisation."""

_DEFAULT = "serving_default"
_SERVE = "serve"
_NESTED: Any = {2: {1: {4: {}}, 5: {2: {1: {}, 2: {}}}}}  # meta graph -> tags; signatures -> inputs, outputs
_FLOAT = 1
_KINDS = {_FLOAT: "float32", 2: "float64", 3: "int32", 4: "uint8", 7: "text", 9: "int64", BOOL: "bool", 19: "float16"}
"""Data type -> its name in messages."""


def is_version(name: str) -> bool:
    """Return whether a folder's name is the number of a version, as TensorFlow Serving wants it."""
    return name.isascii() and name.isdecimal() and int(name) > 0


def open_savedmodel(folder: Path, *, output: str | None = None, signature: str | None = None) -> Source:
    """Read the SavedModel in `folder`.

    Parameters
    ----------
    output : str, optional
        The tensor that will be read; None: what the signature returns.
    signature : str, optional
        Which signature to take; None: `serving_default`, or the only one that takes images.

    Raises
    ------
    NetFormatError
        If it is damaged.
    UnsupportedGraphError
        If no signature takes images as numbers.
    """
    path = folder / SAVED_MODEL
    try:
        with limited(allowed_bytes(path.stat().st_size if path.is_file() else 0)):
            return _open(folder, output, signature)
    except (NetFormatError, UnsupportedGraphError) as error:
        raise error.at(path) from error


def _open(folder: Path, output: str | None, signature: str | None) -> Source:
    path = folder / SAVED_MODEL
    meta, remarks = _meta_graph(path)
    manifest = _manifest(folder)
    name, chosen, more = _signature(path, meta.signature_def, signature)
    source = _only(chosen.inputs, images=True)
    result = output or _only(chosen.outputs, images=False)
    if result is None and len(chosen.outputs) > 1:
        listed = ", ".join(f"{_tensor(info)} ({key})" for key, info in sorted(chosen.outputs.items()))
        raise UnsupportedGraphError(
            f"signature '{name}' has {len(chosen.outputs)} results; name one with --output-node: {listed}"
        ).at(path)
    files = [path]
    graph = _graph(path, meta)
    if source is None or node_of(source) not in graph.nodes:
        raise NetFormatError(f"the input of signature '{name}' is not in the graph: damaged").at(path)
    if manifest is not None:
        graph, source = _behind_standardising(path, graph, source)
    prefix = folder / "variables" / "variables"
    if Path(f"{prefix}.index").is_file():
        bundle = Bundle(prefix)
        files += [bundle.index, *bundle.files]
        graph = freeze_for(path, graph, bundle, result)
    return Source(
        "savedmodel",
        folder,
        folder.name or "savedmodel",
        graph,
        input=source,
        output=result,
        remarks=(*remarks, *more),
        manifest=manifest,
        files_sha256=digests(files),
    )


def read_signature(folder: Path, signature: str) -> tuple[Graph, dict[str, str], dict[str, str]]:
    """Read the graph of a SavedModel and the tensors of one signature.

    Raises
    ------
    NetFormatError
        If it is damaged.
    UnsupportedGraphError
        If it has no such signature.
    """
    path = folder / SAVED_MODEL
    meta, _ = _meta_graph(path)
    if signature not in meta.signature_def:
        raise UnsupportedGraphError(f"no signature '{signature}'; its signatures: {_listed(meta.signature_def)}").at(
            path
        )
    chosen = meta.signature_def[signature]
    inputs, outputs = ({key: _tensor(info) for key, info in side.items()} for side in (chosen.inputs, chosen.outputs))
    return _graph(path, meta), inputs, outputs


def _graph(path: Path, meta: Message) -> Graph:
    try:
        return parse_graph(inline_calls(meta.graph_def))
    except NetFormatError as error:
        raise error.at(path) from error


def _behind_standardising(path: Path, graph: Graph, images: str) -> tuple[Graph, str]:
    """Cut a graph written by faceall at the standardised images; return the graph and its input.

    Before   images -> Sub -> Mul (standardised) -> net
    After    standardised (Placeholder) -> net
    """
    if STANDARDISED not in graph.nodes:
        raise NetFormatError(f"has no tensor '{STANDARDISED}', though faceall wrote it: damaged").at(path)
    shape = graph.producer(images).attrs.get("shape")
    return graph.with_nodes([Node(STANDARDISED, "Placeholder", attrs={"dtype": _FLOAT, "shape": shape})]), STANDARDISED


def _manifest(folder: Path) -> Manifest | None:
    """Return the manifest that faceall wrote into the SavedModel, or None."""
    path = folder / EXTRA / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        return read_note(read_bytes(path))
    except ModelError as error:
        raise NetFormatError(str(error)).at(path) from error


def _meta_graph(path: Path) -> tuple[Message, tuple[str, ...]]:
    """Choose the graph for serving; return it and remarks on the choice."""
    try:
        data = read_bytes(path)
        require_few_fields(data, _NESTED)
        model = messages()["SavedModel"].FromString(data)
        metas = list(model.meta_graphs)
        tags = [sorted(meta.meta_info_def.tags) for meta in metas]
    except (DecodeError, UnicodeDecodeError, TypeError) as error:
        raise NetFormatError("the SavedModel is damaged").at(path) from error
    if not metas:
        raise NetFormatError("expected a SavedModel, it holds no graph: damaged or of another format").at(path)
    number = next((n for n, found in enumerate(tags) if found == [_SERVE]), 0)
    if len(metas) == 1:
        return metas[0], ()
    return metas[number], (f"{len(metas)} graphs in the SavedModel: using the one tagged {tags[number]}",)


def _signature(
    path: Path, signatures: Mapping[str, Message], wanted: str | None
) -> tuple[str, Message, tuple[str, ...]]:
    """Choose a signature; return its name, the signature, and remarks on the choice."""
    fitting = {name: item for name, item in sorted(signatures.items()) if _only(item.inputs, images=True)}
    if wanted is not None and wanted in signatures:
        fitting = {name: item for name, item in fitting.items() if name == wanted}
    if not fitting or (wanted is not None and wanted not in signatures):
        missing = f"no signature '{wanted}'" if wanted is not None and wanted not in signatures else ""
        reason = missing or "no signature that takes one batch of images as float32 (N, H, W, C)"
        raise UnsupportedGraphError(f"{reason}; its signatures: {_listed(signatures)}").at(path)
    tensors = {(_only(item.inputs, images=True), _only(item.outputs, images=False)) for item in fitting.values()}
    if len(tensors) > 1 and _DEFAULT not in fitting:
        raise UnsupportedGraphError(
            f"{len(fitting)} signatures take images; choose one with --signature: {_listed(fitting)}"
        ).at(path)
    name = _DEFAULT if _DEFAULT in fitting else next(iter(fitting))
    remark = f"signatures {', '.join(map(repr, fitting))}: '{name}' is used; choose another with --signature"
    return name, fitting[name], (remark,) if len(tensors) > 1 else ()


def _listed(signatures: Mapping[str, Message]) -> str:
    return ", ".join(f"'{name}' ({_described(item.inputs)})" for name, item in sorted(signatures.items())) or "none"


def _only(tensors: Mapping[str, Message], *, images: bool) -> str | None:
    """Return the tensor of the images, or of the result, if there is exactly one; a flag may be beside it."""
    found = {key: info for key, info in tensors.items() if info.dtype == _FLOAT and _fits(info, images)}
    others = [info for key, info in tensors.items() if key not in found and info.dtype != BOOL]
    if not images and "embeddings" in found:
        return _tensor(found["embeddings"])
    if len(found) != 1 or (images and others):
        return None
    return _tensor(next(iter(found.values())))


def _fits(info: Message, images: bool) -> bool:
    if not info.name:
        return False
    return not images or info.tensor_shape.unknown_rank or len(info.tensor_shape.dim) in (0, 4)


def _tensor(info: Any) -> str:
    return str(info.name).removesuffix(":0")


def _described(tensors: Mapping[str, Message]) -> str:
    return (
        ", ".join(f"{key}: {_KINDS.get(info.dtype, f'type {info.dtype}')}" for key, info in sorted(tensors.items()))
        or "no inputs"
    )

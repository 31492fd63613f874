"""TensorFlow's SavedModel folders, of TensorFlow 1 and 2: saved_model.pb and variables/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from faceall.convert.graph import node_of
from faceall.convert.graphdef import parse_graph
from faceall.convert.sources.bundle import Bundle, read_bytes
from faceall.convert.sources.checkpoint import freeze_for
from faceall.convert.sources.functions import inline_calls
from faceall.convert.sources.schema import messages
from faceall.convert.sources.source import Source, digests
from faceall.convert.tensorflow_schema import BOOL
from faceall.errors import NetFormatError, UnsupportedGraphError
from faceall.protobuf import Message

SAVED_MODEL = "saved_model.pb"
_DEFAULT = "serving_default"
_SERVE = "serve"
_FLOAT = 1


def open_savedmodel(folder: Path, *, output: str | None = None, signature: str | None = None) -> Source:
    """Read the SavedModel in `folder`.

    output     the tensor that will be asked for; None: what the signature returns
    signature  which signature to take; None: `serving_default`, or the only one that takes pictures
    Raises NetFormatError where it is damaged, UnsupportedGraphError where no signature takes pictures as numbers.
    """
    path = folder / SAVED_MODEL
    meta, remarks = _meta_graph(path)
    name, chosen, more = _signature(path, meta.signature_def, signature)
    source = _only(chosen.inputs, pictures=True)
    result = output or _only(chosen.outputs, pictures=False)
    files = [path]
    try:
        graph = parse_graph(inline_calls(meta.graph_def))
    except NetFormatError as error:
        raise NetFormatError(f"{path}: {error}") from error
    if source is None or node_of(source) not in graph.nodes:
        raise NetFormatError(f"{path}: the input of signature '{name}' is not in the graph: damaged")
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
        files_sha256=digests(files),
    )


def _meta_graph(path: Path) -> tuple[Message, tuple[str, ...]]:
    """The graph for serving, and what to say about the choice."""
    try:
        model = messages()["SavedModel"].FromString(read_bytes(path))
        metas = list(model.meta_graphs)
        tags = [sorted(meta.meta_info_def.tags) for meta in metas]
    except (DecodeError, UnicodeDecodeError, TypeError) as error:
        raise NetFormatError(f"{path}: the SavedModel is damaged") from error
    if not metas:
        raise NetFormatError(f"{path}: expected a SavedModel, it holds no graph: damaged or of another format")
    number = next((n for n, found in enumerate(tags) if found == [_SERVE]), 0)
    if len(metas) == 1:
        return metas[0], ()
    return metas[number], (f"{len(metas)} graphs in the SavedModel: the one tagged {tags[number]} was taken",)


def _signature(
    path: Path, signatures: Mapping[str, Message], wanted: str | None
) -> tuple[str, Message, tuple[str, ...]]:
    """The signature to take, and what to say about the choice."""
    fitting = {name: item for name, item in sorted(signatures.items()) if _only(item.inputs, pictures=True)}
    if wanted is not None and wanted in signatures:
        fitting = {name: item for name, item in fitting.items() if name == wanted}
    if not fitting or (wanted is not None and wanted not in signatures):
        held = ", ".join(f"'{name}' ({_spelled(item.inputs)})" for name, item in sorted(signatures.items())) or "none"
        missing = f"no signature '{wanted}'" if wanted is not None and wanted not in signatures else ""
        reason = missing or "no signature that takes one batch of pictures as float32 (N, H, W, C)"
        raise UnsupportedGraphError(f"{path}: {reason}; its signatures: {held}")
    name = _DEFAULT if _DEFAULT in fitting else next(iter(fitting))
    remark = f"signatures {', '.join(map(repr, fitting))}: '{name}' was taken"
    return name, fitting[name], (remark,) if len(fitting) > 1 else ()


def _only(tensors: Mapping[str, Message], *, pictures: bool) -> str | None:
    """The tensor that can be the pictures, or the result, where there is just one; a flag may stand beside it."""
    found = {key: info for key, info in tensors.items() if info.dtype == _FLOAT and _fits(info, pictures)}
    others = [info for key, info in tensors.items() if key not in found and info.dtype != BOOL]
    if not pictures and "embeddings" in found:
        return _tensor(found["embeddings"])
    if len(found) != 1 or (pictures and others):
        return None
    return _tensor(next(iter(found.values())))


def _fits(info: Message, pictures: bool) -> bool:
    if not info.name:
        return False
    return not pictures or info.tensor_shape.unknown_rank or len(info.tensor_shape.dim) in (0, 4)


def _tensor(info: Any) -> str:
    return str(info.name).removesuffix(":0")


def _spelled(tensors: Mapping[str, Message]) -> str:
    return ", ".join(f"{key}: type {info.dtype}" for key, info in sorted(tensors.items())) or "no inputs"

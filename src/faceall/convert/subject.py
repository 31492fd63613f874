"""What is being converted: a net with all that is known of it, whatever file it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from faceall.caffe.files import read_net
from faceall.caffe.net import Net
from faceall.caffe.shapes import fit_weights, infer_shapes
from faceall.convert.passes.simplify import BatchNormStyle, apply_batch_norm
from faceall.convert.sources import Source, open_source
from faceall.convert.tensorflow.facenet import INPUT_BLOB, OUTPUT_BLOB, Translation, translate
from faceall.errors import ConvertError, ModelError, NetError, UnsupportedGraphError
from faceall.models import (
    CAFFEMODEL,
    FACENET_CROP,
    MANIFEST,
    PROTOTXT,
    KnownModel,
    Manifest,
    ModelFolder,
    Standardisation,
    recognise,
)

StandardisationName: TypeAlias = Literal["fixed", "prewhiten", "none"]
"""What pixels need: (x - 127.5) / 128, each picture's own mean and deviation, or nothing, as the net does it itself."""

_RULES: Mapping[StandardisationName, Standardisation] = {
    "fixed": Standardisation(),
    "prewhiten": Standardisation(kind="prewhiten"),
    "none": Standardisation(mean=0.0, scale=1.0),
}

_LARGEST_SIDE = 1024

_NET_NAME = "embedder"
"""What the net of an unknown graph is called in its files."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A net to convert.

    net          what later steps work on; a pool that rounds down says so in its options
    original     the net as it was read, for a source that is a net; None for a graph
    translation  the net and its graph, for a source that is a graph; None for a net
    manifest     what the net needs and where it came from
    outputs      the blobs that are compared
    remarks      what was assumed or is worth knowing, a sentence each
    """

    net: Net
    original: Net | None
    translation: Translation | None
    manifest: Manifest
    outputs: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def open_subject(
    path: Path,
    *,
    batch_norm: BatchNormStyle = "fold",
    input: str | None = None,
    output: str | None = None,
    image_size: int | None = None,
    signature: str | None = None,
    standardisation: StandardisationName | None = None,
    name: str | None = None,
) -> Subject:
    """Read the source at `path`, of any kind; the options are those of `convert`.

    Raises NetFormatError, UnsupportedGraphError, ModelError or ConvertError, one line that names the file.
    """
    boundary = {"--input": input, "--output-node": output, "--image-size": image_size, "--signature": signature}
    if (path / MANIFEST).is_file() or _is_part_of_model(path):
        _refuse_boundary(path, boundary)
        return _open_model(path if path.is_dir() else path.parent, batch_norm, standardisation, name)
    source = open_source(path, output=output, signature=signature)
    if signature is not None and source.kind != "savedmodel":
        raise ConvertError(f"{path}: --signature: a {source.kind} source has none, only a SavedModel has; leave it out")
    if source.net is not None:
        _refuse_boundary(path, boundary)
        return _of_net(source, source.net, batch_norm, standardisation, name)
    graph, known = source.bound(input=input, output=output), recognise(source.sha256)
    net_name = Path(known.file_name).stem if known else _NET_NAME  # never the file's own: it would enter the bytes
    try:
        translation = translate(
            graph, name=net_name, batch_norm=batch_norm, image_size=image_size, floor_pool="round-mode"
        )
    except UnsupportedGraphError as error:
        raise UnsupportedGraphError(f"{path}: {error}") from error
    return _of_graph(source, translation, standardisation, name)


def _refuse_boundary(path: Path, boundary: Mapping[str, object]) -> None:
    """What names a part of a graph does nothing for a net that is whole."""
    if given := [option for option, value in boundary.items() if value is not None]:
        raise ConvertError(f"{path}: {' and '.join(given)}: for TensorFlow graphs alone, this is a net already")


def _of_graph(
    source: Source, translation: Translation, standardisation: StandardisationName | None, name: str | None
) -> Subject:
    path, known, net = source.path, recognise(source.sha256), translation.net
    size = _vector_size(net, OUTPUT_BLOB)
    if size is None:
        shape = infer_shapes(net)[OUTPUT_BLOB]
        raise ConvertError(
            f"{path}: the output is of shape {shape}, expected one vector per picture; name another with --output-node"
        )
    if source.manifest is not None:
        return _with_note(source, source.manifest, translation, standardisation, name)
    rule, remarks = _standardisation(known, standardisation, size, standardises_itself(net))
    measured = known if known and known.standardisation == rule else None  # other pixels give other distances
    manifest = Manifest(
        name=name or (known.model_name if known else _model_name(source.name, "facenet-")),
        embedding_size=size,
        input_size=_input_size(path, net, INPUT_BLOB),
        standardisation=rule,
        crop=FACENET_CROP,
        input_blob=INPUT_BLOB,
        output_blob=OUTPUT_BLOB,
        match_threshold=measured.match_threshold if measured else None,
        match_threshold_false_accept_rate=measured.match_threshold_false_accept_rate if measured else None,
        source=path.name,
        source_sha256=source.sha256,
        licence=known.licence if known else "",
        accuracy=measured.accuracy if measured else {},
    )
    return Subject(net, None, translation, manifest, (OUTPUT_BLOB,), source.remarks + remarks)


def _with_note(
    source: Source,
    note: Manifest,
    translation: Translation,
    standardisation: StandardisationName | None,
    name: str | None,
) -> Subject:
    """A graph that faceall wrote, with its manifest, whose blobs have other names now."""
    net = translation.net
    manifest = replace(_changed(note, standardisation, name), input_blob=INPUT_BLOB, output_blob=OUTPUT_BLOB)
    made = (manifest.embedding_size, manifest.input_size)
    if made != (_vector_size(net, OUTPUT_BLOB), _input_size(source.path, net, INPUT_BLOB)):
        raise ConvertError(f"{source.path}: the graph is not of the sizes that the manifest beside it says: damaged")
    return Subject(net, None, translation, manifest, (OUTPUT_BLOB,), source.remarks)


def _open_model(
    path: Path, batch_norm: BatchNormStyle, standardisation: StandardisationName | None, name: str | None
) -> Subject:
    folder = ModelFolder.open(path)
    folder.verify()
    net = _checked(path, read_net(folder.prototxt, folder.caffemodel))
    manifest = _changed(folder.manifest, standardisation, name)
    return Subject(apply_batch_norm(net, batch_norm), net, None, manifest, (manifest.output_blob,))


def _changed(manifest: Manifest, standardisation: StandardisationName | None, name: str | None) -> Manifest:
    """A manifest that was read, with what was chosen, without files."""
    rule = manifest.standardisation if standardisation is None else _RULES[standardisation]
    if rule != manifest.standardisation:  # other pixels give other vectors
        manifest = replace(manifest, match_threshold=None, match_threshold_false_accept_rate=None, accuracy={})
    return replace(manifest, name=name or manifest.name, standardisation=rule, files={})


def _is_part_of_model(path: Path) -> bool:
    """Whether a file is one of Caffe's two in a model folder, whose manifest says what they need."""
    if path.name not in (PROTOTXT, CAFFEMODEL):
        return False
    try:
        return path.name in Manifest.from_json((path.parent / MANIFEST).read_bytes()).files
    except (OSError, ModelError):
        return False  # there is none, or another program's


def _of_net(
    source: Source,
    net: Net,
    batch_norm: BatchNormStyle,
    standardisation: StandardisationName | None,
    name: str | None,
) -> Subject:
    """An embedder where the net makes one vector, else a detector."""
    path = source.path
    if len(net.inputs) != 1 or not net.outputs:
        raise ConvertError(f"{path}: the net has the inputs {', '.join(net.inputs) or 'none'}, expected one")
    net = _checked(path, net)
    (input_blob,) = net.inputs
    size = _vector_size(net, net.outputs[0]) if len(net.outputs) == 1 else None
    if source.manifest is not None:
        manifest = _changed(source.manifest, standardisation, name)
        if manifest.embedding_size != size:
            raise ConvertError(
                f"{path}: the net makes {size} numbers, the manifest in the file says otherwise: damaged"
            )
        return Subject(apply_batch_norm(net, batch_norm), net, None, manifest, net.outputs, source.remarks)
    rule, remarks = _standardisation(None, standardisation, size or 0, standardises_itself(net))
    manifest = Manifest(
        name=name or _model_name(source.name),
        kind="embedder" if size else "detector",
        embedding_size=size,
        input_size=_input_size(path, net, input_blob),
        standardisation=rule,
        crop=FACENET_CROP,
        input_blob=input_blob,
        output_blob=net.outputs[-1],
        source=path.name,
        source_sha256=source.sha256,
    )
    remarks = source.remarks + (remarks if size else ())
    return Subject(apply_batch_norm(net, batch_norm), net, None, manifest, net.outputs, remarks)


def _checked(path: Path, net: Net) -> Net:
    """The net, its weights in the shapes of new files. Raises NetError, which names the file, where they do not fit."""
    try:
        return fit_weights(net)
    except NetError as error:
        raise type(error)(f"{path}: {error}") from error


def _vector_size(net: Net, blob: str) -> int | None:
    """How many numbers the vector in `blob`, (1, D) or (1, D, 1, 1), has; None where it holds none."""
    shape = infer_shapes(net)[blob]
    return shape[1] if len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1)) else None


def _input_size(path: Path, net: Net, blob: str) -> tuple[int, int]:
    """Width and height of the pictures that a net takes."""
    shape = net.inputs[blob]
    if len(shape) != 4 or shape[1] != 3:
        raise ConvertError(f"{path}: the net takes an input of shape {shape}, expected RGB pictures (1, 3, H, W)")
    if max(shape) > _LARGEST_SIDE:
        raise ConvertError(
            f"{path}: the net takes pictures of {shape[3]}x{shape[2]}, at most {_LARGEST_SIDE} a side fit"
        )
    return shape[3], shape[2]


def standardises_itself(net: Net) -> bool:
    """Whether the first thing that a net does to its pictures is to scale or shift them, as Keras's Rescaling does."""
    readers = [layer for layer in net.layers if set(layer.bottoms) & set(net.inputs)]
    if len(readers) != 1:
        return False
    (first,) = readers
    if first.type == "Power":
        return first.option("power") == 1 and (first.option("scale"), first.option("shift")) != (1, 0)
    return first.type == "Scale" and len(first.bottoms) == 1


def _standardisation(
    known: KnownModel | None, chosen: StandardisationName | None, size: int, by_net: bool
) -> tuple[Standardisation, tuple[str, ...]]:
    """What the pixels need: as chosen, as known, as the net shows, or guessed from the embedding's size.

    by_net  whether the net standardises its pictures itself
    """
    if chosen is not None:
        rule = _RULES[chosen]
        if known is None or known.standardisation == rule:
            return rule, ()
        return rule, (f"{known.name} was trained with {known.standardisation.kind}; {chosen} is used, as chosen",)
    if known is not None:
        return known.standardisation, (f"recognised: FaceNet {known.name}, trained on {known.trained_on}",)
    if by_net:
        remark = "the net rescales its pictures itself: pixels go in as they are; override with --standardisation"
        return _RULES["none"], (remark,)
    guess: StandardisationName = "prewhiten" if size == 128 else "fixed"
    spelled = {"fixed": "(x - 127.5) / 128", "prewhiten": "per-image prewhitening"}
    other = "fixed" if guess == "prewhiten" else "prewhiten"
    whose = (
        f"official FaceNet models with {size} numbers" if size in (128, 512) else "the newer official FaceNet models"
    )
    remark = f"unknown file: assumed {spelled[guess]}, as {whose} have it; override with --standardisation {other}"
    return _RULES[guess], (remark,)


def _model_name(name: str, prefix: str = "") -> str:
    """A name that a folder may have, from the source's."""
    return f"{prefix}{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-._') or 'model'}"[:128]

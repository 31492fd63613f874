"""Embedders that Caffe's formats cannot express: they are described, and run as their file has them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import get_args

from faceall.caffe.engines.openvino import import_openvino
from faceall.convert.options import SourceOptions
from faceall.convert.recipes import assumptions_of, recipe_for
from faceall.convert.sources import Source
from faceall.convert.sources.openvino.graph import SIDE, OpenvinoGraph, read_graph
from faceall.convert.sources.openvino.reader import files_of, require_size
from faceall.convert.sources.source import FileKind, digests
from faceall.errors import ConvertError, NetFormatError
from faceall.models import ONNX_FILE, OPENVINO_FILES, Manifest

RUNNABLE: tuple[FileKind, ...] = get_args(FileKind)
"""The kinds of sources that OpenVINO runs."""

CLOSED_TARGETS = "caffe, onnx, coreml, coreai, savedmodel and ios"
"""The targets of a conversion that an embedder without a form in Caffe does not have."""

LARGEST_SIDE = 1024
"""The largest side of an embedder's images in pixels."""

_SMALLEST_VECTOR = 16
"""The least dimensions of an embedding among several results; a net may also return its length or quality."""


@dataclass(frozen=True, eq=False)
class RunnableFile:
    """An embedder that runs as its file has it.

    Attributes
    ----------
    path : Path
        The file.
    kind : FileKind
        Its format.
    manifest : Manifest
        The model's description, without its files.
    remarks : tuple of str
        What was recognised or chosen, one sentence each.
    assumptions : mapping of str to str
        The parts of the input that are assumed without evidence, each with a sentence that says what is assumed.
    """

    path: Path
    kind: FileKind
    manifest: Manifest
    remarks: tuple[str, ...]
    assumptions: Mapping[str, str]


def open_runnable(path: Path, kind: FileKind, options: SourceOptions) -> RunnableFile:
    """Describe an ONNX, OpenVINO or TFLite embedder without translating it.

    Parameters
    ----------
    path : Path
        The file.
    kind : FileKind
        Its format, one of `RUNNABLE`.
    options : SourceOptions
        How it is read.

    Returns
    -------
    RunnableFile
        The embedder's description.

    Raises
    ------
    NetFormatError
        If the file is damaged.
    ConvertError
        If it is not an embedder of images, or the options do not suit it.
    """
    graph = read_graph(path, options.image_size or SIDE)
    require_size(path, graph, options.image_size)
    input_name, size = _image_input(path, graph)
    output, dimensions = _vector_output(path, graph, options.output)
    files = digests(files_of(path, kind))
    recipe = recipe_for(files.values(), None, options, dimensions)
    known = recipe.known
    manifest = Manifest(
        name=options.name or (known.name if known else model_name(path.stem)),
        embedding_size=dimensions,
        input_size=size,
        channels=recipe.channels,
        standardisation=recipe.standardisation,
        **recipe.framing(size),
        input_blob=input_name,
        output_blob=output,
        source=path.name,
        source_sha256=Source(kind, path, path.stem, files_sha256=files).sha256,
        licence=known.licence if known else "",
    )
    return RunnableFile(path, kind, manifest, recipe.remarks, assumptions_of(recipe))


def runnable_contents(file: RunnableFile, scratch: Path) -> dict[str, bytes | Path]:
    """Return the files of the model folder: an ONNX file as it is, other formats as OpenVINO's two files.

    Parameters
    ----------
    file : RunnableFile
        The embedder.
    scratch : Path
        A folder for files that have to be written first.

    Returns
    -------
    dict of str to bytes or Path
        File name -> contents, as `write_model_folder` takes them.

    Raises
    ------
    ConvertError
        If the files cannot be read or written.
    """
    openvino = import_openvino()
    core = openvino.Core()
    layers, weights = OPENVINO_FILES
    try:
        if file.kind == "onnx" and _stands_alone(core, file.path):
            return {ONNX_FILE: file.path}
        if file.kind == "openvino":
            shutil.copyfile(file.path, scratch / layers)
            shutil.copyfile(file.path.with_suffix(".bin"), scratch / weights)
        else:
            openvino.save_model(core.read_model(file.path), scratch / layers, compress_to_fp16=False)
    except (RuntimeError, OSError) as error:
        text = " ".join(str(error).split())[:200]
        raise ConvertError(f"{file.path}: cannot be made a model folder ({text})") from error
    return {layers: scratch / layers, weights: scratch / weights}


def _stands_alone(core: object, path: Path) -> bool:
    """Return whether an ONNX file holds its weights itself."""
    try:
        core.read_model(path.read_bytes())  # type: ignore[attr-defined]
    except RuntimeError:
        return False
    return True


def _image_input(path: Path, graph: OpenvinoGraph) -> tuple[str, tuple[int, int]]:
    """Return the name of the only input, and the width and height of its images."""
    if len(graph.inputs) != 1:
        raise ConvertError(f"{path}: the net has {len(graph.inputs)} inputs, expected one: images")
    ((value, name),) = graph.inputs.items()
    shape = graph.shapes[value]
    if len(shape) == 4 and shape[1] == 3:
        height, width = shape[2:]
    elif len(shape) == 4 and shape[3] == 3:
        height, width = shape[1:3]
    else:
        raise ConvertError(f"{path}: the net takes an input of shape {shape}, expected RGB images (1, 3, H, W)")
    if max(height, width) > LARGEST_SIDE:
        raise ConvertError(
            f"{path}: the net takes images of {width}x{height}, at most {LARGEST_SIDE} a side are supported"
        )
    return name, (width, height)


def _vector_output(path: Path, graph: OpenvinoGraph, wanted: str | None) -> tuple[str, int]:
    """Return the name and the dimensions of the result that is the embedding."""
    shapes = {label: graph.shapes[value] for value, label in graph.outputs.items()}
    if not shapes:
        raise NetFormatError(f"{path}: the file holds no net: it has no output")
    label = choose_output(path, shapes, wanted)
    shape = shapes[label]
    if max(shape) != prod(shape) or len(shape) < 2:
        raise ConvertError(f"{path}: the result '{label}' is of shape {shape}, expected one vector per image")
    return label, max(shape)


def choose_output(path: Path, shapes: Mapping[str, tuple[int, ...]], wanted: str | None) -> str:
    """Return the result of a file that is the embedding: as chosen, or the only one, or the only long vector.

    Raises
    ------
    ConvertError
        If there is no such result, or there are several.
    """
    listed = ", ".join(f"{label} {shape}" for label, shape in list(shapes.items())[:8])
    if wanted is not None:
        if wanted not in shapes:
            raise ConvertError(f"{path}: --output-node: there is no result '{wanted}'; the net has {listed}")
        return wanted
    vectors = [label for label, shape in shapes.items() if _SMALLEST_VECTOR <= max(shape) == prod(shape)]
    if len(shapes) == 1 or len(vectors) == 1:
        return next(iter(shapes)) if len(shapes) == 1 else vectors[0]
    raise ConvertError(f"{path}: the net has {len(shapes)} results, name the embedding with --output-node: {listed}")


def model_name(name: str, prefix: str = "") -> str:
    """Derive a valid model name from the source's."""
    return f"{prefix}{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-._') or 'model'}"[:128]

"""A file in, a model folder out: translate, compare, write."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.caffe.caffemodel import read_caffemodel, write_caffemodel
from faceall.caffe.net import Net
from faceall.caffe.prototxt import read_prototxt, write_prototxt
from faceall.caffe.shapes import infer_shapes
from faceall.convert.facenet import INPUT_BLOB, OUTPUT_BLOB, Translation, read_translation
from faceall.convert.net_passes import BatchNormStyle
from faceall.convert.parity import GATE, ParityReport, compare, random_pictures
from faceall.errors import ConvertError
from faceall.models import (
    CAFFEMODEL,
    FACENET_CROP,
    PROTOTXT,
    KnownModel,
    Manifest,
    ModelFolder,
    Standardisation,
    recognise,
    sha256_of,
    write_model_folder,
)
from faceall.types import Array

StandardisationName: TypeAlias = Literal["fixed", "prewhiten"]

RANDOM_PICTURES = 4
"""How many random pictures are compared where none are given."""


@dataclass(frozen=True)
class Conversion:
    """A finished conversion.

    folder   the model folder that was written
    report   how far its net is from the source
    remarks  what was assumed or is worth knowing, a sentence each
    """

    folder: ModelFolder
    report: ParityReport
    remarks: tuple[str, ...]


def convert(
    source: str | Path,
    directory: str | Path,
    *,
    batch_norm: BatchNormStyle = "fold",
    input: str | None = None,
    output: str | None = None,
    image_size: int | None = None,
    standardisation: StandardisationName | None = None,
    name: str | None = None,
    check: npt.NDArray[np.uint8] | None = None,
    expected: Array | None = None,
    engine: str | None = None,
    gate: float = GATE,
    stages: bool = False,
    replace_existing: bool = False,
) -> Conversion:
    """Convert the frozen TensorFlow graph `source` (.pb) into the model folder `directory`.

    batch_norm        "fold" into the layer before, or "keep" as BatchNorm and Scale
    input, output     names of the graph's boundary nodes; None: `input` and `embeddings`, or the only candidates
    image_size        the side of the pictures in pixels; None: what the graph says, else 160
    standardisation   what the pixels need; None: as the known file needs it, else a guess, which is remarked
    name              the model's name; None: from the file
    check             (n, H, W, 3) uint8, pictures to compare on; None: four random ones
    expected          (n, D) float32, what the source gives for `check`; None: the graph is run in NumPy
    engine            the engine that runs the net for the comparison; None: the default one
    gate              the largest allowed difference
    stages            whether the report covers every stage of the net, not the result alone
    replace_existing  whether a model that is in `directory` may be replaced

    Nothing is written unless the files, read back, pass the gate. Raises NetFormatError where the source is damaged,
    UnsupportedGraphError where something has no counterpart, ParityError above the gate, ModelError where the folder
    cannot be written.
    """
    path = Path(source)
    translation = read_translation(path, batch_norm=batch_norm, input=input, output=output, image_size=image_size)
    known = recognise(sha256_of(path))
    manifest, remarks = _describe(path, translation, known, standardisation, name)
    files = {PROTOTXT: write_prototxt(translation.net).encode(), CAFFEMODEL: write_caffemodel(translation.net)}
    pictures = _pictures(check, manifest)
    report = compare(
        translation,
        manifest.standardisation.apply(pictures),
        expected=expected if check is not None else None,
        engine=engine,
        gate=gate,
        net=_read_back(files),
        stages=stages,
    )
    report.require()
    folder = write_model_folder(directory, manifest, files, replace_existing=replace_existing)
    return Conversion(folder, report, remarks)


def _read_back(files: dict[str, Any]) -> Net:
    """The net in the bytes that are about to be written: what is compared is what a reader will get."""
    net = read_prototxt(files[PROTOTXT].decode())
    return replace(net, weights=read_caffemodel(files[CAFFEMODEL]))


def _describe(
    path: Path,
    translation: Translation,
    known: KnownModel | None,
    standardisation: StandardisationName | None,
    name: str | None,
) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest, and what was assumed for it."""
    shapes = infer_shapes(translation.net)
    _, channels, height, width = shapes[INPUT_BLOB]
    if channels != 3:
        raise ConvertError(f"{path}: the net takes pictures with {channels} channels, a face embedder takes 3 (RGB)")
    vector = shapes[OUTPUT_BLOB]
    if len(vector) != 2:
        raise ConvertError(
            f"{path}: the output is of shape {vector}, expected one vector per picture; name another with --output"
        )
    rule, remarks = _standardisation(known, standardisation, vector[1])
    manifest = Manifest(
        name=name or (known.model_name if known else _model_name(path)),
        embedding_size=vector[1],
        input_size=(width, height),
        standardisation=rule,
        crop=FACENET_CROP,
        input_blob=INPUT_BLOB,
        output_blob=OUTPUT_BLOB,
        source=path.name,
        source_sha256=sha256_of(path),
        licence=known.licence if known else "",
        accuracy=known.accuracy if known else {},
    )
    return manifest, remarks


def _standardisation(
    known: KnownModel | None, chosen: StandardisationName | None, size: int
) -> tuple[Standardisation, tuple[str, ...]]:
    """What the pixels need: as chosen, as known, or guessed from the embedding's size as the releases have it."""
    if chosen is not None:
        rule = Standardisation(kind=chosen)
        if known is None or known.standardisation.kind == chosen:
            return rule, ()
        return rule, (f"{known.name} was trained with {known.standardisation.kind}; {chosen} is used, as chosen",)
    if known is not None:
        return known.standardisation, (f"recognised: FaceNet {known.name}, trained on {known.trained_on}",)
    guess: StandardisationName = "prewhiten" if size == 128 else "fixed"
    spelled = {"fixed": "(x - 127.5) / 128", "prewhiten": "per-image prewhitening"}
    other = "fixed" if guess == "prewhiten" else "prewhiten"
    remark = (
        f"unknown file: assumed {spelled[guess]}, as official FaceNet models with {size} numbers have it; "
        f"override with --standardisation {other}"
    )
    if size not in (128, 512):
        remark = (
            f"unknown file: assumed {spelled[guess]}, as the newer official FaceNet models have it; "
            f"override with --standardisation {other}"
        )
    return Standardisation(kind=guess), (remark,)


def _model_name(path: Path) -> str:
    """A name that a folder may have, from the file's."""
    return f"facenet-{re.sub(r'[^A-Za-z0-9._-]+', '-', path.stem).strip('-.') or 'model'}"[:128]


def _pictures(check: npt.NDArray[np.uint8] | None, manifest: Manifest) -> npt.NDArray[np.uint8]:
    width, height = manifest.input_size
    if check is None:
        return random_pictures(RANDOM_PICTURES, (height, width, 3))
    if check.ndim != 4 or check.dtype != np.uint8 or check.shape[1:] != (height, width, 3) or not len(check):
        raise ConvertError(
            f"the pictures to compare on are {check.dtype} {check.shape}, expected uint8 (n, {height}, {width}, 3)"
        )
    return check

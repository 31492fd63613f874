"""The Core ML and Core AI models of a package, with their contract and golden vectors."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from faceall.caffe.files import read_net
from faceall.caffe.net import Net
from faceall.convert.parity.comparison import channels_first, run_net
from faceall.convert.parity.crops import default_crops
from faceall.convert.parity.report import ParityReport
from faceall.convert.targets.coreai import CoreaiOptions, coreai_parity, write_coreai
from faceall.convert.targets.coreml import (
    COSINE_MINIMA,
    CoremlOptions,
    Precision,
    coreml_parity,
    read_coreml,
    write_coreml,
)
from faceall.convert.targets.ios.template import tree_sha256
from faceall.convert.targets.plan import EMBEDDING, IMAGE, feature_name
from faceall.images import resize
from faceall.models import Manifest, ModelFolder, Standardisation
from faceall.types import Float32Array

CONTRACT, GOLDEN = "contract.json", "golden.json"
EMBEDDER, COREAI_EMBEDDER = "Embedder.mlpackage", "Embedder.aimodel"
NETS = ("proposal", "refinement", "output")
"""MTCNN's nets, in the order of the cascade."""

SCHEMA = 1

_SIDES = {"refinement": 24, "output": 48}
_COSINE_OF_FLOAT32 = 0.9999
"""The cosine that a phone has to reach for a float32 model: its processors may compute in float16."""


def write_detector(nets: Sequence[Net], folder: Path, minimum_ios: int | None) -> list[ParityReport]:
    """Write MTCNN's nets and compare each, as written, with its net.

    They are written in float32 at any precision of the embedder: together they have 2 MB, and so the phone finds the
    same faces as the server.

    Parameters
    ----------
    nets : sequence of Net
        The proposal, refinement and output net, with standardisation folded in; they take pixels 0..255.
    folder : Path
        The folder to write into.
    minimum_ios : int or None
        The oldest iOS. Default: the oldest possible.

    Returns
    -------
    list of ParityReport
        One report for each net.

    Raises
    ------
    ParityError
        If a net exceeds its tolerance.
    """
    options = CoremlOptions(input="array", minimum_ios=minimum_ios)
    reports = []
    for name, net in zip(NETS, nets, strict=True):
        path = folder / file_name(name)
        manifest = _detector_manifest(name, net)
        write_coreml(net, path, options, manifest=manifest)
        report = coreml_parity(net, path, _inputs(name), precision="float32", manifest=manifest)
        report.require()
        reports.append(replace(report, step=f"{name} net", inputs=default_crops((160, 160)).origin))
    return reports


def write_coreai_detector(nets: Sequence[Net], folder: Path) -> list[ParityReport]:
    """Write MTCNN's nets for Core AI and compare each, run by Apple's runtime, with its net.

    Parameters
    ----------
    nets : sequence of Net
        The nets, as of `write_detector`.
    folder : Path
        The folder to write into.

    Returns
    -------
    list of ParityReport
        One report for each net.

    Raises
    ------
    ParityError
        If a net exceeds its tolerance.
    """
    reports = []
    for name, net in zip(NETS, nets, strict=True):
        path, manifest = folder / file_name(name, ".aimodel"), _detector_manifest(name, net)
        write_coreai(net, path, CoreaiOptions(input="array"), manifest=manifest)
        report = coreai_parity(net, path, _inputs(name), precision="float32", manifest=manifest)
        report.require()
        origin = default_crops((160, 160)).origin
        reports.append(replace(report, step=f"{name} net, coreai", inputs=origin))
    return reports


def file_name(net: str, suffix: str = ".mlpackage") -> str:
    """Return the file name of one of MTCNN's nets in the package."""
    return f"{net.capitalize()}{suffix}"


def contract_json(
    model: ModelFolder,
    folder: Path,
    precision: Precision,
    *,
    detector: bool,
    coreai: CoreaiOptions | None = None,
    nets: Sequence[Net] = (),
) -> str:
    """Return the text of contract.json: the files, their inputs and outputs, and the embedder's fingerprint.

    Parameters
    ----------
    model : ModelFolder
        The embedder.
    folder : Path
        The folder with the models.
    precision : Precision
        The precision of the embedder in Core ML.
    detector : bool
        Whether the package has MTCNN.
    coreai : CoreaiOptions, optional
        How the models for Core AI were written, if there are some.
    nets : sequence of Net
        MTCNN's nets, for the names in their models for Core AI.
    """
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "fingerprint": model.fingerprint,
        "precision": precision,
        "embedder": _part(folder / EMBEDDER),
        "detector": {name: _part(folder / file_name(name)) for name in NETS} if detector else None,
        "manifest": json.loads(model.manifest.to_json()),
    }
    if coreai is not None:
        parts = {name: _coreai_net_part(folder, name, net) for name, net in zip(NETS, nets, strict=False)}
        values["coreai"] = {
            "precision": coreai.precision,
            "embedder": _named_part(folder / COREAI_EMBEDDER, IMAGE, EMBEDDING),
            "detector": parts if detector else None,
        }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def golden_json(model: ModelFolder, precision: Precision) -> str:
    """Return the text of golden.json: crops of a public-domain face, and their float32 embeddings."""
    crops = default_crops(model.manifest.input_size).crops
    net = read_net(model.prototxt, model.caffemodel)
    ordered = crops if model.manifest.channels == "RGB" else np.ascontiguousarray(crops[..., ::-1])
    images = model.manifest.standardisation.apply(ordered)
    vectors, _ = run_net(net, images, [model.manifest.output_blob], engine="reference")
    unit = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    values = {
        "gate": COSINE_MINIMA.get(precision, _COSINE_OF_FLOAT32),
        "crops": [
            {"width": crop.shape[1], "height": crop.shape[0], "values": base64.b64encode(crop.tobytes()).decode()}
            for crop in crops
        ],
        "vectors": unit.astype(np.float32).astype(np.float64).tolist(),
    }
    return json.dumps(values) + "\n"


def _part(path: Path) -> dict[str, Any]:
    """Return the entry of one model in the contract."""
    read = read_coreml(path)
    (source,), (result,) = read.inputs, read.outputs
    return _named_part(path, source, result)


def _coreai_net_part(folder: Path, name: str, net: Net) -> dict[str, Any]:
    """Return the entry of one of MTCNN's nets for Core AI in the contract."""
    (blob,), (output,) = net.inputs, net.outputs
    return _named_part(folder / file_name(name, ".aimodel"), feature_name(blob), feature_name(output))


def _named_part(path: Path, source: str, result: str) -> dict[str, Any]:
    return {"path": path.name, "input": source, "output": result, "sha256": tree_sha256(path)}


def _detector_manifest(name: str, net: Net) -> Manifest:
    (blob,), (output,) = net.inputs, net.outputs
    side = net.inputs[blob][-1]
    return Manifest(
        name=f"mtcnn-{name}",
        kind="detector",
        input_size=(side, side),
        standardisation=Standardisation(mean=0.0, scale=1.0),  # it is folded into the net
        input_blob=blob,
        output_blob=output,
        source="MTCNN (Zhang et al. 2016)",
        licence="MIT",
    )


def _inputs(name: str) -> Float32Array:
    """Return the images to compare a net on: faces at its input size, (n, 3, S, S) float32, 0..255."""
    crops = default_crops((160, 160)).crops
    side = _SIDES.get(name)
    if side is not None:
        crops = np.stack([resize(crop, (side, side)) for crop in crops])
    return channels_first(crops.astype(np.float32))

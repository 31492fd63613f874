"""The Core ML models of a package: written, compared, described."""

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
from faceall.convert.targets.coreml import COSINE_GATES, Precision, coreml_parity, read_coreml, write_coreml
from faceall.convert.targets.ios.template import tree_sha256
from faceall.images import resize
from faceall.models import Manifest, ModelFolder, Standardisation
from faceall.types import Float32Array

CONTRACT, GOLDEN = "contract.json", "golden.json"
EMBEDDER = "Embedder.mlpackage"
NETS = ("proposal", "refinement", "output")
"""MTCNN's nets, in the order in which they look."""

SCHEMA = 1

_SIDES = {"refinement": 24, "output": 48}
_COSINE_OF_FLOAT32 = 0.9999
"""What a phone's processors are allowed beside the float32 of a server: they compute in float16 where they like."""


def write_detector(nets: Sequence[Net], folder: Path, target: str | None) -> list[ParityReport]:
    """Write MTCNN's nets into `folder` and compare each, as it is written, with the net that it was written from.

    nets     proposal, refinement and output net, with standardisation folded in, pixels 0 .. 255
    target   the oldest iOS
    returns  a report each, in float32 at any precision of the embedder: all three have 2 MB, and the same places are
             taken for faces as on a server

    Raises ParityError where one misses its gate.
    """
    reports = []
    for name, net in zip(NETS, nets, strict=True):
        path = folder / file_name(name)
        manifest = _detector_manifest(name, net)
        write_coreml(net, path, manifest=manifest, input="array", target=target)
        report = coreml_parity(net, path, _looks(name), precision="float32", manifest=manifest)
        report.require()
        reports.append(replace(report, step=f"{name} net", inputs=default_crops((160, 160)).origin))
    return reports


def file_name(net: str) -> str:
    """What one of MTCNN's nets is called in the package."""
    return f"{net.capitalize()}.mlpackage"


def contract_json(model: ModelFolder, folder: Path, precision: Precision, *, detector: bool) -> str:
    """The text of contract.json: which files there are, what they take and give, and whose vectors they make."""
    values = {
        "schema": SCHEMA,
        "fingerprint": model.fingerprint,
        "precision": precision,
        "embedder": _part(folder / EMBEDDER),
        "detector": {name: _part(folder / file_name(name)) for name in NETS} if detector else None,
        "manifest": json.loads(model.manifest.to_json()),
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def golden_json(model: ModelFolder, precision: Precision) -> str:
    """The text of golden.json: crops of a face in the public domain, and their vectors in float32."""
    crops = default_crops(model.manifest.input_size).crops
    net = read_net(model.prototxt, model.caffemodel)
    ordered = crops if model.manifest.channels == "RGB" else np.ascontiguousarray(crops[..., ::-1])
    pictures = model.manifest.standardisation.apply(ordered)
    vectors, _ = run_net(net, pictures, [model.manifest.output_blob], engine="reference")
    unit = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    values = {
        "gate": COSINE_GATES.get(precision, _COSINE_OF_FLOAT32),
        "crops": [
            {"width": crop.shape[1], "height": crop.shape[0], "values": base64.b64encode(crop.tobytes()).decode()}
            for crop in crops
        ],
        "vectors": unit.astype(np.float32).astype(np.float64).tolist(),
    }
    return json.dumps(values) + "\n"


def _part(path: Path) -> dict[str, Any]:
    """One model in the contract."""
    read = read_coreml(path)
    (source,), (result,) = read.inputs, read.outputs
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


def _looks(name: str) -> Float32Array:
    """What a net of the cascade is compared on: a face, as large as the net sees it, (n, 3, S, S) float32 0 .. 255."""
    crops = default_crops((160, 160)).crops
    side = _SIDES.get(name)
    if side is not None:
        crops = np.stack([resize(crop, (side, side)) for crop in crops])
    return channels_first(crops.astype(np.float32))

"""`write_coreml`: a net becomes an .mlpackage or .mlmodel, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from faceall import errors
from faceall.caffe import Net, write_net
from faceall.convert.targets.coreml.options import SUFFIXES, CoremlOptions, Format, InputKind, Precision
from faceall.convert.targets.coreml.plan import EMBEDDING, IMAGE, is_embedder, make_plan
from faceall.errors import ConvertError
from faceall.files import make_folder, replacing
from faceall.models import Manifest

AUTHOR = "faceall"
MANIFEST_KEY = "faceall.manifest"
"""Where the model's manifest stands in the file's metadata, as JSON."""

_PATIENCE = 1800
"""How many seconds the writer may take; a large net takes about a minute."""


def write_coreml(
    net: Net,
    path: str | Path,
    *,
    manifest: Manifest | None = None,
    format: Format = "mlprogram",
    precision: Precision = "float32",
    input: InputKind = "image",
    target: str | None = None,
    unit_length: bool = True,
    author: str = AUTHOR,
) -> Path:
    """Write `net` for Core ML and return the path, which ends in .mlpackage or .mlmodel as the format wants it.

    manifest     what the model is and what its pixels need; its JSON travels in the file's metadata
    format       "mlprogram" (.mlpackage, iOS 15 on) or "neuralnetwork" (.mlmodel, iOS 13 on)
    precision    "float32"; "float16"; "int8", "palette8", "palette6": weights alone, the rest is float16
    input        "image": `image`, (H, W) pixels in RGB, standardised inside as the manifest says; "array": the net's
                 own inputs (1, C, H, W) float32, standardised already
    target       the oldest iOS to support, as "iOS16"; None: as old as format and precision allow
    unit_length  whether the vectors of an embedder are brought to length 1 where the net does not do it

    An embedder's result is `embedding`, (1, D); other nets keep the names of their blobs, with `_` for what Core ML
    has no letter for. What was at the path before is replaced. The same input gives the same bytes.

    Raises MissingDependencyError without coremltools, ConvertError where the options do not suit the net or the file
    cannot be written, UnsupportedLayerError and ShapeError as `infer_shapes` does.
    """
    options = CoremlOptions(format=format, precision=precision, input=input, target=target, unit_length=unit_length)
    target_path = Path(path)
    if target_path.suffix != SUFFIXES[format]:
        raise ConvertError(f"{target_path}: Core ML {format} files end in {SUFFIXES[format]}")
    plan = make_plan(net, options, manifest)
    metadata = {
        "author": author,
        "licence": manifest.licence if manifest else "",
        "description": _description(net, manifest),
        "more": _more(manifest, options),
        "features": _features(net, manifest, options, [*plan.outputs.values()]),
    }
    with tempfile.TemporaryDirectory(prefix="faceall-coreml-") as name:
        folder = Path(name)
        job = {"options": options.to_json(), "plan": plan.to_json(), "metadata": metadata}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        write_net(plan.net, folder / "net.prototxt", folder / "net.caffemodel")
        _run_worker(folder)
        _put(folder / f"model{SUFFIXES[format]}", target_path)
    return target_path


def _description(net: Net, manifest: Manifest | None) -> str:
    if manifest is None:
        return f"The net '{net.name}'."
    if manifest.kind == "detector":
        return f"Face detector '{manifest.name}'."
    return f"Face embedder '{manifest.name}': a face becomes {manifest.embedding_size} numbers of unit length."


def _more(manifest: Manifest | None, options: CoremlOptions) -> dict[str, str]:
    more: dict[str, str] = {"faceall.precision": options.precision}
    if manifest is not None:
        more |= {"faceall.source": manifest.source, MANIFEST_KEY: manifest.to_json()}
    return more


def _features(net: Net, manifest: Manifest | None, options: CoremlOptions, outputs: list[str]) -> dict[str, str]:
    features = dict.fromkeys(outputs, "A result of the net.")
    if is_embedder(net, manifest):
        features[EMBEDDING] = "The face as numbers; compare by squared distance."
    if options.input == "image":
        features[IMAGE] = "The picture in RGB as it is: colours are standardised inside."
    return features


def _run_worker(folder: Path) -> None:
    """Run the worker in a process of its own, with a fixed order of sets and with this faceall."""
    home = str(Path(errors.__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "faceall.convert.targets.coreml.worker", str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConvertError(f"writing Core ML took longer than {_PATIENCE} s and was stopped") from error
    except OSError as error:
        raise ConvertError(f"the writer of Core ML files cannot be started ({error.strerror})") from error
    refusal = folder / "error.json"
    if refusal.is_file():
        _raise(json.loads(refusal.read_text(encoding="utf-8")))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ConvertError(f"coremltools cannot write this net: {last[:500]}")


def _raise(refusal: Mapping[str, str]) -> None:
    kind = getattr(errors, refusal["kind"], ConvertError)
    raise kind(refusal["text"])


def _put(made: Path, target: Path) -> None:
    """Copy what the worker made to its place: folders 0755, files 0644."""
    try:
        make_folder(target.parent)
        with replacing(target) as draft:
            if made.is_dir():
                shutil.copytree(made, draft, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(made, draft)
            for part in [draft, *draft.rglob("*")]:
                part.chmod(0o755 if part.is_dir() else 0o644)
    except OSError as error:
        raise ConvertError(f"{target}: cannot be written ({error.strerror or error})") from error

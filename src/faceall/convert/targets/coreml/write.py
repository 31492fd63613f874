"""Write a net as an .mlpackage or .mlmodel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from faceall import errors, files
from faceall.caffe import Net, write_net
from faceall.convert.targets.coreml.options import SUFFIXES, CoremlOptions
from faceall.convert.targets.plan import EMBEDDING, IMAGE, is_embedder, make_plan
from faceall.errors import ConvertError
from faceall.models import Manifest

AUTHOR = "faceall"
MANIFEST_KEY = "faceall.manifest"
"""The metadata key of the model's manifest, stored as JSON."""

_TIMEOUT_S = 1800
"""The most seconds the worker may take; a large net takes about a minute."""


def write_coreml(
    net: Net,
    path: str | Path,
    options: CoremlOptions | None = None,
    *,
    manifest: Manifest | None = None,
    author: str = AUTHOR,
) -> Path:
    """Write a net for Core ML. The same input gives the same bytes.

    With the input "image" the model takes `image`, (H, W) RGB pixels that it standardises as the manifest says; with
    "array" it takes the net's own inputs, (1, C, H, W) float32. An embedder's output is `embedding`, (1, D); other nets
    keep the names of their blobs, with `_` for characters that Core ML does not allow.

    Parameters
    ----------
    net : Net
        The net to write.
    path : str or Path
        The .mlpackage or .mlmodel. What is there is replaced.
    options : CoremlOptions, optional
        Format, precision, input and oldest iOS. Default: an ML Program in float32 that takes images.
    manifest : Manifest, optional
        The model's description; needed for the input "image". It is stored in the file's metadata.
    author : str
        The author in the file's metadata.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    MissingDependencyError
        If coremltools is not installed.
    ConvertError
        If the options do not suit the net or the path, or the file cannot be written.
    UnsupportedLayerError
        If a layer type is unknown.
    ShapeError
        If the net's shapes do not fit together.
    """
    options, target = options or CoremlOptions(), Path(path)
    suffix = SUFFIXES[options.format]
    if target.suffix != suffix:
        raise ConvertError(f"{target}: Core ML {options.format} files end in {suffix}")
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
        _put_in_place(folder / f"model{suffix}", target)
    return target


def _description(net: Net, manifest: Manifest | None) -> str:
    if manifest is None:
        return f"The net '{net.name}'."
    if manifest.kind == "detector":
        return f"Face detector '{manifest.name}'."
    return f"Face embedder '{manifest.name}': a face becomes a {manifest.embedding_size}-dimensional unit vector."


def _more(manifest: Manifest | None, options: CoremlOptions) -> dict[str, str]:
    more: dict[str, str] = {"faceall.precision": options.precision}
    if manifest is not None:
        more |= {"faceall.source": manifest.source, MANIFEST_KEY: manifest.to_json()}
    return more


def _features(net: Net, manifest: Manifest | None, options: CoremlOptions, outputs: list[str]) -> dict[str, str]:
    features = dict.fromkeys(outputs, "An output of the net.")
    if is_embedder(net, manifest):
        features[EMBEDDING] = "The face's embedding; compare by squared distance."
    if options.input == "image":
        features[IMAGE] = "The RGB image as it is; pixels are standardised inside the model."
    return features


def _run_worker(folder: Path) -> None:
    """Run the worker in its own process, with a fixed hash seed and this faceall on its path."""
    home = str(Path(errors.__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "faceall.convert.targets.coreml.worker", str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConvertError(f"writing Core ML took longer than {_TIMEOUT_S} s and was stopped") from error
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


def _put_in_place(made: Path, target: Path) -> None:
    """Copy what the worker made to `target`, with modes that every program can read."""
    try:
        files.make_folder(target.parent)
        with files.replacing(target) as draft:
            shutil.copytree(made, draft) if made.is_dir() else shutil.copyfile(made, draft)
            for part in (draft, *draft.rglob("*")):
                part.chmod(0o755 if part.is_dir() else 0o644)
    except OSError as error:
        raise ConvertError(f"{target}: cannot be written ({error.strerror or error})") from error

"""Install ONNX detectors as model folders, and read them."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from faceall.arguments import checked
from faceall.detect.single_shot.onnx_file import DetectorGraph, recognise_graph, with_free_size
from faceall.errors import ModelDamagedError, ModelError, NetFormatError
from faceall.models import Manifest, ModelFolder, Standardisation, adopt, recognise_detector, write_model_folder

ONNX_FILE = "model.onnx"
"""Name of the net's file in the folder of a detector."""

_MAX_BYTES = 500_000_000
_DEFAULT_SIZE = (640, 640)  # stated in the manifest of a net that accepts any size


@checked
def is_detector_file(path: Path) -> bool:
    """Return whether a file is an ONNX face detector that `install_detector` accepts."""
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return False
    try:
        return recognise_graph(_read(path)) is not None
    except (ModelError, NetFormatError):
        return False


@checked
def install_detector(path: Path, *, replace: bool = False) -> ModelFolder:
    """Install an ONNX face detector (YuNet or a model of the SCRFD family) in the user's data folder.

    Known files get a short name (`yunet`); others are named after the file.

    Parameters
    ----------
    path : Path
        The ONNX file.
    replace : bool
        Replace an installed model with the same name.

    Returns
    -------
    ModelFolder
        The installed model.

    Raises
    ------
    ModelError
        If the file cannot be read, is not a supported detector, or the name is taken.
    """
    data = _read(path)
    try:
        graph = recognise_graph(with_free_size(data))
    except NetFormatError as error:
        raise ModelError(f"{path}: {error}") from error
    if graph is None:
        raise ModelError(f"{path}: is not a supported face detector; expected YuNet or SCRFD with landmarks")
    digest = hashlib.sha256(data).hexdigest()
    known = recognise_detector(digest)
    name = _clean_name(path.stem, graph.family) if known is None else known.model_name
    manifest = Manifest(
        name=name,
        kind="detector",
        input_size=graph.input_size or _DEFAULT_SIZE,
        channels="BGR" if graph.channels == "BGR" else "RGB",
        standardisation=Standardisation(mean=graph.mean_and_scale[0], scale=graph.mean_and_scale[1]),
        input_blob=graph.input_name,
        output_blob=graph.outputs[0],
        source=path.name,
        source_sha256=digest,
        licence="" if known is None else known.licence,
    )
    with tempfile.TemporaryDirectory(prefix="faceall-") as scratch:
        folder = write_model_folder(Path(scratch) / name, manifest, {ONNX_FILE: data})
        return adopt(folder, replace=replace)


def read_graph(model: ModelFolder) -> tuple[DetectorGraph, bytes]:
    """Read and verify the net of an installed detector.

    Returns
    -------
    (DetectorGraph, bytes)
        The description of the net and the content of its file. A YuNet with a fixed input size, as OpenCV's zoo
        publishes it, is returned with a variable one.

    Raises
    ------
    ModelDamagedError
        If the file is missing, changed or cannot be decoded.
    """
    model.verify()
    file = model.path / ONNX_FILE
    try:
        data = with_free_size(file.read_bytes())
        graph = recognise_graph(data)
    except (OSError, NetFormatError) as error:
        raise ModelDamagedError(f"{file}: cannot be read ({error}): import the model again") from error
    if graph is None:
        raise ModelDamagedError(f"{file}: is not a supported face detector: import the model again")
    return graph, data


def _read(path: Path) -> bytes:
    """Read a file of a reasonable size."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path}: is larger than {_MAX_BYTES:,} bytes, which no face detector is")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error


def _clean_name(stem: str, family: str) -> str:
    """Return a valid model name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-_")[:100]
    return name or family

"""Import a model file: convert it, determine its input, verify that it runs, and install it."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.arguments import checked
from faceall.caffe import get_engine, read_net
from faceall.caffe.engines import has_eight_bit_products
from faceall.convert import Conversion, ParityOptions, Reduction, SourceOptions, convert
from faceall.convert.budget import allowed_bytes
from faceall.convert.runnable import LARGEST_SIDE
from faceall.embed.nets import compile_model
from faceall.embed.quantisation import EightBitReport, add_eight_bit
from faceall.errors import ConvertError, FileOnlyError, ModelError
from faceall.install.as_file import closed, write_as_file
from faceall.install.faces import PeopleFaces, bundled_faces
from faceall.install.probing import ProbeReport, probe, require_decided, with_input
from faceall.models import MANIFEST, ModelFolder, adopt, write_model_folder

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Imported:
    """An installed model.

    Attributes
    ----------
    model : ModelFolder
        The installed model.
    conversion : Conversion or None
        How it was converted; None for a model folder that was copied.
    probe : ProbeReport or None
        The inputs that were tried, if a part was unknown.
    eight_bit : EightBitReport or None
        The layers in 8 bits, if they were measured.
    remarks : tuple of str
        What was recognised for a model without a conversion, and which targets of a conversion are closed to it.
    """

    model: ModelFolder
    conversion: Conversion | None = None
    probe: ProbeReport | None = None
    eight_bit: EightBitReport | None = None
    remarks: tuple[str, ...] = ()


@checked
def import_model(
    source: str | Path,
    *,
    reading: SourceOptions | None = None,
    parity: ParityOptions | None = None,
    reduction: Reduction | None = None,
    faces: PeopleFaces | None = None,
    eight_bit: bool = True,
    replace: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Install a model from a file or folder. If anything fails, nothing is installed.

    An ONNX, OpenVINO or TFLite embedder with an operation that Caffe does not have is installed as its file, and runs.

    Parameters
    ----------
    source : path
        A model folder, a zip with one frozen graph (.pb), or a source of `convert`.
    reading : SourceOptions, optional
        How the source is read. With any option a model folder is converted; without, it is copied.
    parity : ParityOptions, optional
        How the conversion is verified.
    reduction : Reduction, optional
        Make the embedding smaller.
    faces : PeopleFaces, optional
        Faces on which unknown parts of an embedder's input are tried. Default: the portraits in the package, which do
        not settle the channel order.
    eight_bit : bool
        Measure which layers can be computed in 8 bits, if the processor supports that.
    replace : bool
        Whether an installed model of the same name may be replaced.
    progress : callable, optional
        Called with the number of measurements done and the total.

    Returns
    -------
    Imported
        The installed model and how it was made.

    Raises
    ------
    ConvertError
        If the source cannot be converted, or a part of its input is unknown and the faces do not settle it.
    ModelError
        If the model does not run or cannot be installed.
    """
    path = Path(source)
    with tempfile.TemporaryDirectory(prefix="faceall-") as name:
        scratch = Path(name)
        opened = unpack_graph(path, scratch) if path.suffix.lower() == ".zip" else path
        conversion, tried = None, None
        remarks: tuple[str, ...] = ()
        if reading is None and parity is None and reduction is None and (opened / MANIFEST).is_file():
            model = ModelFolder.open(opened)
            model.verify()
        else:
            assumptions: Mapping[str, str]
            try:
                conversion = convert(opened, scratch / "model", reading=reading, parity=parity, reduction=reduction)
                model, assumptions = conversion.folder, conversion.assumptions
            except FileOnlyError as error:
                if reduction is not None:
                    raise
                model, file = write_as_file(error, reading or SourceOptions(), scratch)
                remarks, assumptions = (*file.remarks, closed(error, model)), file.assumptions
            if assumptions and model.manifest.kind == "embedder":
                model, tried = _with_probed_input(model, tuple(assumptions), faces or bundled_faces())
        _require_running(model)
        model, measured = _measured(model, eight_bit, scratch, progress)
        return Imported(adopt(model, replace=replace), conversion, tried, measured, remarks)


def unpack_graph(archive: Path, folder: Path) -> Path:
    """Unpack the one frozen graph of a zip into `folder`.

    Raises
    ------
    ConvertError
        If the zip cannot be unpacked or does not hold exactly one .pb file.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            graphs = [name for name in opened.namelist() if _is_graph(name)]
            if len(graphs) != 1:
                raise ConvertError(f"{archive}: holds {len(graphs)} .pb files, expected one")
            size, most = opened.getinfo(graphs[0]).file_size, allowed_bytes(archive.stat().st_size)
            if size > most:
                raise ConvertError(f"{archive}: {graphs[0]} declares {size:,} bytes, at most {most:,} are read")
            target = folder / Path(graphs[0]).name
            with opened.open(graphs[0]) as member, target.open("wb") as copy:
                shutil.copyfileobj(member, copy)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:  # Runtime: needs a password
        raise ConvertError(f"{archive}: cannot be unpacked ({error})") from error
    return target


def _is_graph(name: str) -> bool:
    """Return whether a file in a zip is a graph; macOS adds a metadata file for every file."""
    return name.lower().endswith(".pb") and "__MACOSX" not in name.split("/") and not Path(name).name.startswith("._")


def _with_probed_input(
    model: ModelFolder, unknown: tuple[str, ...], faces: PeopleFaces
) -> tuple[ModelFolder, ProbeReport]:
    """Try the unknown parts of the input and write the best into the manifest."""
    report = probe(model, unknown, faces)
    require_decided(report, model.manifest.source)
    best = report.best
    manifest = with_input(model.manifest, **best.parts)
    contents: dict[str, bytes | Path] = {name: (model.path / name).read_bytes() for name in manifest.files}
    return write_model_folder(model.path, manifest, contents, replace_existing=True), report


def _require_running(model: ModelFolder) -> None:
    """Run the net once. Raise ModelError unless it gives finite values of the stated size."""
    manifest = model.manifest
    width, height = manifest.input_size
    if max(width, height) > LARGEST_SIDE:
        raise ModelError(
            f"{manifest.name}: takes images of {width}x{height}, at most {LARGEST_SIDE} a side are supported; it is "
            "not installed"
        )
    if manifest.kind == "embedder":
        compiled = compile_model(model, get_engine())
    else:
        compiled = get_engine().compile(read_net(model.prototxt, model.caffemodel), [manifest.output_blob])
    result = compiled({manifest.input_blob: np.zeros((1, 3, height, width), np.float32)})[manifest.output_blob]
    if not np.isfinite(result).all():
        raise ModelError(f"{manifest.name}: the net gives values that are not finite; it is not installed")
    if manifest.embedding_size is not None and result.size != manifest.embedding_size:
        raise ModelError(
            f"{manifest.name}: the net gives {result.size} values, its manifest says {manifest.embedding_size}; it is "
            "not installed"
        )


def _measured(
    model: ModelFolder, wanted: bool, scratch: Path, progress: Progress | None
) -> tuple[ModelFolder, EightBitReport | None]:
    """Measure the layers that can be computed in 8 bits, if that is wanted, possible and not known yet."""
    if (
        not wanted
        or model.manifest.kind != "embedder"
        or model.net_file
        or model.ranges
        or not has_eight_bit_products()
    ):
        return model, None
    contents: dict[str, bytes | Path] = {name: model.path / name for name in model.manifest.files}
    draft = write_model_folder(scratch / "measured", model.manifest, contents)
    return add_eight_bit(draft, progress=progress)

"""`faceall convert`: write a model in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.models.conversion import ConversionChoices, Writing, conversion_options, run_conversion
from faceall_cli.console import Console, shown
from faceall_cli.options import output_options
from faceall_cli.records import parity_of

if TYPE_CHECKING:
    from faceall.convert import Conversion

_ONLY_FOR = {
    "precision": ("--precision", ("coreml", "coreai", "ios")),
    "input_kind": ("--input-kind", ("coreml", "coreai")),
    "minimum_ios": ("--minimum-ios", ("coreml", "ios")),
    "core_ai": ("--core-ai", ("ios",)),
    "floor_pool": ("--floor-pool", ("caffe",)),
    "bottleneck": ("--bottleneck", ("caffe",)),
}
"""Options that only some formats have."""

_SUFFIXES = {
    "caffe": "-caffe",
    "onnx": ".onnx",
    "coreml": ".mlpackage",
    "coreai": ".aimodel",
    "savedmodel": "-savedmodel",
    "ios": "-ios",
}
"""Format -> the end of the name of what is written without -o."""


@click.command()
@click.argument("source", metavar="SRC")
@click.option(
    "--to",
    "target",
    type=click.Choice(["caffe", "onnx", "coreml", "coreai", "savedmodel", "ios"]),
    default="caffe",
    show_default=True,
    help="The format: caffe, a model folder; onnx, one file for any batch size; coreml, for phones; coreai, for "
    "phones from iOS 27 on; savedmodel, a "
    "folder for TensorFlow Serving; ios, a Swift package with the models in it.",
)
@click.option(
    "-o",
    "--output",
    "destination",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The folder (caffe, savedmodel, ios) or file (onnx, coreml as .mlpackage or .mlmodel, coreai as .aimodel) to "
    "write. A file goes into PATH if that is a folder. DIR of a savedmodel gets DIR/1; a name as DIR/2 is that "
    "version. Default: a name beside SRC. The report is written beside it, as PATH.parity.json.",
)
@click.option(
    "--batch-norm",
    type=click.Choice(["fold", "keep"]),
    default="fold",
    show_default=True,
    help="Fold normalisation into the layer before, or keep it as BatchNorm and Scale.",
)
@click.option(
    "--floor-pool",
    type=click.Choice(["crop", "slice", "conv", "round-mode"]),
    default="crop",
    show_default=True,
    help="How a Caffe file expresses a pool that rounds down. crop and slice: for every Caffe and OpenCV 4; conv: by a "
    "2x2 convolution; round-mode: by an option of BVLC's Caffe since 2018.",
)
@click.option(
    "--bottleneck",
    type=click.Choice(["inner-product", "convolution"]),
    help="The layer that makes the vector in a Caffe file. Default: as in the source.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "int8", "palette8", "palette6"]),
    help="Core ML: the precision; int8 and the palettes compress the weights alone. Core AI: float32 or float16. "
    "Default: float32, for ios float16.",
)
@click.option(
    "--input-kind",
    type=click.Choice(["image", "array"]),
    default="image",
    show_default=True,
    help="Core ML, Core AI: whether the model takes images, which it standardises itself, or standardised arrays.",
)
@click.option(
    "--minimum-ios", type=int, metavar="N", help="Core ML: the oldest iOS, as 16. Default: the oldest possible."
)
@click.option(
    "--core-ai",
    is_flag=True,
    help="ios: put models for Core AI beside those for Core ML; apps use them on iOS 27 and later. Needs coreai-core.",
)
@click.option("--replace", is_flag=True, help="Replace a model that is at PATH.")
@conversion_options
@output_options
def convert(
    console: Console,
    source: str,
    target: Any,
    destination: Path | None,
    replace: bool,
    precision: Any | None,
    input_kind: Any,
    minimum_ios: int | None,
    core_ai: bool,
    batch_norm: str,
    floor_pool: Any,
    bottleneck: Any,
    choices: ConversionChoices,
) -> None:
    """Convert a model to another format and compare the vectors.

    SRC is the name of an installed model or one of:

    \b
      a frozen TensorFlow graph (.pb)
      a TensorFlow 1 checkpoint: its folder or its prefix
      a SavedModel folder, a Keras file (.keras, .h5)
      Caffe's .prototxt beside its .caffemodel, a model folder
      an ONNX file, an OpenVINO model (.xml beside its .bin), a TFLite file

    Every step is compared with the step before. If a difference exceeds 1e-5 (for lower precisions: if a cosine falls
    below a limit), no model is written, only the report. TensorFlow is not needed; Core ML needs coremltools, Core AI
    coreai-core.
    """
    from faceall.convert import CaffeOptions, CoreaiOptions, CoremlOptions

    _refuse_idle(target)
    path = _source_path(source)
    place = _destination(source, path, target, destination)
    if target == "ios":
        from faceall_cli.commands.models.ios import write_package

        half = CoremlOptions(precision=precision or "float16", minimum_ios=minimum_ios)
        coreai = CoreaiOptions(precision="float32" if precision == "float32" else "float16") if core_ai else None
        write_package(console, path, place, choices, half, coreai, batch_norm)
        return
    numbers: Any = precision or "float32"
    if target == "coreml":
        target = CoremlOptions(
            format="neuralnetwork" if place.suffix == ".mlmodel" else "mlprogram",
            precision=numbers,
            input=input_kind,
            minimum_ios=minimum_ios,
        )
    elif target == "coreai":
        target = CoreaiOptions(precision=numbers, input=input_kind)
    elif target == "caffe":
        target = CaffeOptions(floor_pool=floor_pool, bottleneck=bottleneck)
    writing = Writing(target=target, replace=replace)
    _print(console, run_conversion(console, path, place, choices, writing, batch_norm=batch_norm))


def _print(console: Console, done: Conversion) -> None:
    values = {"model": done.manifest.name, "path": str(done.path), "parity": parity_of(done.report)}
    console.record(values | {"steps": [parity_of(report) for report in done.reports], "report": str(done.report_path)})
    console.line(f"{done.manifest.name}: {shown(done.path)}")


def _refuse_idle(target: str) -> None:
    """Raise ConvertError if an option was given that has no effect."""
    from faceall.errors import ConvertError

    context = click.get_current_context()
    for parameter, (option, only) in _ONLY_FOR.items():
        given = context.get_parameter_source(parameter) is click.core.ParameterSource.COMMANDLINE
        if given and target not in only:
            known = " and ".join(f"--to {name}" for name in only)
            raise ConvertError(f"{option} has no effect for --to {target}, only for {known}; leave it out")


def _source_path(source: str) -> Path:
    """Return the path of the source: as given, or of the installed model of that name."""
    from faceall.models import installed_models

    path = Path(source)
    if source == path.name and not path.exists():
        for model in installed_models():
            if model.name == source:
                return model.path
    return path


def _destination(source: str, path: Path, target: str, given: Path | None) -> Path:
    """Return where to write: as given, in the given folder, or beside the source."""
    named = Path(source) != path  # an installed model: its own folder is not the user's
    stem = path.name if named or path.is_dir() else path.stem
    name = f"{stem}{_SUFFIXES[target]}"
    if given is None:
        return Path(name) if named else path.with_name(name)
    packages = (".mlpackage", ".mlmodel", ".aimodel")
    if target in ("onnx", "coreml", "coreai") and given.is_dir() and given.suffix not in packages:
        return given / name
    return given

"""Convert a net into Caffe's format, ONNX or Core ML, with a smaller embedding if wanted."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.console import Console, shown
from faceall_cli.options import output_options

if TYPE_CHECKING:
    from faceall.convert import Conversion

_CROPS = click.Path(exists=True, path_type=Path)

_OPTIONS = (
    click.option("--name", metavar="NAME", help="The model's name. Default: from the file."),
    click.option(
        "--standardisation",
        type=click.Choice(["fixed", "prewhiten", "none"]),
        help="What pixels need: fixed, (x - 127.5) / 128; prewhiten; or none, as the net does it itself. Default: as "
        "the known file needs it.",
    ),
    click.option("--input", "input", metavar="NODE", help="The graph's input. Default: the node `input`."),
    click.option("--output-node", "output", metavar="NODE", help="The graph's output. Default: the node `embeddings`."),
    click.option(
        "--signature",
        metavar="NAME",
        help="Which of a SavedModel's signatures. Default: serving_default.",
    ),
    click.option("--image-size", type=click.IntRange(min=1), help="Side of the pictures, where the graph is silent."),
    click.option(
        "--check",
        type=_CROPS,
        metavar="DIR|FILE.npz",
        help="Compare on these crops of faces: a folder of pictures, or an .npz with `crops` and, where the source's "
        "vectors are known, `embeddings`. Default: crops of one face that come with faceall.",
    ),
    click.option(
        "--embedding-size",
        type=click.IntRange(min=1),
        metavar="N",
        help="Make a smaller embedding of N numbers: a projection folded into the net. Needs --calibrate.",
    ),
    click.option(
        "--calibrate",
        type=_CROPS,
        metavar="DIR|FILE.npz",
        help="Fit --embedding-size on these crops of faces. In a folder DIR/NAME/*.jpg the change in accuracy is "
        "measured, too.",
    ),
    click.option(
        "--find-faces",
        is_flag=True,
        help="The folders of --check and --calibrate hold photos: find the largest face in each and cut it out.",
    ),
)


def conversion_options(command: Any) -> Any:
    """The options of everything that converts, as one keyword argument `how` for `run_conversion`."""
    names = (
        *("name", "standardisation", "input", "output", "signature", "image_size", "check"),
        *("embedding_size", "calibrate", "find_faces"),
    )

    @functools.wraps(command)
    def collected(*args: Any, **options: Any) -> Any:
        return command(*args, how={name: options.pop(name) for name in names}, **options)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


def run_conversion(console: Console, source: Path, directory: Path, how: dict[str, Any], **more: Any) -> Conversion:
    """Convert `source` into `directory`, with remarks and the parity tables on stderr."""
    from faceall.convert import convert as run

    options = dict(how)
    if options.pop("find_faces", False):
        from faceall_cli.commands.models.crops import cut_faces

        options["reader"] = functools.partial(cut_faces, console)
    done = run(source, directory, **options, **more)
    for remark in done.remarks:
        console.remark(shown(remark))
    for report in done.reports:
        console.remark(report.to_text())
    if done.projection is not None:
        console.remark(done.projection.to_text())
    return done


_ONLY_FOR = {
    "precision": ("--precision", ("coreml", "ios")),
    "input_kind": ("--input-kind", ("coreml",)),
    "ios": ("--target", ("coreml", "ios")),
    "floor_pool": ("--floor-pool", ("caffe",)),
    "bottleneck": ("--bottleneck", ("caffe",)),
}
"""Options that only some formats know."""


def _refuse_idle(target: str) -> None:
    """Raise ConvertError where an option was given that would do nothing."""
    from faceall.errors import ConvertError

    context = click.get_current_context()
    for parameter, (option, only) in _ONLY_FOR.items():
        given = context.get_parameter_source(parameter) is click.core.ParameterSource.COMMANDLINE
        if given and target not in only:
            known = " and ".join(f"--to {name}" for name in only)
            raise ConvertError(f"{option} does nothing for --to {target}, only for {known}; leave it out")


@click.command()
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice(["caffe", "onnx", "coreml", "savedmodel", "ios"]),
    default="caffe",
    show_default=True,
    help="The format: caffe, a model folder that faceall uses; onnx, one file for any batch; coreml, for phones; "
    "savedmodel, a folder for TensorFlow Serving; ios, a Swift package with the models in it.",
)
@click.option(
    "-o",
    "--output",
    "destination",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="Where the model goes: for caffe, savedmodel and ios a folder, for onnx a file, for coreml a name that ends "
    "in .mlpackage or .mlmodel. DIR of a savedmodel gets DIR/1, a name as DIR/2 is that version. "
    "The report goes beside it, as PATH.parity.json.",
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
    help="How a Caffe file spells a pool that rounds down. crop and slice: for every Caffe and OpenCV 4; conv: by a "
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
    help="Core ML: how the numbers are stored; int8 and palettes compress the weights alone. Default: float32, for ios "
    "float16.",
)
@click.option(
    "--input-kind",
    type=click.Choice(["image", "array"]),
    default="image",
    show_default=True,
    help="Core ML: what the model takes, pictures that are standardised inside, or arrays that are already.",
)
@click.option("--target", "ios", metavar="IOS", help="Core ML: the oldest iOS, as ios16. Default: as old as possible.")
@click.option("--replace", is_flag=True, help="Replace a model that is at PATH.")
@conversion_options
@output_options
def convert(
    console: Console,
    source: Path,
    destination: Path,
    replace: bool,
    precision: Any | None,
    input_kind: Any,
    ios: str | None,
    how: dict[str, Any],
    **styles: Any,
) -> None:
    """Convert a net, SRC, into another format, and prove that it still gives the same vectors.

    SRC is one of:

    \b
      a frozen TensorFlow graph (.pb)
      a TensorFlow 1 checkpoint: its folder or its prefix
      a SavedModel folder, a Keras file (.keras, .h5)
      Caffe's .prototxt beside its .caffemodel, a model folder

    Every step is compared with the one before; above a difference of 1e-5 (of Core ML's smaller precisions: below a
    cosine) there is no model, only the report. TensorFlow is not needed; Core ML's files are written by coremltools.
    """
    from faceall.convert import CoremlOptions

    _refuse_idle(styles["target"])
    if styles["target"] == "ios":
        from faceall_cli.commands.models.ios import write_package

        half = CoremlOptions(precision=precision or "float16", target=ios)
        write_package(console, source, destination, how, half, styles["batch_norm"])
        return
    kind: Any = "neuralnetwork" if destination.suffix == ".mlmodel" else "mlprogram"
    coreml = CoremlOptions(format=kind, precision=precision or "float32", input=input_kind, target=ios)
    done = run_conversion(console, source, destination, how, replace_existing=replace, coreml=coreml, **styles)
    values = {"model": done.manifest.name, "path": str(done.path), "parity": done.report.to_json()}
    console.record(values | {"steps": [report.to_json() for report in done.reports], "report": str(done.report_path)})
    console.line(f"{done.manifest.name}: {shown(done.path)}")

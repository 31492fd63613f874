"""Convert a TensorFlow graph into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.console import Console, shown
from faceall_cli.options import output_options

if TYPE_CHECKING:
    from faceall.convert import Conversion

_OPTIONS = (
    click.option("--name", metavar="NAME", help="The model's name. Default: from the file."),
    click.option(
        "--standardisation",
        type=click.Choice(["fixed", "prewhiten"]),
        help="What pixels need: fixed, (x - 127.5) / 128, or prewhiten. Default: as the known file needs it.",
    ),
    click.option("--input", "input_node", metavar="NODE", help="The graph's input. Default: the node `input`."),
    click.option("--output-node", metavar="NODE", help="The graph's output. Default: the node `embeddings`."),
    click.option("--image-size", type=click.IntRange(min=1), help="Side of the pictures, where the graph is silent."),
    click.option(
        "--check",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE.npz",
        help="Compare on these `crops` with these `embeddings`. Default: random pictures, the graph run in NumPy.",
    ),
)


def conversion_options(command: Any) -> Any:
    """The options of everything that converts, as one keyword argument `how` for `run_conversion`."""
    import functools

    names = ("name", "standardisation", "input_node", "output_node", "image_size", "check")

    @functools.wraps(command)
    def collected(*args: Any, **options: Any) -> Any:
        return command(*args, how={name: options.pop(name) for name in names}, **options)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


def run_conversion(console: Console, source: Path, directory: Path, how: dict[str, Any], **more: Any) -> Conversion:
    """Convert `source` into `directory`, with remarks and the parity table on stderr."""
    from faceall import convert

    crops, expected = convert.read_check(how["check"]) if how.get("check") else (None, None)
    done = convert.convert(
        source,
        directory,
        name=how.get("name"),
        standardisation=how.get("standardisation"),
        input=how.get("input_node"),
        output=how.get("output_node"),
        image_size=how.get("image_size"),
        check=crops,
        expected=expected,
        **more,
    )
    for remark in done.remarks:
        console.remark(shown(remark))
    console.remark(done.report.to_text())
    return done


@click.command()
@click.argument("source", metavar="SRC", type=click.Path(exists=True, path_type=Path))
@click.option("--to", "target", type=click.Choice(["caffe"]), default="caffe", show_default=True, help="The format.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder for the model: model.prototxt, model.caffemodel and manifest.json.",
)
@click.option(
    "--batch-norm",
    type=click.Choice(["fold", "keep"]),
    default="fold",
    show_default=True,
    help="Fold normalisation into the layer before, or keep it as BatchNorm and Scale.",
)
@click.option("--replace", is_flag=True, help="Replace a model that is in DIR.")
@conversion_options
@output_options
def convert(
    console: Console, source: Path, target: str, output: Path, batch_norm: str, replace: bool, how: dict[str, Any]
) -> None:
    """Convert a frozen TensorFlow graph of FaceNet (SRC, a .pb file) into Caffe's format.

    The result is compared with its source; above a difference of 1e-5 nothing is written. TensorFlow is not needed.
    """
    done = run_conversion(console, source, output, how, batch_norm=batch_norm, replace_existing=replace)
    console.record({"model": done.folder.manifest.name, "path": str(done.folder.path), "parity": done.report.to_json()})
    console.line(f"{done.folder.manifest.name}: {shown(done.folder.path)}")

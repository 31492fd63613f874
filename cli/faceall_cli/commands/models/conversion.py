"""The options that `faceall convert` and `faceall models import` share, and the conversion that they run."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.console import Console, shown

if TYPE_CHECKING:
    from faceall.convert import (
        Conversion,
        ParityOptions,
        Reduction,
        SourceOptions,
        Target,
        TargetOptions,
    )

_CROPS = click.Path(exists=True, path_type=Path)

_OPTIONS = (
    click.option("--name", metavar="NAME", help="The model's name. Default: from the file's name."),
    click.option(
        "--standardisation",
        type=click.Choice(["fixed", "prewhiten", "none", "arcface", "unit"]),
        help="How pixels are scaled: fixed, (x - 127.5) / 128; arcface, (x - 127.5) / 127.5; unit, x / 255; prewhiten; "
        "or none, as the net does it itself. Default: as the known file or family needs it.",
    ),
    click.option(
        "--channels",
        type=click.Choice(["rgb", "bgr"]),
        help="The channel order of the input. Default: as the known file or family needs it.",
    ),
    click.option(
        "--alignment",
        type=click.Choice(["arcface", "openvino", "none"]),
        help="How faces are aligned by their landmarks; none: cropped by their box. Default: as the known file or "
        "family needs it.",
    ),
    click.option("--input", "input", metavar="NODE", help="A graph's input. Default: the node `input`."),
    click.option("--output-node", "output", metavar="NODE", help="A graph's output. Default: the node `embeddings`."),
    click.option("--signature", metavar="NAME", help="A SavedModel's signature. Default: serving_default."),
    click.option("--image-size", type=click.IntRange(min=1), help="Side of the images, if the graph does not say."),
    click.option(
        "--check",
        type=_CROPS,
        metavar="DIR|FILE.npz",
        help="Compare on these face crops: a folder of images, or an .npz with `crops` and, if the source's vectors "
        "are known, `embeddings`. Default: crops of one face in the package.",
    ),
    click.option(
        "--embedding-size",
        type=click.IntRange(min=1),
        metavar="N",
        help="Make a smaller, N-dimensional embedding: a projection folded into the net. Needs --calibrate.",
    ),
    click.option(
        "--calibrate",
        type=_CROPS,
        metavar="DIR|FILE.npz",
        help="Fit --embedding-size on these face crops. In a folder DIR/NAME/*.jpg the change in accuracy is measured.",
    ),
    click.option(
        "--find-faces",
        is_flag=True,
        help="The folders of --check and --calibrate hold photos: detect the largest face in each and cut it out.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class ConversionChoices:
    """The values of the shared options, as given on the command line."""

    name: str | None = None
    standardisation: Any = None
    channels: Any = None
    alignment: Any = None
    input: str | None = None
    output: str | None = None
    signature: str | None = None
    image_size: int | None = None
    check: Path | None = None
    embedding_size: int | None = None
    calibrate: Path | None = None
    find_faces: bool = False

    @property
    def changes_model(self) -> bool:
        """Whether an option was given that changes what is written."""
        compared = ("check", "find_faces")
        return any(getattr(self, entry.name) is not None for entry in fields(self) if entry.name not in compared)

    def reading(self, batch_norm: Any = "fold") -> SourceOptions:
        """Return the options of the source."""
        from faceall.convert import SourceOptions

        return SourceOptions(
            name=self.name,
            standardisation=self.standardisation,
            channels=self.channels,
            alignment=self.alignment,
            input=self.input,
            output=self.output,
            signature=self.signature,
            image_size=self.image_size,
            batch_norm=batch_norm,
        )

    def parity(self, console: Console) -> ParityOptions:
        """Return the options of the comparison."""
        from faceall.convert import ParityOptions

        if not self.find_faces:
            return ParityOptions(crops=self.check)
        from faceall_cli.commands.models.crops import cut_faces

        return ParityOptions(crops=self.check, reader=functools.partial(cut_faces, console))

    def reduction(self) -> Reduction | None:
        """Return the options of a smaller embedding, if one is wanted."""
        from faceall.convert import Reduction
        from faceall.errors import ConvertError

        if self.embedding_size is None and self.calibrate is None:
            return None
        if self.embedding_size is None:
            raise ConvertError("--calibrate fits a smaller embedding: give its size with --embedding-size")
        if self.calibrate is None:
            raise ConvertError("a smaller embedding is fitted on faces: give some hundred crops with --calibrate")
        return Reduction(size=self.embedding_size, crops=self.calibrate)


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What is written: a format, by its name or with its options."""

    target: Target | TargetOptions = "caffe"
    replace: bool = False


def conversion_options(command: Any) -> Any:
    """Add the shared options to a command, as its keyword argument `choices`."""
    names = [entry.name for entry in fields(ConversionChoices)]

    @functools.wraps(command)
    def collected(*args: Any, **options: Any) -> Any:
        return command(*args, choices=ConversionChoices(**{name: options.pop(name) for name in names}), **options)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


def run_conversion(
    console: Console,
    source: Path,
    destination: Path,
    choices: ConversionChoices,
    writing: Writing,
    *,
    batch_norm: str = "fold",
) -> Conversion:
    """Convert `source` into `destination`; print remarks and parity tables on stderr."""
    from faceall.convert import convert

    done = convert(
        source,
        destination,
        target=writing.target,
        reading=choices.reading(batch_norm),
        parity=choices.parity(console),
        reduction=choices.reduction(),
        replace_existing=writing.replace,
    )
    print_remarks(console, done)
    for sentence in done.assumptions.values():
        console.remark(shown(sentence))
    return done


def print_remarks(console: Console, done: Conversion) -> None:
    """Print the remarks and the parity tables of a conversion on stderr."""
    for remark in done.remarks:
        console.remark(shown(remark))
    for report in done.reports:
        console.remark(report.to_text())
    if done.projection is not None:
        console.remark(done.projection.to_text())

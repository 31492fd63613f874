"""`faceall models`: list, info, import, fetch, verify, remove."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.models.conversion import ConversionChoices, conversion_options, print_remarks
from faceall_cli.console import Console, shown
from faceall_cli.group import MISTAKE
from faceall_cli.options import output_options

if TYPE_CHECKING:
    from faceall.models import ModelFolder


eight_bit_option = click.option(
    "--eight-bit/--no-eight-bit",
    default=True,
    show_default=True,
    help="Measure which layers can be computed in 8 bits without changing the vectors (about half a minute, once).",
)


@click.group()
def models() -> None:
    """Manage models: list, info, import, fetch, verify, remove."""


@models.command("list")
@output_options
def list_(console: Console) -> None:
    """List the installed models; the first embedder is the default."""
    from faceall.models import scan

    rows = []
    for entry in scan():
        if entry.model is None:
            console.error(str(entry.error), entry.path)
            continue
        manifest = entry.model.manifest
        console.record(
            {
                "name": manifest.name,
                "kind": manifest.kind,
                "embedding_size": manifest.embedding_size,
                "path": str(entry.model.path),
            }
        )
        rows.append((manifest.name, manifest.kind, str(manifest.embedding_size or "-"), str(entry.model.path)))
    if rows:
        console.table([("name", "kind", "dimensions", "folder"), *rows], right=frozenset((2,)))
    else:
        console.remark("no model is installed; get FaceNet's 20180402-114759.pb and run: faceall models import FILE.pb")


@models.command()
@click.argument("name", required=False)
@output_options
def info(console: Console, name: str | None) -> None:
    """Show a model's manifest, by name or folder. Default: the embedder in use."""
    model = _find(name)
    values: dict[str, Any] = json.loads(model.manifest.to_json())
    values |= {"path": str(model.path), "fingerprint": model.fingerprint}
    console.record(values)
    console.table([(field, value if isinstance(value, str) else json.dumps(value)) for field, value in values.items()])


def _find(name: str | None) -> ModelFolder:
    """Return the model of a name, of any kind."""
    from faceall.errors import ModelError
    from faceall.models import find_model

    if name is None:
        return find_model()
    try:
        return find_model(name)
    except ModelError as as_embedder:
        try:
            return find_model(name, kind="detector")
        except ModelError:
            raise as_embedder from None  # the error that concerns most users


faces_option = click.option(
    "--faces",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Photos of at least three people, as DIR/NAME/*.jpg: unknown parts of an embedder's input are tried on them.",
)


@models.command("import")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace an installed model of the same name.")
@eight_bit_option
@faces_option
@conversion_options
@output_options
def import_(
    console: Console, file: Path, replace: bool, eight_bit: bool, faces: Path | None, choices: ConversionChoices
) -> None:
    """Install a model from a file or folder.

    FILE is a FaceNet graph (.pb), the zip that contains it, a model folder or another source of `convert`.

    The model is converted and compared with its source first; if a difference exceeds 1e-5, nothing is installed. Known
    files are recognised by their checksum and known families by their graph; every assumption is printed. If the
    channel order, the scaling of pixels or the alignment of an embedder is unknown, all of them are tried on faces, and
    unclear ones must be given as options.

    A face detector in ONNX format (YuNet, SCRFD) is installed as it is; see `faceall detect --detector`.
    """
    from faceall.detect import install_detector, is_detector_file

    if is_detector_file(file):
        _print_installed(console, install_detector(file, replace=replace))
        return
    _install(console, file, choices, eight_bit=eight_bit, faces=faces, replace=replace)


def _install(
    console: Console,
    file: Path,
    choices: ConversionChoices,
    *,
    eight_bit: bool,
    faces: Path | None = None,
    replace: bool = False,
) -> None:
    """Import a file and print what was done."""
    from faceall.install import import_model, read_people

    plain = not (choices.changes_model or choices.check)
    with console.progress(0, "measurements") as bar:
        people = read_people(faces, progress=bar.move_to) if faces else None
        done = import_model(
            file,
            reading=None if plain else choices.reading(),
            parity=None if plain else choices.parity(console),
            reduction=choices.reduction(),
            faces=people,
            eight_bit=eight_bit,
            replace=replace,
            progress=bar.move_to,
        )
    if done.conversion is not None:
        print_remarks(console, done.conversion)
    for remark in done.remarks:
        console.remark(shown(remark))
    if done.probe is not None:
        console.remark(done.probe.to_text())
    if done.eight_bit is not None:
        share, cosine = done.eight_bit.share, done.eight_bit.cosine[0]
        console.remark(f"8 bits       {share:.0%} of the multiplications; cosine to float32 at least {cosine:.6f}")
    _print_installed(console, done.model)


def _print_installed(console: Console, model: ModelFolder) -> None:
    console.record({"name": model.name, "embedding_size": model.manifest.embedding_size, "path": str(model.path)})
    console.line(f"installed {model.name}: {shown(model.path)}")


@models.command()
@click.argument("name", metavar="NAME")
@click.option("--url", metavar="URL", help="The address. Default: FACEALL_MIRROR, then the public address.")
@click.option("--replace", is_flag=True, help="Replace an installed model of the same name.")
@eight_bit_option
@output_options
def fetch(console: Console, name: str, url: str | None, replace: bool, eight_bit: bool) -> None:
    """Download a published model, check it and install it.

    NAME is a FaceNet release, as 20180402-114759, face-reidentification-retail-0095, or the face detector yunet. The
    terms are printed first. Every file must have its known SHA-256. An interrupted download is resumed. FACEALL_MIRROR
    lists addresses to try first; http_proxy and https_proxy are respected.
    """
    from faceall.detect import install_detector, is_detector_file
    from faceall.models import installed_models
    from faceall.models.fetch import fetch as download
    from faceall.models.fetch import find_published

    known = find_published(name)
    console.remark(f"terms        {known.licence}")
    installed = (*installed_models("embedder"), *installed_models("detector"))
    present = next((model for model in installed if model.name == known.model_name), None)
    if present is not None and not replace:
        console.remark(f"{known.model_name} is installed already; --replace downloads it again")
        _print_installed(console, present)
        return
    with console.progress(0, "bytes") as bar:
        file = download(name, url=url, progress=lambda done, total: bar.move_to(done, total))
    if is_detector_file(file):
        _print_installed(console, install_detector(file, replace=replace))
    else:
        _install(console, file, ConversionChoices(), eight_bit=eight_bit, replace=replace)
    for published in getattr(known, "files", {known.file_name: ""}):
        (file.parent / published).unlink()


@models.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@output_options
def verify(console: Console, names: tuple[str, ...]) -> None:
    """Compare models' files with the checksums of their manifests. Default: all models."""
    from faceall.models import scan

    chosen = names or tuple(str(entry.path) for entry in scan())
    verdicts = [_verify(console, name) for name in chosen]
    if not chosen:
        console.remark("no model is installed")
    if not all(verdicts):
        raise click.exceptions.Exit(MISTAKE)


def _verify(console: Console, name: str) -> bool:
    """Check one model, by name or folder, and print the result."""
    from faceall.errors import ModelError

    try:
        model = _find(name)
        model.verify()
    except ModelError as error:
        console.record({"model": name, "ok": False, "message": str(error)})
        console.complain(f"faceall: {shown(str(error))}")
        return False
    console.record({"model": model.name, "ok": True, "path": str(model.path)})
    console.line(f"{model.name}: ok")
    return True


@models.command()
@click.argument("name", metavar="NAME")
@output_options
def remove(console: Console, name: str) -> None:
    """Remove a model from your data folder."""
    from faceall.models import remove as remove_model

    remove_model(name)
    console.record({"name": name, "removed": True})
    console.line(f"removed {shown(name)}")

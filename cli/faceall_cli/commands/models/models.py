"""`faceall models`: list, info, import, fetch, verify, remove."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.models.conversion import ConversionChoices, conversion_options, run_conversion
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
    """Manage installed models: list, info, import, fetch, verify, remove."""


@models.command("list")
@output_options
def list_(console: Console) -> None:
    """List the installed models; the first embedder is the default."""
    from faceall.models import scan

    rows = []
    for entry in scan():
        if entry.model is None:
            console.complain(f"faceall: {shown(str(entry.error))}")
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


@models.command("import")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace an installed model of the same name.")
@eight_bit_option
@conversion_options
@output_options
def import_(console: Console, file: Path, replace: bool, eight_bit: bool, choices: ConversionChoices) -> None:
    """Install a model: a FaceNet graph (.pb), the zip it came in, a model folder or another source of `convert`.

    A graph is converted and compared with its source first; if a difference exceeds 1e-5, nothing is installed. Known
    files are recognised by their checksum; for others the assumptions are printed. Then it is measured which layers can
    be computed in 8 bits, if the processor supports that: the model is faster, and its vectors stay the same.
    """
    from faceall.models import MANIFEST, adopt

    with tempfile.TemporaryDirectory(prefix="faceall-") as scratch:
        source = _unpacked(file, Path(scratch)) if file.suffix.lower() == ".zip" else file
        plain = (source / MANIFEST).is_file() and not (choices.changes_model or choices.check)
        converted = source if plain else run_conversion(console, source, Path(scratch) / "model", choices).folder
        _print_installed(console, _measured(console, adopt(converted, replace=replace), eight_bit))


def _measured(console: Console, model: ModelFolder, eight_bit: bool) -> ModelFolder:
    """Measure the layers that can be computed in 8 bits, if that is wanted, possible and not known yet."""
    from faceall.caffe.engines import has_eight_bit_products
    from faceall.embed.quantisation import add_eight_bit

    if not eight_bit or model.ranges or model.manifest.kind != "embedder" or not has_eight_bit_products():
        return model
    with console.progress(0, "measurements in 8 bits") as bar:
        model, report = add_eight_bit(model, progress=bar.move_to)
    console.remark(
        f"8 bits       {report.share:.0%} of the multiplications; cosine to float32 at least {report.cosine[0]:.6f}"
    )
    return model


def _print_installed(console: Console, model: ModelFolder) -> None:
    console.record({"name": model.name, "embedding_size": model.manifest.embedding_size, "path": str(model.path)})
    console.line(f"installed {model.name}: {shown(model.path)}")


def _unpacked(file: Path, scratch: Path) -> Path:
    """Unpack the frozen graph of a release's zip."""
    import shutil
    import zipfile
    import zlib

    from faceall.errors import ConvertError

    try:
        with zipfile.ZipFile(file) as archive:
            graphs = [name for name in archive.namelist() if _is_graph(name)]
            if len(graphs) != 1:
                raise ConvertError(f"{file}: holds {len(graphs)} .pb files, expected one")
            target = scratch / Path(graphs[0]).name
            with archive.open(graphs[0]) as member, target.open("wb") as copy:
                shutil.copyfileobj(member, copy)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:  # Runtime: needs a password
        raise ConvertError(f"{file}: cannot be unpacked ({error})") from error
    return target


def _is_graph(name: str) -> bool:
    """Return whether a file in a zip is a graph; macOS adds a metadata file for every file."""
    return name.lower().endswith(".pb") and "__MACOSX" not in name.split("/") and not Path(name).name.startswith("._")


@models.command()
@click.argument("release", metavar="NAME")
@click.option("--url", metavar="URL", help="The address of the zip. Default: FACEALL_MIRROR, then a public mirror.")
@click.option("--replace", is_flag=True, help="Replace an installed model of the same name.")
@eight_bit_option
@output_options
def fetch(console: Console, release: str, url: str | None, replace: bool, eight_bit: bool) -> None:
    """Download a published model, as 20180402-114759, check it and install it.

    Its terms are printed first. Both the zip and the graph in it must have their known SHA-256. An interrupted download
    is resumed. FACEALL_MIRROR lists addresses to try first; http_proxy and https_proxy are respected.
    """
    from faceall.models import adopt, installed_models
    from faceall.models.fetch import fetch as download
    from faceall.models.fetch import find_published

    known = find_published(release)
    console.remark(f"terms        {known.licence}")
    present = next((model for model in installed_models("embedder") if model.name == known.model_name), None)
    if present is not None and not replace:
        console.remark(f"{known.model_name} is installed already; --replace downloads it again")
        _print_installed(console, present)
        return
    with console.progress(0, "bytes") as bar:
        graph = download(release, url=url, progress=lambda done, total: bar.move_to(done, total))
    with tempfile.TemporaryDirectory(prefix="faceall-") as scratch:
        converted = run_conversion(console, graph, Path(scratch) / "model", ConversionChoices()).folder
        model = adopt(converted, replace=replace)
    graph.unlink()
    _print_installed(console, _measured(console, model, eight_bit))


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

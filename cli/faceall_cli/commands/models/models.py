"""Models: list, info, import, fetch, verify, remove."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.commands.models.convert import conversion_options, run_conversion
from faceall_cli.console import Console, shown
from faceall_cli.group import MISTAKE
from faceall_cli.options import output_options

if TYPE_CHECKING:
    from faceall.models import ModelFolder


eight_bit_option = click.option(
    "--eight-bit/--no-eight-bit",
    default=True,
    show_default=True,
    help="Measure which layers may be computed in 8 bits without changing the vectors (about half a minute, once).",
)


@click.group()
def models() -> None:
    """The models that are installed: list, info, import, fetch, verify, remove."""


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
        console.table([("name", "kind", "numbers", "folder"), *rows], right=frozenset((2,)))
    else:
        console.remark("no model is installed; get FaceNet's 20180402-114759.pb and run: faceall models import FILE.pb")


@models.command()
@click.argument("name", required=False)
@output_options
def info(console: Console, name: str | None) -> None:
    """Show the manifest of a model, by name or folder; by default of the embedder that is used."""
    model = _find(name)
    values: dict[str, Any] = json.loads(model.manifest.to_json())
    values |= {"path": str(model.path), "fingerprint": model.fingerprint}
    console.record(values)
    console.table([(field, value if isinstance(value, str) else json.dumps(value)) for field, value in values.items()])


def _find(name: str | None) -> ModelFolder:
    """The model of that name, of any kind."""
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
            raise as_embedder from None  # what is wrong with it as an embedder is what people want to know


@models.command("import")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace an installed model of the same name.")
@eight_bit_option
@conversion_options
@output_options
def import_(console: Console, file: Path, replace: bool, eight_bit: bool, how: dict[str, Any]) -> None:
    """Install a model: a FaceNet graph (.pb), the zip it came in, a model folder, or what else `convert` reads.

    A graph is converted and compared with its source first; above a difference of 1e-5 nothing is installed. Known
    files are recognised by their checksum; for others the assumptions are told. Then it is measured which layers may
    be computed in 8 bits, where the processor does that: the model is faster, and its vectors stay the same.
    """
    from faceall.models import MANIFEST, adopt

    with tempfile.TemporaryDirectory(prefix="faceall-") as scratch:
        source = _unpacked(file, Path(scratch)) if file.suffix.lower() == ".zip" else file
        plain = (source / MANIFEST).is_file() and not any(how.values())
        converted = source if plain else run_conversion(console, source, Path(scratch) / "model", how).folder
        _print_installed(console, _measured(console, adopt(converted, replace=replace), eight_bit))


def _measured(console: Console, model: ModelFolder, eight_bit: bool) -> ModelFolder:
    """The model with the layers that may be computed in 8 bits, if that is wanted, possible and not known yet."""
    from faceall.caffe.engines import has_eight_bit_products
    from faceall.embed.quantisation import add_eight_bit

    if not eight_bit or model.ranges or model.manifest.kind != "embedder" or not has_eight_bit_products():
        return model
    with console.progress(0, "measurements in 8 bits") as bar:
        model, report = add_eight_bit(model, progress=bar.move_to)
    console.remark(
        f"in 8 bits    {report.share:.0%} of the multiplications; cosine to float32 at least {report.cosine[0]:.6f}"
    )
    return model


def _print_installed(console: Console, model: ModelFolder) -> None:
    console.record({"name": model.name, "embedding_size": model.manifest.embedding_size, "path": str(model.path)})
    console.line(f"installed {model.name}: {shown(model.path)}")


def _unpacked(file: Path, scratch: Path) -> Path:
    """The frozen graph of a release's zip, unpacked."""
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
    """Whether a file in a zip is a graph; macOS adds shadows of every file."""
    return name.lower().endswith(".pb") and "__MACOSX" not in name.split("/") and not Path(name).name.startswith("._")


@models.command()
@click.argument("release", metavar="NAME")
@click.option("--url", metavar="URL", help="Where to get the zip. Default: FACEALL_MIRROR, then a public mirror.")
@click.option("--replace", is_flag=True, help="Replace an installed model of the same name.")
@eight_bit_option
@output_options
def fetch(console: Console, release: str, url: str | None, replace: bool, eight_bit: bool) -> None:
    """Download an official FaceNet model, as 20180402-114759, check it and install it.

    Its terms are told first. Both the zip and the graph in it have to have their known SHA-256. A broken download is
    taken up where it stopped; nothing of it is left once the model is installed. FACEALL_MIRROR names other places to
    ask first, and http_proxy and https_proxy the way there.
    """
    from faceall.models import adopt, installed_models
    from faceall.models.fetch import fetch as download
    from faceall.models.fetch import find_published

    known = find_published(release)
    console.remark(f"terms        {known.licence}")
    present = next((model for model in installed_models("embedder") if model.name == known.model_name), None)
    if present is not None and not replace:
        console.remark(f"{known.model_name} is installed already; --replace fetches it anew")
        _print_installed(console, present)
        return
    with console.progress(0, "bytes") as bar:
        graph = download(release, url=url, progress=lambda done, total: bar.move_to(done, total))
    with tempfile.TemporaryDirectory(prefix="faceall-") as scratch:
        converted = run_conversion(console, graph, Path(scratch) / "model", {}).folder
        model = adopt(converted, replace=replace)
    graph.unlink()
    _print_installed(console, _measured(console, model, eight_bit))


@models.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@output_options
def verify(console: Console, names: tuple[str, ...]) -> None:
    """Compare the files of models with the checksums of their manifests; by default of all models."""
    from faceall.models import scan

    chosen = names or tuple(str(entry.path) for entry in scan())
    verdicts = [_verify(console, name) for name in chosen]
    if not chosen:
        console.remark("no model is installed")
    if not all(verdicts):
        raise click.exceptions.Exit(MISTAKE)


def _verify(console: Console, name: str) -> bool:
    """Check one model, by name or folder, and say what came out."""
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

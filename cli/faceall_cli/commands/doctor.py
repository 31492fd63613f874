"""`faceall doctor`: check versions, engine, models and gallery."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall import __version__
from faceall.errors import FaceallError
from faceall_cli.console import Console, shown
from faceall_cli.group import MISTAKE
from faceall_cli.options import gallery_option, output_options

if TYPE_CHECKING:
    from faceall.models import ScannedFolder

_PACKAGES = ("numpy", "openvino", "hnswlib", "pillow", "protobuf", "click", "onnxruntime", "pymilvus", "milvus-lite")
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm")


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    ok: bool
    detail: str


@click.command()
@gallery_option
@output_options
def doctor(console: Console, gallery: Path | None) -> None:
    """Check the installation, the models and the gallery.

    The exit code is 1 if something is broken; a missing model or gallery is only reported.
    """
    sound = True
    for finding in _examine(gallery):
        console.record(asdict(finding))
        console.line(f"{finding.topic:<10} {'' if finding.ok else 'BROKEN: '}{shown(finding.detail)}")
        sound = sound and finding.ok
    if not sound:
        raise click.exceptions.Exit(MISTAKE)


def _examine(gallery: Path | None) -> Iterator[Finding]:
    yield Finding("faceall", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("packages", True, ", ".join(filter(None, map(_version, _PACKAGES))))
    yield _search()
    yield _processor()
    yield from _models()
    yield _engine()
    yield _detector()
    yield from _gallery(gallery)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None


def _search() -> Finding:
    """Report how large galleries are searched."""
    from faceall.index.graph.graph import how_to_install_graphs, why_no_graphs

    if (reason := why_no_graphs()) is None:
        return Finding("search", True, "graph (hnswlib) above 10,000 faces")
    detail = f"exact, because {reason}; fast up to some 100,000 faces; above, {how_to_install_graphs(reason)}"
    return Finding("search", True, detail)


def _processor() -> Finding:
    """Report the number of cores and the relevant instruction sets."""
    from faceall.caffe.engines.openvino import processor_flags
    from faceall.cores import available_cores

    flags = processor_flags()
    known = " ".join(flag for flag in _FLAGS if flag in flags) or "instruction sets unknown"
    return Finding("processor", True, f"{available_cores()} cores, {platform.machine()}, {known}")


def _models() -> Iterator[Finding]:
    """Check every model's files."""
    from faceall.models import scan

    found = scan()
    yield from map(_verified, found)
    if not found:
        yield Finding("model", True, "no embedder is installed: faceall models import FILE.pb")


def _verified(entry: ScannedFolder) -> Finding:
    if entry.model is None:
        return Finding("model", False, str(entry.error))
    try:
        entry.model.verify()
    except FaceallError as error:
        return Finding("model", False, str(error))
    form = entry.model.manifest.net_file
    runs = f"runs as {form} and cannot be converted, " if form else ""
    return Finding("model", True, f"{entry.model.name}, {runs}checksums correct, {entry.path}")


def _engine() -> Finding:
    """Report the engine and the precision of the embedder in use."""
    from faceall.caffe.engines import get_engine
    from faceall.embed import Embedder
    from faceall.errors import ModelNotFoundError

    try:
        name = get_engine().name
        try:
            embedder = Embedder()
        except ModelNotFoundError:
            return Finding("engine", True, name)
        precision = embedder.precision_choice.describe()
        return Finding("engine", True, f"{name}, embedder {embedder.model.name} in {precision}")
    except FaceallError as error:
        return Finding("engine", False, str(error))


def _detector() -> Finding:
    """Check that the detector loads and runs."""
    import numpy as np

    from faceall.detect import Detector

    try:
        faces = Detector()(np.zeros((64, 64, 3), np.uint8))
    except FaceallError as error:
        return Finding("detector", False, str(error))
    return Finding("detector", not len(faces), "ready" if not len(faces) else "finds a face in a black image")


def _gallery(folder: Path | None) -> Iterator[Finding]:
    """Check the gallery."""
    from faceall.gallery import Gallery, default_place, holds_gallery

    place = folder or default_place()
    try:
        if isinstance(place, Path) and not holds_gallery(place):
            yield Finding("gallery", True, f"{place}: none yet")
            return
        with Gallery.open(place, read_only=True) as gallery:
            problems, where = gallery.index.problems(), gallery.place
            made = f"made with {gallery.model}{_advice(gallery.model)}"
            yield Finding("gallery", True, f"{where}: {len(gallery):,} faces, {made}")
            yield from (Finding("gallery", True, str(mixed)) for mixed in gallery.people.mixed())
        for problem in problems:
            yield Finding("gallery", False, f"{where}: {problem}")
    except FaceallError as error:
        yield Finding("gallery", False, str(error))


def _advice(label: str | None) -> str:
    """Return what to do if the model that made a gallery is no longer installed."""
    from faceall.analysis.analyser import label_of
    from faceall.models import installed_models

    if label is None or label in map(label_of, installed_models()):
        return ""
    return ", which is not installed: install it, or switch to another model with faceall index migrate"

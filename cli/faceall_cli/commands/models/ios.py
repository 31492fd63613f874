"""`faceall convert --to ios`: from any source to a Swift package."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceall_cli.console import Console, counted, shown

if TYPE_CHECKING:
    from faceall.convert import CoremlOptions
    from faceall.convert.targets.ios import IosExport
    from faceall.models import ModelFolder

_COMPARED = ("check", "find_faces")
"""Options of a conversion that change no model."""


def write_package(
    console: Console, source: Path, destination: Path, how: dict[str, Any], coreml: CoremlOptions, batch_norm: str
) -> None:
    """Make the package of `source` in `destination`, and tell what became of it."""
    from faceall.convert.targets.ios import export_ios, refuse_foreign
    from faceall.detect.weights import read_nets

    refuse_foreign(destination)  # before the work
    detector = read_nets()
    options: dict[str, Any] = {"check": how["check"]}
    if how["find_faces"]:
        from faceall_cli.commands.models.crops import cut_faces

        options["reader"] = functools.partial(cut_faces, console)
    with tempfile.TemporaryDirectory(prefix="faceall-ios-") as work:
        model = _model_folder(console, source, Path(work) / "model", how, batch_norm)
        done = export_ios(model, destination, detector=detector, coreml=coreml, **options)
    _tell(console, done)


def _model_folder(console: Console, source: Path, place: Path, how: dict[str, Any], batch_norm: str) -> ModelFolder:
    """The model folder that is the source, or what a server would make of the source: their vectors are one model's."""
    from faceall.models import MANIFEST, ModelFolder

    changes = batch_norm != "fold" or any(value is not None for name, value in how.items() if name not in _COMPARED)
    if (source / MANIFEST).is_file() and not changes:
        folder = ModelFolder.open(source)
        folder.verify()
        return folder
    from faceall_cli.commands.models.convert import run_conversion

    return run_conversion(console, source, place, how, target="caffe", batch_norm=batch_norm).folder


def _tell(console: Console, done: IosExport) -> None:
    for report in done.reports:
        console.remark(report.to_text())
    for name in done.kept:
        console.remark(f"{shown(name)}: was changed and is kept; the new one lies beside it as {shown(name)}.new")
    console.record(
        {
            "model": done.manifest.name,
            "path": str(done.path),
            "status": done.status,
            "kept": list(done.kept),
            "fingerprint": done.fingerprint,
            "steps": [report.to_json() for report in done.reports],
            "report": str(done.report_path),
        }
    )
    kept = f" ({counted(len(done.kept), 'file')} of yours kept)" if done.kept else ""
    console.line(f"{done.status.capitalize()} {done.manifest.name}: {shown(done.path)}{kept}")

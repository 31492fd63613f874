"""`faceall convert --to ios`: write a Swift package from any source."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from faceall_cli.commands.models.conversion import ConversionChoices, Writing, run_conversion
from faceall_cli.console import Console, counted, shown
from faceall_cli.records import parity_of

if TYPE_CHECKING:
    from faceall.convert import CoreaiOptions, CoremlOptions
    from faceall.convert.ios_package import IosExport
    from faceall.models import ModelFolder


def write_package(
    console: Console,
    source: Path,
    destination: Path,
    choices: ConversionChoices,
    coreml: CoremlOptions,
    coreai: CoreaiOptions | None,
    batch_norm: str,
) -> None:
    """Write the package of `source` to `destination` and print the result."""
    from faceall.convert.ios_package import export_ios
    from faceall.convert.targets.ios import refuse_foreign
    from faceall.detect.weights import read_nets

    refuse_foreign(destination)  # before the work
    detector = read_nets()
    with tempfile.TemporaryDirectory(prefix="faceall-ios-") as work:
        model = _model_folder(console, source, Path(work) / "model", choices, batch_norm)
        done = export_ios(
            model, destination, detector=detector, coreml=coreml, coreai=coreai, parity=choices.parity(console)
        )
    _print(console, done)


def _model_folder(
    console: Console, source: Path, place: Path, choices: ConversionChoices, batch_norm: str
) -> ModelFolder:
    """Return the source's model folder, or the one that a server would import: both give one model's vectors."""
    from faceall.models import MANIFEST, ModelFolder

    if (source / MANIFEST).is_file() and batch_norm == "fold" and not choices.changes_model:
        folder = ModelFolder.open(source)
        folder.verify()
        return folder
    return run_conversion(console, source, place, choices, Writing(), batch_norm=batch_norm).folder


def _print(console: Console, done: IosExport) -> None:
    for report in done.reports:
        console.remark(report.to_text())
    for name in done.kept:
        console.remark(f"{shown(name)}: was changed and is kept; the new one is beside it as {shown(name)}.new")
    console.record(
        {
            "model": done.manifest.name,
            "path": str(done.path),
            "status": done.status,
            "kept": list(done.kept),
            "fingerprint": done.fingerprint,
            "steps": [parity_of(report) for report in done.reports],
            "report": str(done.report_path),
        }
    )
    kept = f" ({counted(len(done.kept), 'file')} of yours kept)" if done.kept else ""
    console.line(f"{done.status.capitalize()} {done.manifest.name}: {shown(done.path)}{kept}")

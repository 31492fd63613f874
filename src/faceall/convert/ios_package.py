"""Write a model folder as a Swift package that an app can add."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from faceall import files
from faceall.caffe.net import Net
from faceall.convert.conversion import convert
from faceall.convert.options import ParityOptions
from faceall.convert.parity.report import ParityReport
from faceall.convert.targets.coreml import CoremlOptions
from faceall.convert.targets.ios import copy_template, models, place_package, refuse_foreign
from faceall.errors import ConvertError, ParityError
from faceall.models import Manifest, ModelFolder

MODELS = "FaceAll/Sources/FaceAllCoreML/Models"
"""The folder of the models in a package."""

REPORT = "parity.json"
"""The file with the parity reports, in the package's folder."""


@dataclass(frozen=True)
class IosExport:
    """A finished Swift package.

    Attributes
    ----------
    path : Path
        The package's folder; the Swift package itself is `FaceAll` in it.
    status : {"written", "refreshed"}
        Whether the package is new or was there already.
    manifest : Manifest
        The embedder's description.
    fingerprint : str
        The embedder's fingerprint; a gallery bundle for the package has the same.
    reports : tuple of ParityReport
        The steps of the embedder, then one report for each of MTCNN's nets.
    kept : tuple of str
        Changed files that were kept; the new version of each is beside it as NAME.new.
    """

    path: Path
    status: Literal["written", "refreshed"]
    manifest: Manifest
    fingerprint: str
    reports: tuple[ParityReport, ...]
    kept: tuple[str, ...]

    @property
    def report_path(self) -> Path:
        """The path of the reports as JSON."""
        return self.path / REPORT


def export_ios(
    model: ModelFolder,
    destination: str | Path,
    *,
    detector: Sequence[Net] | None = None,
    coreml: CoremlOptions | None = None,
    parity: ParityOptions | None = None,
) -> IosExport:
    """Write a Swift package with an embedder and MTCNN as Core ML models.

    When a model exceeds its tolerance no package is written, only the report, as DESTINATION.parity.json.

    Parameters
    ----------
    model : ModelFolder
        The embedder.
    destination : str or Path
        A new or empty folder, or a package that this function wrote before. That is refreshed; files that were added
        or changed in it are kept.
    detector : sequence of Net, optional
        MTCNN's proposal, refinement and output net. Default: the package detects faces with Vision alone.
    coreml : CoremlOptions, optional
        How the models are written. Default: float16, for the oldest iOS possible.
    parity : ParityOptions, optional
        How the embedder is verified.

    Returns
    -------
    IosExport
        The package with its reports.

    Raises
    ------
    ConvertError
        If `destination` holds something else, the model is not an embedder or the package cannot be written.
    ParityError
        If a model exceeds its tolerance.
    MissingDependencyError
        If coremltools is not installed.
    """
    options = coreml or CoremlOptions(precision="float16")
    if options.format != "mlprogram" or options.input != "image":
        raise ConvertError("a package for iOS holds ML Programs that take images: leave out format and input")
    if model.manifest.kind != "embedder":
        raise ConvertError(f"'{model.manifest.name}' makes no embeddings; a package for iOS needs an embedder")
    place = Path(os.path.abspath(destination))
    refuse_foreign(place)
    with _staged(place) as staged:
        copy_template(staged)
        reports = _write_models(model, staged / MODELS, place, detector, options, parity)
        report = json.dumps(_report(model, reports), indent=2) + "\n"
        (staged / REPORT).write_text(report, encoding="utf-8")
        placed = place_package(staged, place)
    return IosExport(Path(destination), placed.status, model.manifest, model.fingerprint, tuple(reports), placed.kept)


def _write_models(
    model: ModelFolder,
    folder: Path,
    place: Path,
    detector: Sequence[Net] | None,
    options: CoremlOptions,
    parity: ParityOptions | None,
) -> list[ParityReport]:
    """Write the package's models with their contract and golden vectors into `folder`."""
    try:
        done = convert(model.path, folder / models.EMBEDDER, target=options, parity=parity)
    except ParityError as error:
        raise ParityError(error.reason, _kept_report(error.report, place)) from error
    done.report_path.unlink()  # its contents are in the package's own report
    reports = list(done.reports)
    if detector is not None:
        reports += models.write_detector(detector, folder, options.minimum_ios)
    contract = models.contract_json(model, folder, options.precision, detector=detector is not None)
    (folder / models.CONTRACT).write_text(contract, encoding="utf-8")
    (folder / models.GOLDEN).write_text(models.golden_json(model, options.precision), encoding="utf-8")
    return reports


def _report(model: ModelFolder, reports: Sequence[ParityReport]) -> dict[str, Any]:
    return {
        "model": model.manifest.name,
        "fingerprint": model.fingerprint,
        "passed": all(report.passed for report in reports),
        "steps": [report.to_json() for report in reports],
    }


def _kept_report(report: Path | None, place: Path) -> Path | None:
    """Move a report out of the draft; return its new path."""
    if report is None:
        return None
    kept = place.with_name(f"{place.name}.parity.json")
    files.put_in_place(report, kept)
    return kept


@contextmanager
def _staged(place: Path) -> Iterator[Path]:
    """Yield a new hidden folder beside `place`, which is removed at the end."""
    staged = files.draft_path(place)
    try:
        staged.mkdir(parents=True)
        yield staged
    except OSError as error:
        raise ConvertError(f"{place}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            files.remove_path(staged)

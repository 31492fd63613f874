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
from faceall.convert.targets.coreai import CoreaiOptions
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
    coreai: CoreaiOptions | None = None,
    parity: ParityOptions | None = None,
) -> IosExport:
    """Write a Swift package with an embedder and MTCNN as Core ML models, if wanted also for Core AI.

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
    coreai : CoreaiOptions, optional
        How models for Core AI are written beside them, which apps use on iOS 27 and later. Default: there are none.
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
        If coremltools is not installed, or with `coreai` coreai-core is not.
    """
    options = coreml or CoremlOptions(precision="float16")
    if options.format != "mlprogram" or options.input != "image":
        raise ConvertError("a package for iOS holds ML Programs that take images: leave out format and input")
    if coreai is not None and coreai.input != "image":
        raise ConvertError("the embedder of a package for iOS takes images: leave out the input of Core AI")
    if model.manifest.kind != "embedder":
        raise ConvertError(f"'{model.manifest.name}' makes no embeddings; a package for iOS needs an embedder")
    place = Path(os.path.abspath(destination))
    refuse_foreign(place)
    with _staged(place) as staged:
        copy_template(staged)
        reports = _write_models(model, staged / MODELS, place, detector, (options, coreai), parity)
        report = json.dumps(_report(model, reports), indent=2) + "\n"
        (staged / REPORT).write_text(report, encoding="utf-8")
        placed = place_package(staged, place)
    return IosExport(Path(destination), placed.status, model.manifest, model.fingerprint, tuple(reports), placed.kept)


def _write_models(
    model: ModelFolder,
    folder: Path,
    place: Path,
    detector: Sequence[Net] | None,
    options: tuple[CoremlOptions, CoreaiOptions | None],
    parity: ParityOptions | None,
) -> list[ParityReport]:
    """Write the package's models with their contract and golden vectors into `folder`."""
    coreml, coreai = options
    jobs: list[tuple[str, CoremlOptions | CoreaiOptions]] = [(models.EMBEDDER, coreml)]
    if coreai is not None:
        jobs.append((models.COREAI_EMBEDDER, coreai))
    reports: list[ParityReport] = []
    for name, target in jobs:
        try:
            done = convert(model.path, folder / name, target=target, parity=parity)
        except ParityError as error:
            raise ParityError(error.reason, _kept_report(error.report, place)) from error
        done.report_path.unlink()  # its contents are in the package's own report
        reports += done.reports[-1:] if reports else done.reports  # the steps before the last are the same
    if detector is not None:
        reports += models.write_detector(detector, folder, coreml.minimum_ios)
        reports += [] if coreai is None else models.write_coreai_detector(detector, folder)
    contract = models.contract_json(
        model, folder, coreml.precision, detector=detector is not None, coreai=coreai, nets=detector or ()
    )
    (folder / models.CONTRACT).write_text(contract, encoding="utf-8")
    (folder / models.GOLDEN).write_text(models.golden_json(model, coreml.precision), encoding="utf-8")
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

"""`export_ios`: a model folder becomes a Swift package that an app can add."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from faceall.caffe.net import Net
from faceall.convert.conversion import convert
from faceall.convert.parity.crops import CropReader, read_crops
from faceall.convert.parity.report import ParityReport
from faceall.convert.targets.coreml import CoremlOptions
from faceall.convert.targets.ios import models
from faceall.convert.targets.ios.template import copy_template, place_package, refuse_foreign
from faceall.errors import ConvertError, ParityError
from faceall.files import draft_path
from faceall.models import Manifest, ModelFolder

MODELS = "FaceAll/Sources/FaceAllCoreML/Models"
"""Where the models lie in a package."""

REPORT = "parity.json"
"""How far the models are from the nets that they were written from, in the package's folder."""


@dataclass(frozen=True)
class IosExport:
    """A finished package.

    path         its folder: the Swift package is FaceAll in it
    status       "written", or "refreshed" where there was a package already
    manifest     the embedder's
    fingerprint  whose vectors the package makes; a gallery bundle has to be of the same
    reports      the embedder's steps, then one of each of MTCNN's nets
    kept         files that somebody had changed: they stayed, the new ones lie beside them as NAME.new
    """

    path: Path
    status: Literal["written", "refreshed"]
    manifest: Manifest
    fingerprint: str
    reports: tuple[ParityReport, ...]
    kept: tuple[str, ...]

    @property
    def report_path(self) -> Path:
        """The reports as JSON."""
        return self.path / REPORT


def export_ios(
    model: ModelFolder,
    destination: str | Path,
    *,
    detector: Sequence[Net] | None = None,
    coreml: CoremlOptions | None = None,
    check: str | Path | npt.NDArray[np.uint8] | None = None,
    reader: CropReader = read_crops,
) -> IosExport:
    """Write the Swift package with `model` and the `detector` in Core ML into the folder `destination`.

    model        an embedder; galleries of its vectors are the package's
    destination  a new or empty folder, or one that this function wrote before: that is refreshed, and files that were
                 added or changed there stay
    detector     MTCNN's proposal, refinement and output net; None: the package finds faces with Vision alone
    coreml       how the models are written; None: float16, for as old an iOS as possible
    check        crops to compare on, as `convert` takes them
    reader       reads them from a path

    A model that misses its gate leaves no package, only the report, as DESTINATION.parity.json.
    Raises ConvertError (a foreign folder, a model that makes no vectors, what cannot be written), ParityError,
    MissingDependencyError without coremltools.
    """
    options = coreml or CoremlOptions(precision="float16")
    if options.format != "mlprogram" or options.input != "image":
        raise ConvertError("a package for iOS holds ML Programs that take pictures: leave format and input out")
    if model.manifest.kind != "embedder":
        raise ConvertError(f"'{model.manifest.name}' makes no vectors; a package for iOS needs an embedder")
    place = Path(os.path.abspath(destination))
    refuse_foreign(place)
    with _staged(place) as staged:
        copy_template(staged)
        folder = staged / MODELS
        try:
            done = convert(model.path, folder / models.EMBEDDER, target="coreml", coreml=options,
                           check=check, reader=reader)  # fmt: skip
        except ParityError as error:
            raise _with_report(error, folder / f"{models.EMBEDDER}.parity.json", place) from error
        done.report_path.unlink()  # its contents go into the package's own
        reports = [
            *done.reports,
            *(models.write_detector(detector, folder, options.target) if detector is not None else ()),
        ]
        texts = {
            folder / models.CONTRACT: models.contract_json(
                model, folder, options.precision, detector=detector is not None
            ),
            folder / models.GOLDEN: models.golden_json(model, options.precision),
            staged / REPORT: json.dumps(_report(model, reports), indent=2) + "\n",
        }
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        placed = place_package(staged, place)
    return IosExport(Path(destination), placed.status, model.manifest, model.fingerprint, tuple(reports), placed.kept)


def _report(model: ModelFolder, reports: Sequence[ParityReport]) -> dict[str, Any]:
    return {
        "model": model.manifest.name,
        "fingerprint": model.fingerprint,
        "passed": all(report.passed for report in reports),
        "steps": [report.to_json() for report in reports],
    }


def _with_report(error: ParityError, report: Path, place: Path) -> ParityError:
    """The error after its report has been brought out of the draft, which is about to go."""
    kept = place.with_name(f"{place.name}.parity.json")
    shutil.move(report, kept)
    return ParityError(str(error).replace(str(report), str(kept)))


@contextmanager
def _staged(place: Path) -> Iterator[Path]:
    """A hidden folder beside `place` for what is not complete yet; nothing is left of it."""
    staged = draft_path(place)
    try:
        staged.mkdir(parents=True)
        yield staged
    except OSError as error:
        raise ConvertError(f"{place}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)

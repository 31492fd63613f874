"""The steps of one conversion. Each is compared with the step before; a difference above the tolerance ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from faceall.caffe.net import Net
from faceall.convert.options import CaffeOptions, ParityOptions
from faceall.convert.parity.comparison import channels_first, compare, compare_nets, run_net, run_parts, side_by_side
from faceall.convert.parity.crops import FaceCrops
from faceall.convert.parity.report import DEFAULT_THRESHOLD, Criteria, ParityReport, Reference, measure
from faceall.convert.parity.source_file import run_source_file
from faceall.convert.passes.head import find_head
from faceall.convert.passes.projection import ProjectionReport, fit_projection, project, report_projection
from faceall.convert.subject import Subject
from faceall.convert.targets.caffe import caffe_files, for_caffe, read_caffe_files
from faceall.convert.targets.coreai import SUFFIX as COREAI_SUFFIX
from faceall.convert.targets.coreai import CoreaiOptions, built_coreai, coreai_parity
from faceall.convert.targets.coreml import SUFFIXES, CoremlOptions, built_coreml, coreml_parity
from faceall.convert.targets.onnx import onnx_bytes, open_onnx
from faceall.convert.targets.placing import copy_made, placing
from faceall.convert.targets.savedmodel import Part, Role, role_of, savedmodel_parity, version_folder, write_savedmodel
from faceall.models import write_model_folder
from faceall.types import Float32Array

_BATCH = 8
"""Crops that are embedded at once."""


class Job:
    """One conversion in progress.

    Parameters
    ----------
    subject : Subject
        The model to convert.
    place : Path
        Where the model is written; the report is written beside it.
    crops : FaceCrops
        The images that every step is compared on.
    parity : ParityOptions
        How every step is compared.
    """

    def __init__(self, subject: Subject, place: Path, crops: FaceCrops, parity: ParityOptions) -> None:
        self._subject, self._place, self._crops, self._parity = subject, place, crops, parity
        self._images = subject.manifest.standardisation.apply(crops.crops)
        self._before: Net | None = subject.original  # what the next step is compared with; None: the graph
        self.net = subject.net
        self.manifest = subject.manifest
        self.reports: list[ParityReport] = []
        self.projection: ProjectionReport | None = None

    @property
    def report_path(self) -> Path:
        """The path of the report."""
        return self._place.with_name(f"{self._place.name}.parity.json")

    @property
    def _threshold(self) -> float | None:
        if self.manifest.kind != "embedder":
            return None
        return self.manifest.match_threshold or DEFAULT_THRESHOLD

    def compare_file(self) -> None:
        """Compare the net with the file of another format that it was read from, on unit vectors.

        Raises
        ------
        ParityError
            If the difference exceeds the tolerance.
        ConvertError
            If the file cannot be run.
        """
        if self._subject.file is None:
            return
        wanted = _unit(run_source_file(self._subject.file, self._images, self._subject.file_output))
        vectors, engine = run_net(self.net, self._images, self._subject.outputs, engine=self._parity.engine)
        self._add_measured(_unit(vectors), wanted, "source", engine, reference="source")

    def reduce(self, faces: FaceCrops, size: int, name: str | None = None) -> None:
        """Fit a projection to `size` dimensions on `faces` and fold it into the net.

        Parameters
        ----------
        faces : FaceCrops
            The crops to fit the projection on.
        size : int
            Dimensions of the smaller embedding.
        name : str, optional
            The name of the smaller model. Default: NAME-SIZE.

        Raises
        ------
        ParityError
            If the net does not reproduce its source, or the smaller net the projection.
        ConvertError
            If the projection cannot be fitted or folded.
        """
        self._compare(self.net, "net")
        outputs, engine = self._subject.outputs, self._parity.engine
        parts = (faces.crops[start : start + _BATCH] for start in range(0, len(faces.crops), _BATCH))
        apply = self.manifest.standardisation.apply
        vectors, _ = run_parts(self.net, map(apply, parts), outputs, engine=engine)
        projection = fit_projection(vectors, size)
        smaller = project(self.net, self.manifest.output_blob, projection)
        larger, _ = run_net(self.net, self._images, outputs, engine=engine)
        made_unit = bool(find_head(self.net, self.manifest.output_blob).unit)
        wanted = projection.apply(larger, unit_length=made_unit)
        actual, used = run_net(smaller, self._images, outputs, engine=engine)
        self.projection = report_projection(projection, vectors, faces.labels)
        self._add_measured(actual, wanted, "projection", used)
        before = self.manifest
        self.manifest = replace(
            before,
            name=name or f"{before.name}-{size}"[:128],
            embedding_size=size,
            match_threshold=None,  # it was calibrated on other vectors
            match_threshold_false_accept_rate=None,
            source=f"{before.source}, {before.embedding_size} dimensions projected to {size} on {len(vectors)} crops",
            accuracy={},
        )
        self.net = self._before = smaller

    def write_caffe(self, options: CaffeOptions, *, replace_existing: bool) -> None:
        """Write the model folder, after the contents of its files have been compared."""
        net = for_caffe(
            self.net, self.manifest.output_blob, floor_pool=options.floor_pool, bottleneck=options.bottleneck
        )
        contents = caffe_files(net)
        self._compare(read_caffe_files(contents), "caffe")
        folder = write_model_folder(self._place, self.manifest, contents, replace_existing=replace_existing)
        self.manifest = folder.manifest
        self._write_report()

    def write_onnx(self) -> None:
        """Write the file, run it, and move it to its place."""
        self._compare_source()
        outputs = self._subject.outputs
        with placing(self._place, ".onnx") as draft:
            draft.write_bytes(onnx_bytes(self.net, outputs, self.manifest))
            run, engine = open_onnx(draft)
            actual = side_by_side(run({self.manifest.input_blob: channels_first(self._images)}), outputs)
            wanted, _ = run_net(self.net, self._images, outputs, engine="reference")
            self._add_measured(actual, wanted, "onnx", engine)
        self._write_report()

    def write_coreml(self, options: CoremlOptions) -> None:
        """Write the package or file, run it as written, and move it to its place."""
        built = built_coreml(self.net, options, manifest=self.manifest)
        with self._placed(SUFFIXES[options.format], built) as draft:
            inputs = self._inputs(options.input)
            self._add(coreml_parity(self.net, draft, inputs, precision=options.precision, manifest=self.manifest))

    def write_coreai(self, options: CoreaiOptions) -> None:
        """Write the model, run it in Apple's runtime, and move it to its place."""
        built = built_coreai(self.net, options, manifest=self.manifest)
        with self._placed(COREAI_SUFFIX, built) as draft:
            inputs = self._inputs(options.input)
            self._add(coreai_parity(self.net, draft, inputs, precision=options.precision, manifest=self.manifest))

    @contextmanager
    def _placed(self, suffix: str, built: AbstractContextManager[Path]) -> Iterator[Path]:
        """Copy a model that another process built to a draft; move it to its place when it was compared."""
        self._compare_source()
        with placing(self._place, suffix) as draft, built as made:
            copy_made(made, draft)
            yield draft
        self._write_report()

    def _inputs(self, kind: Literal["image", "array"]) -> npt.NDArray[np.uint8] | Float32Array:
        """Return the images that a model is compared on, as it takes them."""
        return self._crops.crops if kind == "image" else channels_first(self._images)

    def write_savedmodel(self, others: Sequence[Job] = ()) -> None:
        """Write the folder with this net and those of `others`, run it as written, and move it to its place."""
        jobs = (self, *others)
        for job in jobs:
            job._compare_source()
        self.reports = [report for job in jobs for report in job.reports]
        parts = [Part(job.net, job.manifest, _role(job)) for job in jobs]
        with placing(self._place, "") as draft:
            version = version_folder(self._place, draft)
            write_savedmodel(parts, version)
            for job, part in zip(jobs, parts, strict=True):
                crops, limit = job._crops.crops, job._threshold
                self._add(savedmodel_parity(part, version, crops, tolerance=self._parity.tolerance, threshold=limit))
        self._write_report()

    def _compare_source(self) -> None:
        """Compare the net with its source, unless an earlier step has done so."""
        if not self.reports:
            self._compare(self.net, "net")

    def _compare(self, net: Net, step: str) -> None:
        """Compare `net` with the step before; the first step with the source."""
        options = self._parity
        if self._before is not None:
            report = compare_nets(
                self._before,
                net,
                self._images,
                self._subject.outputs,
                self._criteria(step),
                engine=options.engine,
                stages=options.stages,
            )
        elif self._subject.translation is not None:
            report = compare(
                self._subject.translation,
                self._images,
                self._criteria(step),
                expected=self._crops.embeddings,
                engine=options.engine,
                net=net,
                stages=options.stages,
            )
        else:
            raise ValueError("a subject has either an original net or a translated graph")
        self._add(report)
        self._before = net

    def _add_measured(
        self, actual: Float32Array, wanted: Float32Array, step: str, engine: str, reference: Reference = "net"
    ) -> None:
        self._add(measure(actual, wanted, self._criteria(step), reference=reference, engine=engine))

    def _criteria(self, step: str) -> Criteria:
        return Criteria(step=step, tolerance=self._parity.tolerance, threshold=self._threshold)

    def _add(self, report: ParityReport) -> None:
        """Keep a report; if it exceeds its tolerance, write all reports and raise ParityError."""
        report = replace(report, inputs=self._crops.origin)
        self.reports.append(report)
        if not report.passed:
            self._write_report()
            report.require(report=self.report_path)

    def _write_report(self) -> None:
        values = {
            "model": self.manifest.name,
            "source": self.manifest.source,
            "source_sha256": self.manifest.source_sha256,
            "passed": all(report.passed for report in self.reports),
            "steps": [report.to_json() for report in self.reports],
            "projection": self.projection.to_json() if self.projection else None,
            "remarks": list(self._subject.remarks),
        }
        with placing(self.report_path, ".json") as draft:
            draft.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _unit(vectors: Float32Array) -> Float32Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def _role(job: Job) -> Role | None:
    return role_of(job.net) if job.manifest.kind == "detector" else None

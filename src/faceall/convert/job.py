"""The steps of one conversion. Each is compared with the one before and adds its report; above the gate all ends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from faceall.caffe.net import Net
from faceall.convert.parity.comparison import channels_first, compare, compare_nets, run_net, run_parts, side_by_side
from faceall.convert.parity.crops import FaceCrops
from faceall.convert.parity.report import DEFAULT_THRESHOLD, ParityReport, measure
from faceall.convert.passes.head import BottleneckStyle, find_head
from faceall.convert.passes.pools import FloorPool
from faceall.convert.passes.projection import ProjectionReport, fit_projection, project, report_projection
from faceall.convert.subject import Subject
from faceall.convert.targets.caffe import caffe_files, for_caffe, read_caffe_files
from faceall.convert.targets.coreml import CoremlOptions, coreml_parity, write_coreml
from faceall.convert.targets.coreml.options import SUFFIXES
from faceall.convert.targets.onnx import onnx_bytes, open_onnx
from faceall.convert.targets.savedmodel import Part, Role, role_of, savedmodel_parity, version_folder, write_savedmodel
from faceall.errors import ConvertError
from faceall.files import make_folder, replacing, write_file
from faceall.models import write_model_folder
from faceall.types import Float32Array

_BATCH = 8
"""How many crops are embedded at once."""


class Job:
    """One conversion under way.

    subject   what is converted
    place     where the model goes; the report goes beside it
    crops     the pictures that every step is compared on
    engine    runs the nets; None: the default one
    gate      the largest allowed difference
    stages    whether every stage is compared in any case
    """

    def __init__(
        self, subject: Subject, place: Path, crops: FaceCrops, engine: str | None, gate: float, stages: bool
    ) -> None:
        self._subject, self._place, self._crops = subject, place, crops
        self._engine, self._gate, self._stages = engine, gate, stages
        self._pictures = subject.manifest.standardisation.apply(crops.crops)
        self._before: Net | None = subject.original  # what the next step is compared with; None: the graph
        self.net = subject.net
        self.manifest = subject.manifest
        self.reports: list[ParityReport] = []
        self.cost: ProjectionReport | None = None

    @property
    def report_path(self) -> Path:
        """Where the report goes."""
        return self._place.with_name(f"{self._place.name}.parity.json")

    @property
    def _threshold(self) -> float | None:
        if self.manifest.kind != "embedder":
            return None
        return self.manifest.match_threshold or DEFAULT_THRESHOLD

    def make_smaller(self, faces: FaceCrops, size: int, name: str | None = None) -> None:
        """Fold a projection to `size` numbers, fitted on `faces`, into the net; it is called `name`, or NAME-SIZE."""
        self._compare(self.net, "net")
        outputs = self._subject.outputs
        parts = (faces.crops[start : start + _BATCH] for start in range(0, len(faces.crops), _BATCH))
        apply = self.manifest.standardisation.apply
        vectors, _ = run_parts(self.net, map(apply, parts), outputs, engine=self._engine)
        projection = fit_projection(vectors, size)
        smaller = project(self.net, self.manifest.output_blob, projection)
        larger, _ = run_net(self.net, self._pictures, outputs, engine=self._engine)
        made_unit = bool(find_head(self.net, self.manifest.output_blob).unit)
        wanted = projection.apply(larger, unit_length=made_unit)
        actual, engine = run_net(smaller, self._pictures, outputs, engine=self._engine)
        self.cost = report_projection(projection, vectors, faces.labels)
        self._add_measured(actual, wanted, "projection", engine)
        before = self.manifest
        self.manifest = replace(
            before,
            name=name or f"{before.name}-{size}"[:128],
            embedding_size=size,
            match_threshold=None,  # it was calibrated on other vectors
            match_threshold_false_accept_rate=None,
            source=f"{before.source}, {before.embedding_size} numbers projected to {size} on {len(vectors)} crops",
            accuracy={},
        )
        self.net = self._before = smaller

    def write_caffe(self, floor_pool: FloorPool, bottleneck: BottleneckStyle | None, *, replace_existing: bool) -> None:
        """Write the model folder, after what is in its files has been compared."""
        files = caffe_files(
            for_caffe(self.net, self.manifest.output_blob, floor_pool=floor_pool, bottleneck=bottleneck)
        )
        self._compare(read_caffe_files(files), "caffe")
        folder = write_model_folder(self._place, self.manifest, files, replace_existing=replace_existing)
        self.manifest = folder.manifest
        self._write_report()

    def write_onnx(self) -> None:
        """Write the file, run it, and put it in its place."""
        if not self.reports:
            self._compare(self.net, "net")
        outputs = self._subject.outputs
        with self._draft(".onnx") as draft:
            write_file(draft, onnx_bytes(self.net, outputs, self.manifest))
            run, engine = open_onnx(draft)
            actual = side_by_side(run({self.manifest.input_blob: channels_first(self._pictures)}), outputs)
            wanted, _ = run_net(self.net, self._pictures, outputs, engine="reference")
            self._add_measured(actual, wanted, "onnx", engine)
        self._write_report()

    def write_coreml(self, options: CoremlOptions) -> None:
        """Write the package or file, run it as it is written, and put it in its place."""
        if not self.reports:
            self._compare(self.net, "net")
        with self._draft(SUFFIXES[options.format]) as draft:
            write_coreml(
                self.net,
                draft,
                manifest=self.manifest,
                format=options.format,
                precision=options.precision,
                input=options.input,
                target=options.target,
                unit_length=options.unit_length,
            )
            inputs = self._crops.crops if options.input == "image" else channels_first(self._pictures)
            self._add(coreml_parity(self.net, draft, inputs, precision=options.precision, manifest=self.manifest))
        self._write_report()

    def write_savedmodel(self, others: Sequence[Job] = ()) -> None:
        """Write the folder with this net and those of `others`, run it as it is written, and put it in its place."""
        jobs = (self, *others)
        for job in jobs:
            if not job.reports:
                job._compare(job.net, "net")
        self.reports = [report for job in jobs for report in job.reports]
        parts = [Part(job.net, job.manifest, _role(job)) for job in jobs]
        with self._draft("") as draft:
            version = version_folder(self._place, draft)
            write_savedmodel(parts, version)
            for job, part in zip(jobs, parts, strict=True):
                crops, limit = job._crops.crops, job._threshold
                self._add(savedmodel_parity(part, version, crops, gate=self._gate, threshold=limit))
        self._write_report()

    def _compare(self, net: Net, step: str) -> None:
        """Compare `net` with the step before; the first step with the source."""
        if self._before is not None:
            report = compare_nets(
                self._before,
                net,
                self._pictures,
                self._subject.outputs,
                step=step,
                engine=self._engine,
                gate=self._gate,
                stages=self._stages,
                threshold=self._threshold,
            )
        elif self._subject.translation is not None:
            report = compare(
                self._subject.translation,
                self._pictures,
                expected=self._crops.embeddings,
                engine=self._engine,
                gate=self._gate,
                net=net,
                stages=self._stages,
                step=step,
                threshold=self._threshold,
            )
        else:
            raise ValueError("a subject has a net or a graph that it came from")
        self._add(report)
        self._before = net

    def _add_measured(self, actual: Float32Array, wanted: Float32Array, step: str, engine: str) -> None:
        limit = self._threshold
        self._add(measure(actual, wanted, step=step, reference="net", engine=engine, gate=self._gate, threshold=limit))

    def _add(self, report: ParityReport) -> None:
        """Keep a report; where it misses the gate, write all of them and raise ParityError."""
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
            "projection": self.cost.to_json() if self.cost else None,
            "remarks": list(self._subject.remarks),
        }
        with self._writing():
            write_file(self.report_path, json.dumps(values, indent=2) + "\n")

    @contextmanager
    def _draft(self, suffix: str) -> Iterator[Path]:
        """Yield a hidden path beside the model; what is written there takes the model's place when the block ends."""
        with self._writing(), replacing(self._place, suffix=suffix) as draft:
            yield draft

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Create the folder of the model; raise ConvertError where something cannot be written."""
        try:
            make_folder(self._place.parent)
            yield
        except OSError as error:
            raise ConvertError(f"{self._place}: cannot be written ({error.strerror or error})") from error


def _role(job: Job) -> Role | None:
    return role_of(job.net) if job.manifest.kind == "detector" else None

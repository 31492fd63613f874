"""Convert the real nets and check each on face crops: the table in docs/guides/conversion.md.

FaceNet goes to every kind of Caffe file, to ONNX, and to Core ML and Core AI in every precision where their packages
are installed; MTCNN's three nets to Caffe, ONNX, both formats of Core ML and Core AI.
Usage: python benchmarks/conversion.py SHARED [--docs docs/guides/conversion.md] [--only TEXT]
  SHARED  holds models/facenet/20180408-102900.pb, models/facenet/golden.npz and models/mtcnn/det1.prototxt and so on
  --docs  put the rows into the table between the markers of this file, each as soon as it is measured
  --only  measure the rows whose source or target holds TEXT; others stay in the file as they are
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, get_args

from faceall.convert import (
    CaffeOptions,
    Conversion,
    CoreaiOptions,
    CoremlOptions,
    FloorPool,
    ParityOptions,
    SourceOptions,
    convert,
)
from faceall.convert.targets.coreml.options import SUFFIXES, InputKind, Precision
from faceall.models import find_model

PACKAGES = {"coreml": "coremltools", "coreai": "coreai"}
"""Target -> the package without which its rows are not measured, and stay as they are."""
HEAD = "| source | target | compared with | max abs | mean abs | cosine, smallest | decisions flipped | MB | s |"
RULE = "|---|---|---|---:|---:|---:|---:|---:|---:|"
START, END = "<!-- table: python benchmarks/conversion.py -->", "<!-- end of table -->"


class Case(NamedTuple):
    """One conversion to measure; its options may hold those of the target."""

    title: str
    source: Path
    target: str
    options: dict[str, Any]
    suffix: str = ""


def cases(shared: Path) -> Iterator[Case]:
    graph, check = shared / "models/facenet/20180408-102900.pb", shared / "models/facenet/golden.npz"
    golden: dict[str, Any] = {"parity": ParityOptions(crops=check)}
    for style in ("keep", "fold"):
        yield Case(
            f"FaceNet, batch norm {style}", graph, "caffe", {**golden, "reading": SourceOptions(batch_norm=style)}
        )
    for pool in get_args(FloorPool)[1:]:
        yield Case(f"FaceNet, floor pool {pool}", graph, "caffe", {**golden, "target": CaffeOptions(floor_pool=pool)})
    yield Case(
        "FaceNet, bottleneck convolution", graph, "caffe", {**golden, "target": CaffeOptions(bottleneck="convolution")}
    )
    yield Case("FaceNet", graph, "onnx", golden, ".onnx")
    yield from coreml_cases("FaceNet", graph, golden)
    yield from coreai_cases("FaceNet", graph, golden)
    yield from coreai_cases("faceall-128", find_model("faceall-128").path, {})
    for number, name in enumerate(("P-Net", "R-Net", "O-Net"), 1):
        source = shared / f"models/mtcnn/det{number}.prototxt"
        yield Case(f"MTCNN's {name}", source, "caffe", {})
        yield Case(f"MTCNN's {name}", source, "onnx", {}, ".onnx")
        yield from coreml_cases(f"MTCNN's {name}", source, {}, input="array")
        yield from coreai_cases(f"MTCNN's {name}", source, {}, input="array")
    yield from coreai_cases("0095", shared / "models/omz/face-reidentification-retail-0095.xml", {})


def coreml_cases(title: str, source: Path, options: dict[str, Any], *, input: InputKind = "image") -> Iterator[Case]:
    detector = input == "array"
    for format, suffix in SUFFIXES.items():
        for precision in ("float32", "float16") if detector else get_args(Precision):
            coreml = CoremlOptions(format=format, precision=precision, input=input)
            yield Case(f"{title}, {precision}", source, "coreml", {**options, "target": coreml}, suffix)


def coreai_cases(title: str, source: Path, options: dict[str, Any], *, input: InputKind = "image") -> Iterator[Case]:
    for precision in ("float32", "float16"):
        coreai = CoreaiOptions(precision=precision, input=input)
        yield Case(f"{title}, {precision}", source, "coreai", {**options, "target": coreai}, ".aimodel")


def size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def target_of(case: Case) -> str:
    return f"{case.target}, {case.suffix}" if case.suffix and case.suffix != ".onnx" else case.target


def row(case: Case, folder: Path) -> str:
    started = time.perf_counter()
    done: Conversion = convert(case.source, folder / f"model{case.suffix}", **{"target": case.target, **case.options})
    seconds = time.perf_counter() - started
    report = done.report
    against = {"graph": "the graph", "given": "TensorFlow", "net": "the net before"}[report.reference]
    flips = f"{report.flips} of {report.pairs}" if report.pairs else "-"
    cells = [case.title, target_of(case), against, f"{report.maximum:.1e}", f"{report.mean:.1e}"]
    cells += [f"{report.cosine_min:.7f}", flips, f"{size_of(done.path) / 1e6:.1f}", f"{seconds:.0f}"]
    return f"| {' | '.join(cells)} |"


def put(docs: Path, rows: dict[tuple[str, str], str], order: list[tuple[str, str]]) -> None:
    """Replace the measured rows of the table; rows that are no longer measured are removed."""
    before, rest = docs.read_text(encoding="utf-8").split(START)
    table, after = rest.split(END)
    held = {key(line): line for line in table.splitlines() if line.startswith("| ")} | rows
    lines = [HEAD, RULE, *(held[name] for name in order if name in held)]
    docs.write_text("\n".join([before + START, "", *lines, "", END + after]), encoding="utf-8")


def key(line: str) -> tuple[str, str]:
    source, target, *_ = line.strip("| ").split(" | ")
    return source, target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, metavar="SHARED")
    parser.add_argument("--docs", type=Path, metavar="FILE")
    parser.add_argument("--only", default="", metavar="TEXT")
    options = parser.parse_args()
    every = list(cases(options.shared))
    order = [(case.title, target_of(case)) for case in every]
    print(f"{HEAD}\n{RULE}")
    for case, name in zip(every, order, strict=True):
        package = PACKAGES.get(case.target)
        if options.only not in " ".join(name) or (package and find_spec(package) is None):
            continue
        with tempfile.TemporaryDirectory() as folder:
            line = row(case, Path(folder))
        print(line, flush=True)
        if options.docs:
            put(options.docs, {name: line}, order)


if __name__ == "__main__":
    main()

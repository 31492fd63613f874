"""The conversions of the real nets, each proven on real crops: the table in docs/conversion.md.

FaceNet goes to every kind of Caffe file, to ONNX, to a smaller embedding, and to Core ML where coremltools is
installed; MTCNN's three nets to Caffe, ONNX and Core ML.
Usage: python benchmarks/conversion.py SHARED [--docs docs/conversion.md]
  SHARED  holds models/facenet/20180408-102900.pb, models/facenet/golden.npz and models/mtcnn/det1.prototxt and so on
  --docs  put the table between the markers of this file, in place of printing it
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, get_args

from faceall.convert import Conversion, CoremlOptions, FloorPool, convert

HAS_COREML = find_spec("coremltools") is not None
START, END = "<!-- table: python benchmarks/conversion.py -->", "<!-- end of table -->"


class Case(NamedTuple):
    title: str
    source: Path
    target: str
    options: dict[str, Any]
    suffix: str = ""


def cases(shared: Path) -> Iterator[Case]:
    graph, check = shared / "models/facenet/20180408-102900.pb", shared / "models/facenet/golden.npz"
    golden: dict[str, Any] = {"check": check}
    for style in ("keep", "fold"):
        yield Case(f"FaceNet, batch norm {style}", graph, "caffe", {**golden, "batch_norm": style})
    for pool in get_args(FloorPool)[1:]:
        yield Case(f"FaceNet, floor pool {pool}", graph, "caffe", {**golden, "floor_pool": pool})
    yield Case("FaceNet, bottleneck convolution", graph, "caffe", {**golden, "bottleneck": "convolution"})
    yield Case("FaceNet", graph, "onnx", golden, ".onnx")
    yield from coreml_cases("FaceNet", graph, golden)
    for number, name in enumerate(("P-Net", "R-Net", "O-Net"), 1):
        source = shared / f"models/mtcnn/det{number}.prototxt"
        yield Case(f"MTCNN's {name}", source, "caffe", {})
        yield Case(f"MTCNN's {name}", source, "onnx", {}, ".onnx")
        if HAS_COREML:
            options = {"coreml": CoremlOptions(input="array")}
            yield Case(f"MTCNN's {name}", source, "coreml", options, ".mlpackage")


def coreml_cases(title: str, source: Path, options: dict[str, Any]) -> Iterator[Case]:
    if not HAS_COREML:
        return
    for precision in ("float32", "float16", "int8", "palette8"):
        coreml = {"coreml": CoremlOptions(precision=precision)}
        yield Case(f"{title}, {precision}", source, "coreml", {**options, **coreml}, ".mlpackage")
    coreml = {"coreml": CoremlOptions(format="neuralnetwork")}
    yield Case(f"{title}, neural network", source, "coreml", {**options, **coreml}, ".mlmodel")


def size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def row(case: Case, folder: Path) -> str:
    started = time.perf_counter()
    done: Conversion = convert(case.source, folder / f"model{case.suffix}", target=case.target, **case.options)
    seconds = time.perf_counter() - started
    report = done.report
    against = {"graph": "the graph", "given": "TensorFlow", "net": "the net before"}[report.reference]
    flips = f"{report.flips} of {report.pairs}" if report.pairs else "-"
    cells = [case.title, case.target, against, f"{report.maximum:.1e}", f"{report.mean:.1e}"]
    cells += [f"{report.cosine_min:.7f}", flips, f"{size_of(done.path) / 1e6:.1f}", f"{seconds:.0f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, metavar="SHARED")
    parser.add_argument("--docs", type=Path, metavar="FILE")
    options = parser.parse_args()
    heads = ["source", "target", "compared with", "max abs", "mean abs", "cosine, smallest", "decisions flipped"]
    lines = [f"| {' | '.join([*heads, 'MB', 's'])} |", "|---|---|---|---:|---:|---:|---:|---:|---:|"]
    for case in cases(options.shared):
        with tempfile.TemporaryDirectory() as folder:
            lines.append(row(case, Path(folder)))
        print(lines[-1], flush=True)
    if options.docs:
        before, rest = options.docs.read_text(encoding="utf-8").split(START)
        text = "\n".join([before + START, "", *lines, "", END + rest.split(END)[1]])
        options.docs.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

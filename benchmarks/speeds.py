"""Measure everything that the README's table of speeds states, in one run, against the libraries that are installed.

Detection at several sizes, embedding, registration, searches from the shell, searches and building of an index. The
candidates of a row run in turns, detectors and embedders each in a process of its own, and medians are compared. Peers
need their own environment (see README.md); absent ones are named and left out.
Usage: python benchmarks/speeds.py --small LFW_DIR --photos PHOTO... [--million] [--rounds N] [--markdown FILE]
           [--json FILE] [--plot FILE.svg]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from apart import Run, alternate_apart
from growth import Growth, draw
from index_vectors import clustered
from measure import alternate, print_table, processor, write_json
from peers import DETECTORS, MIN_FACE, Find, face_recognition_embedder, facenet_pytorch_embedder
from register import SIZES, rate, scene
from search_decisions import export

from faceall import Detector, Embedder, Gallery, read_image
from faceall.caffe.engines.openvino import processor_flags
from faceall.detect import Cascade, MtcnnDetector
from faceall.images import write_image
from faceall.index import FaceIndex, GraphOptions
from faceall.types import Image
from faceall_cli.memory import share_memory_between_threads

SMALL = 8  # photos of LFW
LARGE = 24  # made photos of 12 megapixels
CROPS = 16
QUERIES = 200
START, END = "<!-- speeds -->", "<!-- end of speeds -->"

Row = dict[str, Any]


def detection(small: list[Image], photos: list[Image], rounds: int) -> Iterator[Row]:
    """Compare detectors on images of one size each: by default, with MTCNN's published thresholds, and by size rule."""
    sets: dict[tuple[int, int], list[Image]] = {}
    for image in (*small, *photos):
        sets.setdefault((image.shape[1], image.shape[0]), []).append(image)
    for (width, height), images in sets.items():
        finders = {"faceall": equal_detector, "faceall, published thresholds": published_detector}
        if Detector().smallest_face(width, height) > MIN_FACE:
            finders["faceall, size rule"] = ruled_detector
            finders["faceall, size rule and published thresholds"] = published_ruled_detector
        candidates = {name: partial(each, make, images) for name, make in {**finders, **DETECTORS}.items()}
        found = {name: 1e3 / len(images) * s for name, s in alternate_apart(candidates, rounds).items()}
        yield from _rows(f"detect, {width} x {height}", "ms", found)


def equal_detector() -> Find:
    """Return the detector with the smallest face of the peers."""
    detector = Detector(min_face=MIN_FACE)
    return lambda image: len(detector(image))


def published_detector() -> Find:
    """Return the same with MTCNN's published thresholds, as the peers have them."""
    detector = MtcnnDetector(min_face=MIN_FACE, cascade=Cascade(lenient=False))
    return lambda image: len(detector(image))


def ruled_detector() -> Find:
    """Return the detector as it comes: the smallest face depends on the size of the image."""
    detector = Detector()
    return lambda image: len(detector(image))


def published_ruled_detector() -> Find:
    """Return the detector with MTCNN's published thresholds and the size rule."""
    detector = MtcnnDetector(cascade=Cascade(lenient=False))
    return lambda image: len(detector(image))


def each(make: Callable[[], Find], images: list[Image]) -> Run:
    """Return a run of a detector over images."""
    find = make()
    return lambda: [find(image) for image in images]


def embedding(photos: list[Image], models: list[str], rounds: int) -> Iterator[Row]:
    """Compare embedders on equal crops of their input sizes, one at a time and in batches."""
    side = 160
    for count in (1, CROPS):
        crops = np.stack([cv2.resize(photos[n % len(photos)], (side, side)) for n in range(count)])
        candidates: dict[str, Callable[[], Run]] = {
            f"faceall ({name})": partial(embedder_run, name, crops) for name in models
        }
        candidates["facenet-pytorch"] = partial(facenet_pytorch_embedder, crops)
        candidates["face_recognition (dlib)"] = partial(face_recognition_embedder, crops)
        found = {name: 1e3 * s / count for name, s in alternate_apart(candidates, rounds).items()}
        yield from _rows(f"embed, {count} at a time", "ms per face", found)


def embedder_run(model: str, crops: Image) -> Run:
    """Return a run of an embedder on crops (N, H, W, 3), resized to its input size."""
    embedder = Embedder(model)
    own = np.stack([cv2.resize(crop, embedder.model.manifest.input_size) for crop in crops])
    return partial(embedder.embed_crops, own)


def registration(small: Path, portraits: list[Image], rounds: int) -> Iterator[Row]:
    """Measure photos per second of a folder and of made photos of 12 megapixels."""
    with tempfile.TemporaryDirectory() as made:
        for number in range(LARGE):
            write_image(Path(made) / f"{number}.jpg", scene(portraits, SIZES["12 MP"], number))
        height, width = read_image(min(small.rglob("*.jpg"))).shape[:2]
        count = sum(1 for _ in small.rglob("*.jpg"))
        for what, folder, workers in (
            (f"{width} x {height}, {count:,} photos", small, "auto"),
            ("the same with --workers 1", small, 1),
            (f"12 MP, {LARGE} photos", Path(made), "auto"),
        ):
            found = [rate(folder, workers=workers) for _ in range(min(rounds, 3))]
            yield _row(f"register, {what}", "photos/s", "faceall", statistics.median(speed for speed, _ in found))


def shell(portraits: list[Path], rounds: int) -> Iterator[Row]:
    """Measure a search of one photo from the shell, a new process each time, in a small and in a large gallery."""
    embedder = Embedder()
    for count in (0, 100_000):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "gallery"
            with Gallery.open(folder, embedder=embedder) as gallery:
                if count:
                    export(Path(place) / "vectors", clustered(count, embedder.size, count // 10), photos=10)
                    gallery.index.import_vectors(Path(place) / "vectors", made_by=embedder.model.name)
                gallery.register(portraits, names_from="none")
                size = len(gallery)
            command = [sys.executable, "-m", "faceall", "search", "--gallery", str(folder), str(portraits[0])]
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            run = partial(subprocess.run, command, check=True, capture_output=True, env=environment)
            yield _row(
                f"`faceall search` with one photo, a gallery of {size:,} faces", "s", "faceall", _median(run, rounds)
            )


def index(count: int, rounds: int) -> Iterator[Row]:
    """Compare building and searching an index with hnswlib in memory, at equal parameters."""
    import hnswlib

    options = GraphOptions()
    vectors = clustered(count + QUERIES, 128, count // 10)
    vectors, queries = vectors[:-QUERIES], vectors[-QUERIES:]
    with tempfile.TemporaryDirectory() as folder, FaceIndex(folder, options=options) as built:
        start = time.perf_counter()
        built.add(vectors)
        built.search(queries[0], 10)
        took = time.perf_counter() - start
        raw = hnswlib.Index(space="l2", dim=128)
        start = time.perf_counter()
        raw.init_index(count, M=options.links, ef_construction=options.build_effort)
        raw.set_num_threads(options.thread_count)
        raw.add_items(vectors, np.arange(count))
        yield from _rows(f"build an index of {count:,}", "s", {"faceall": took, "hnswlib": time.perf_counter() - start})
        built.save()
        raw.set_ef(_effort(built))
        runs: dict[str, Callable[[], Any]] = {
            "faceall": lambda: [built.search(query, 10) for query in queries],
            "hnswlib": lambda: [raw.knn_query(query, 10) for query in queries],
        }
        found = {name: 1e3 * seconds / QUERIES for name, seconds in alternate(runs, rounds).items()}
        yield from _rows(f"search among {count:,}, the worst case", "ms", found)


def growth(portraits: list[Image], small: Path, rounds: int) -> list[Growth]:
    """Measure how time grows with pixels and faces of an image, and with photos of a registration."""
    detector = Detector()
    pixels, faces = [], []
    for height in (480, 756, 1080, 1512, 2160, 3024):
        image = scene(portraits, (height, height * 4 // 3), 1)
        pixels.append((image.shape[0] * image.shape[1], _median(partial(detector, image), rounds)))
    for count in (1, 2, 4, 8, 16, 32):
        crowd = np.full((1080, 1440, 3), 128, np.uint8)
        for number in range(count):
            x, y = number % 8 * 180, number // 8 * 270
            crowd[y : y + 180, x : x + 180] = cv2.resize(portraits[0], (180, 180))
        faces.append((count, _median(partial(detector, crowd), rounds)))
    files = sorted(small.rglob("*.jpg"))
    height, width = read_image(files[0]).shape[:2]
    photos = [(count, _registering(files[:count])) for count in (25, 50, 100, 200, 400) if count <= len(files)]
    return [
        Growth("pixels of an image", "detection, s", pixels),
        Growth("faces in an image of 1440 x 1080", "detection, s", faces),
        Growth(f"photos of {width} x {height} pixels", "registration, s", photos),
    ]


def _registering(files: list[Path]) -> float:
    """Return the seconds to register files into a new gallery, with loaded models."""
    with tempfile.TemporaryDirectory() as place, Gallery.open(Path(place) / "gallery") as gallery:
        gallery.warm_up()
        return _median(partial(gallery.register, files, names_from="none"), 1, warm=False)


def _effort(built: FaceIndex) -> int:
    """Return the search effort that an index has chosen for ten neighbours."""
    graph = built._memory.graph
    return 200 if graph is None else graph.effort_for(10)


def _median(run: Callable[[], Any], rounds: int, *, warm: bool = True) -> float:
    """Return the median seconds of a run."""
    if warm:
        run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _row(what: str, unit: str, who: str, value: float, ratio: float | None = None) -> Row:
    return {"what": what, "who": who, "value": value, "unit": unit, "ratio": "" if ratio is None else ratio}


def _rows(what: str, unit: str, found: dict[str, float]) -> Iterator[Row]:
    """Yield one row per candidate; the ratio is its time over that of the first."""
    first = next(iter(found.values()))
    for who, value in found.items():
        yield _row(what, unit, who, value, value / first)


def markdown(rows: list[Row]) -> str:
    """Format rows as a Markdown table, one line for each thing that is measured, with the processor above it."""
    machine = processor() + (" with AMX" if "amx_bf16" in processor_flags() else "")
    lines = [
        f"Medians on {machine} (`benchmarks/speeds.py`). All were measured in turns, each detector and embedder in "
        "its own process. Faces are sought from 20 pixels on, as in the other libraries; by default faceall ignores "
        'smaller ones in large photos ("size rule"). "Published thresholds" are those of MTCNN\'s authors.',
        "",
        "| what | faceall | others, as a multiple of faceall's time |",
        "|---|---:|---|",
    ]
    for what in dict.fromkeys(row["what"] for row in rows):
        own, *others = [row for row in rows if row["what"] == what]
        listed = ", ".join(f"{row['who'].removeprefix('faceall, ')} {_short(row['ratio'], 2)}" for row in others)
        lines.append(f"| {what} | {_short(own['value'])} {own['unit']} | {listed} |")
    return "\n".join(lines) + "\n"


def _short(value: float, digits: int = 3) -> str:
    """Format a number with so many digits, or all before the point."""
    return f"{value:,.0f}" if value >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def put(table: str, path: Path) -> None:
    """Replace the table between the marks in a file; without a file or marks write a new file."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"{START}\n{END}\n"
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise SystemExit(f"{path}: has no lines {START} and {END}")
    path.write_text(f"{before}{start}\n{table}{end}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=Path, required=True, metavar="LFW_DIR", help="A folder of small photos.")
    parser.add_argument("--photos", type=Path, nargs="+", required=True, metavar="PHOTO", help="Larger photos.")
    parser.add_argument("--models", nargs="+", default=["faceall-128"], metavar="NAME", help="Installed embedders.")
    parser.add_argument("--million", action="store_true", help="Also build and search an index of a million vectors.")
    parser.add_argument("--only", nargs="+", metavar="PART", help="Of detect, embed, register, search, index.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="Where the table replaces the old one.")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="Also measure and plot how the cost grows.")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    if given.only and given.markdown is not None:
        parser.error("--markdown replaces the whole table, so it needs all parts: leave --only out")
    share_memory_between_threads()  # as `faceall register` does
    small = [read_image(path) for path in sorted(given.small.rglob("*.jpg"))[:SMALL]]
    photos = [read_image(path) for path in given.photos]
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "detect": lambda: detection(small, photos, given.rounds),
        "embed": lambda: embedding(photos, given.models, given.rounds),
        "register": lambda: registration(given.small, photos, given.rounds),
        "search": lambda: shell(given.photos, given.rounds),
        "index": lambda: (
            row
            for count in ((100_000, 1_000_000) if given.million else (100_000,))
            for row in index(count, given.rounds)
        ),
    }
    rows = [row for name, part in parts.items() if not given.only or name in given.only for row in part()]
    print_table(rows)
    write_json(given.json, rows)
    if given.markdown is not None:
        put(markdown(rows), given.markdown)
    if given.plot is not None:
        draw(growth(photos, given.small, given.rounds), given.plot)


if __name__ == "__main__":
    main()

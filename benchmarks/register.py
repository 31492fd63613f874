"""Measure how many photos per second are registered: 12 and 48 megapixels, and a folder as it is.

The large photos are made: group photos and portraits scaled up, with noise as of a sensor and up to three more faces
pasted at random places, as JPEG with quality 90. Each size is registered into a new gallery, first with a smallest face
of 20 pixels at every size, then with the size rule, in turns, and with --workers also with the size rule in that many
processes, whose start counts, or in as many as `faceall register` chooses. The processor seconds per photo tell what a
busy machine hides.
Usage: python benchmarks/register.py PORTRAIT... [--folder DIR] [--photos N] [--workers N|auto] [--rounds N]
           [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from measure import print_table, write_json

from faceall import Embedder, Gallery, read_image
from faceall.gallery.registration.local_workers import local_workers
from faceall.images import write_image
from faceall.types import Image
from faceall_cli.memory import share_memory_between_threads

SIZES = {"12 MP": (3024, 4032), "48 MP": (6048, 8064)}
RULES = {"20 pixels": 20.0, "size rule": None}
NOISE = 4.0  # gray values, standard deviation
MODEL = "faceall-128"

Workers: TypeAlias = int | Literal["auto"]


def scene(portraits: list[Image], shape: tuple[int, int], number: int) -> Image:
    """Return a portrait that fills the scene, with others pasted on it."""
    height, width = shape
    chance = random.Random(number)
    image = _filling(portraits[number % len(portraits)], height, width)
    for _ in range(chance.choice((0, 1, 2, 3))):
        side = int(chance.uniform(0.08, 0.3) * height)
        left, top = chance.randrange(width - side), chance.randrange(height - side)
        image[top : top + side, left : left + side] = _filling(chance.choice(portraits), side, side)
    noise = np.random.default_rng(number).normal(0, NOISE, shape).astype(np.float32)
    return np.clip(image + noise[:, :, None], 0, 255).astype(np.uint8)


def _filling(image: Image, height: int, width: int) -> Image:
    """Scale an image so that it covers a size, and cut it there."""
    scale = max(height / image.shape[0], width / image.shape[1])
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[:height, :width])


def rate(folder: Path, min_face: float | None = None, workers: Workers = 1) -> tuple[float, float]:
    """Register into a new gallery, with loaded models; return photos per second, and processor seconds per photo.

    The embedder is the included one, whatever else is installed. The processes of `workers` load their models during
    the registration.
    """
    team = workers if workers == "auto" else local_workers(workers) if workers > 1 else None
    embedder = Embedder(MODEL)
    with tempfile.TemporaryDirectory() as place, Gallery.open(Path(place) / "gallery", embedder=embedder) as gallery:
        gallery.warm_up()
        start, used = time.perf_counter(), sum(os.times()[:4])
        photos = len(gallery.register(folder, names_from="none", min_face=min_face, workers=team))
        return photos / (time.perf_counter() - start), (sum(os.times()[:4]) - used) / photos


def measure(name: str, folder: Path, rounds: int, workers: Workers) -> dict[str, Any]:
    """Register a folder by each rule in turns; return a row of medians."""
    ways: dict[str, tuple[float | None, Workers]] = {rule: (min_face, 1) for rule, min_face in RULES.items()}
    if workers != 1:
        ways[f"--workers {workers}"] = None, workers
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, options in ways.items():
            found[way].append(rate(folder, *options))
    row: dict[str, Any] = {"photos": name}
    for rule, values in found.items():
        row[f"{rule}, photos/s"] = statistics.median(value for value, _ in values)
        row[f"{rule}, processor s/photo"] = statistics.median(value for _, value in values)
    return row


def count_or_auto(text: str) -> Workers:
    return "auto" if text == "auto" else max(1, int(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", nargs="+", type=Path, metavar="PORTRAIT")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="Also measure the photos in this folder.")
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--workers", type=count_or_auto, default=1, metavar="N|auto", help="Also measure N processes.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    share_memory_between_threads()  # as `faceall register` does
    portraits = [read_image(path) for path in options.portraits]
    rows: list[dict[str, Any]] = []
    for name, shape in SIZES.items():
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            for number in range(options.photos):
                write_image(folder / f"{number}.jpg", scene(portraits, shape, number))
            rows.append(measure(name, folder, options.rounds, options.workers))
    if options.folder is not None:
        rows.append(measure(options.folder.name, options.folder, options.rounds, options.workers))
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

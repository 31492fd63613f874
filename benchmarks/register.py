"""Measure how many photos per second are registered, at several sizes.

The photos are portraits on a scene, written as JPEG with quality 90; each size is registered into a new gallery, first
with a smallest face of 20 pixels at every size, then with the size rule, in turns.
Usage: python benchmarks/register.py PORTRAIT... [--photos N] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import print_table, write_json

from faceall import Gallery, read_image
from faceall.images import write_image
from faceall.types import Image

SIZES = {"12 MP": (3024, 4032), "48 MP": (6048, 8064)}
RULES = {"20 pixels": 20.0, "size rule": None}


def scene(portrait: Image, shape: tuple[int, int], number: int) -> Image:
    """Return a textured scene with a portrait whose height is half of the scene."""
    height, width = shape
    random = np.random.default_rng(number)
    noise = random.integers(60, 200, (height // 64, width // 64, 3), np.uint8)
    image = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    scale = height / 2 / portrait.shape[0]
    large = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    left = min(width // 4, width - large.shape[1])
    image[height // 4 : height // 4 + large.shape[0], left : left + large.shape[1]] = large
    return np.asarray(image, np.uint8)


def rate(folder: Path, photos: int, min_face: float | None) -> float:
    """Return photos per second of a registration into a new gallery; the models are loaded before."""
    with tempfile.TemporaryDirectory() as place, Gallery.open(Path(place) / "gallery") as gallery:
        gallery.warm_up()
        start = time.perf_counter()
        gallery.register(folder, names_from="none", min_face=min_face)
        return photos / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", nargs="+", type=Path, metavar="PORTRAIT")
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    portraits = [read_image(path) for path in options.portraits]
    rows: list[dict[str, Any]] = []
    for name, shape in SIZES.items():
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            for number in range(options.photos):
                portrait = portraits[number % len(portraits)]
                write_image(folder / f"{number}.jpg", scene(portrait, shape, number))
            rates: dict[str, list[float]] = {rule: [] for rule in RULES}
            for _ in range(options.rounds):
                for rule, min_face in RULES.items():
                    rates[rule].append(rate(folder, options.photos, min_face))
        row: dict[str, Any] = {"size": name}
        row |= {f"{rule}, photos/s": statistics.median(found) for rule, found in rates.items()}
        rows.append(row)
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

"""Measure the speed of face detection, compared with facenet-pytorch 2.6 and mtcnn 1.0.0.

Needs an environment with these libraries (see README.md). All detectors return every face with landmarks; smallest
face 20 pixels, thresholds 0.6 0.7 0.7, factor 0.709, images decoded beforehand, two threads.
Usage: python benchmarks/detect.py PHOTO... [--mtcnn] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from measure import alternate, print_table, write_json
from peers import Find, facenet_pytorch, mtcnn

from faceall import Detector, read_image
from faceall.types import Image


def all_of(find: Find, images: list[Image]) -> int:
    """Count the faces of all images."""
    return sum(find(image) for image in images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTO")
    parser.add_argument("--mtcnn", action="store_true", help="measure mtcnn 1.0.0 as well")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    detector = Detector()
    finders: dict[str, Find] = {
        "facenet-pytorch": facenet_pytorch(),
        "faceall": lambda image: len(detector(image)),
    }
    if options.mtcnn:
        finders["mtcnn"] = mtcnn()
    by_size: dict[tuple[int, int], list[Image]] = {}
    for path in options.photos:
        image = read_image(path)
        by_size.setdefault((image.shape[1], image.shape[0]), []).append(image)
    rows: list[dict[str, Any]] = []
    for (width, height), images in by_size.items():
        candidates: dict[str, Callable[[], Any]] = {
            name: partial(all_of, find, images) for name, find in finders.items()
        }
        if len(images) > 1:
            candidates["faceall, detect_batch"] = partial(Detector().detect_batch, images)
        seconds = alternate(candidates, options.rounds)
        for name, value in seconds.items():
            rows.append(
                {
                    "images": f"{len(images)} of {width} x {height}",
                    "detector": name,
                    "faces": all_of(finders[name.split(",")[0]], images),
                    "ms per image": value / len(images) * 1e3,
                    "ratio": seconds["facenet-pytorch"] / value,
                }
            )
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

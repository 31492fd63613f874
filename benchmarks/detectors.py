"""Measure what each detector finds: recall by size, unmatched boxes, point error and milliseconds.

- `--scenes DIR`: photos with annotated boxes, as images/NAME.jpg and annotations/NAME.xml (Pascal VOC); `--pattern`
  chooses the annotations. A face is found if a box overlaps it by 0.4 (intersection over union, one to one). Sizes are
  heights of the annotated faces.
- `--photos DIR`: photos without annotations. Found faces are compared with those of the strict MTCNN cascade.
- `--points DIR`: images with 68 points each, as a folder and FOLDER_frames_keypoints.csv beside it. The error is the
  mean distance of five points, divided by the distance of the eyes.

Detectors: the strict MTCNN cascade, MTCNN as it is used by default, and every installed detector. One image at a time.
Usage: python benchmarks/detectors.py [--scenes DIR] [--photos DIR ...] [--points DIR] [--every N] [--json FILE]
"""

from __future__ import annotations

import argparse
import csv
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import print_table, write_json

from faceall import Detector, Faces, read_image
from faceall.detect import Cascade, MtcnnDetector, installed_detectors
from faceall.detect.boxes import overlaps
from faceall.types import Array, Image

OVERLAP = 0.4
BINS = ((0, 20), (20, 40), (40, 80), (80, 10_000))
EYES, NOSE, MOUTH = ((36, 42), (42, 48)), 30, (48, 54)  # of 68 points; an eye is the mean of six

Find = Callable[[Image], Faces]


def detectors() -> dict[str, Find]:
    """Return all detectors by name."""
    others: dict[str, Find] = {name: Detector(name, rotate=False) for name in installed_detectors()[1:]}
    return {"mtcnn, strict": MtcnnDetector(cascade=Cascade(lenient=False)), "mtcnn": Detector(rotate=False), **others}


def annotated(folder: Path, pattern: str) -> Iterator[tuple[Image, Array]]:
    """Yield the photos of a folder with their boxes (N, 4)."""
    for file in sorted((folder / "annotations").glob(pattern)):
        objects = ElementTree.parse(file).getroot().iter("object")
        corners = ("xmin", "ymin", "xmax", "ymax")
        boxes = [[float(face.findtext(f"bndbox/{key}") or 0) for key in corners] for face in objects]
        yield read_image(folder / "images" / f"{file.stem}.jpg"), np.array(boxes, np.float32).reshape(-1, 4)


def matched(truth: Array, boxes: Array) -> Array:
    """Match boxes one to one, best overlaps first; return the number of the box of each face, or -1: (N,)."""
    found = np.full(len(truth), -1)
    shared = overlaps(truth, boxes)
    while shared.size and shared.max() >= OVERLAP:
        face, box = np.unravel_index(shared.argmax(), shared.shape)
        found[face] = box
        shared[face], shared[:, box] = -1, -1
    return found


def timed(find: Find, image: Image) -> tuple[Faces, float]:
    """Find the faces of an image; return them with the milliseconds of processor time."""
    start = time.process_time()
    faces = find(image)
    return faces, (time.process_time() - start) * 1e3


def scenes(photos: Iterable[tuple[Image, Array]]) -> list[dict[str, Any]]:
    """Measure recall by size and unmatched boxes on annotated photos."""
    finders = detectors()
    hits = {name: np.zeros(len(BINS)) for name in finders}
    unmatched, spent = dict.fromkeys(finders, 0), dict.fromkeys(finders, 0.0)
    totals, count = np.zeros(len(BINS)), 0
    for image, truth in photos:
        heights = truth[:, 3] - truth[:, 1]
        groups = [(heights >= low) & (heights < high) for low, high in BINS]
        totals += [group.sum() for group in groups]
        count += 1
        for name, find in finders.items():
            faces, milliseconds = timed(find, image)
            found = matched(truth, faces.boxes)
            hits[name] += [(found[group] >= 0).sum() for group in groups]
            unmatched[name] += len(faces) - int((found >= 0).sum())
            spent[name] += milliseconds
    names = [f"{low}-{high}" if high < 1000 else f"{low}+" for low, high in BINS]
    print(f"{count} photos, {int(totals.sum())} faces")
    return [
        {
            "detector": name,
            **{f"recall {size}": float(share) for size, share in zip(names, hits[name] / totals, strict=True)},
            "unmatched boxes": unmatched[name],
            "CPU ms": spent[name] / count,
        }
        for name in finders
    ]


def plain(paths: list[Path]) -> list[dict[str, Any]]:
    """Compare the detectors with the strict cascade on photos without annotations."""
    finders = detectors()
    rows = {
        name: {
            "detector": name,
            "photos": len(paths),
            "faces": 0,
            "photos without": 0,
            "lost": 0,
            "further": 0,
            "ms": 0.0,
        }
        for name in finders
    }
    for path in paths:
        image = read_image(path)
        strict: Faces | None = None
        for name, find in finders.items():
            faces, milliseconds = timed(find, image)
            strict = faces if strict is None else strict
            kept = int((matched(strict.boxes, faces.boxes) >= 0).sum())
            row = rows[name]
            row["faces"] += len(faces)
            row["photos without"] += not len(faces)
            row["lost"] += len(strict) - kept
            row["further"] += len(faces) - kept
            row["ms"] += milliseconds / len(paths)
    return [{**{key: value for key, value in row.items() if key != "ms"}, "CPU ms": row["ms"]} for row in rows.values()]


def five_points(values: list[float]) -> Array:
    """Return the centres of the eyes, the nose and the corners of the mouth of 68 points: (5, 2)."""
    points = np.array(values, np.float32).reshape(68, 2)
    return np.stack([*(points[low:high].mean(axis=0) for low, high in EYES), points[NOSE], *points[list(MOUTH)]])


def points(folder: Path, every: int) -> list[dict[str, Any]]:
    """Measure the error of the five points."""
    with (folder.parent / f"{folder.name}_frames_keypoints.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:][::every]
    finders = detectors()
    errors: dict[str, list[float]] = {name: [] for name in finders}
    for name, *values in lines:
        truth = five_points([float(value) for value in values])
        image = read_image(folder / name)
        for detector, find in finders.items():
            faces = find(image)
            around = np.linalg.norm(faces.landmarks.mean(axis=1) - truth.mean(axis=0), axis=1)
            eyes = float(np.linalg.norm(truth[1] - truth[0]))
            near = np.flatnonzero(around < eyes)
            distances = (
                np.linalg.norm(faces.landmarks[near[around[near].argmin()]] - truth, axis=1) if len(near) else []
            )
            errors[detector].append(float(np.mean(distances)) / eyes if len(near) else np.nan)
    found = np.array(list(errors.values()))
    common = np.isfinite(found).all(axis=0)
    return [
        {
            "detector": name,
            "faces": len(lines),
            "not found": int(np.isnan(row).sum()),
            "error, all": float(np.nanmean(row)),
            "error, found by all": float(row[common].mean()),
            "error, 95th percentile": float(np.percentile(row[common], 95)),
        }
        for name, row in zip(finders, found, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path)
    parser.add_argument("--pattern", default="*.xml", help="of the annotation files")
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--points", type=Path)
    parser.add_argument("--every", type=int, default=1, help="measure every Nth image only")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.scenes:
        photos = list(annotated(options.scenes, options.pattern))[:: options.every]
        rows += _shown(f"scenes: {options.scenes.name}", scenes(photos))
    for folder in options.photos:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        rows += _shown(f"photos: {folder.name}", plain(paths[:: options.every]))
    if options.points:
        rows += _shown(f"points: {options.points.name}", points(options.points, options.every))
    write_json(options.json, rows)


def _shown(title: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print a table and return its rows."""
    print(f"\n{title}")
    print_table(rows)
    return [{"on": title, **row} for row in rows]


if __name__ == "__main__":
    main()

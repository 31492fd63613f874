"""Measure which faces the size rule misses, and which of those could have been recognised.

Faces of known people are pasted at known sizes into a scene of 12 megapixels. Each is searched for with a smallest face
of 20 pixels and with several shares of the shorter side, and compared with another photo of the person.
Usage: python benchmarks/smallest_face.py LFW_DIR [--people N] [--json FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import print_table, write_json

from faceall import Detector, Embedder, Faces, read_image
from faceall.types import Float32Array, Image

SCENE = (3024, 4032)
SIZES = (24, 32, 40, 50, 60, 75, 100)
SHARES = (1 / 100, 1 / 75, 1 / 60, 1 / 50, 1 / 40)


def primary(faces: Faces) -> Faces:
    """Return the face nearest to the middle of an LFW photo."""
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    return faces.take([int(np.argmin(((centres - 125) ** 2).sum(axis=1)))])


def paste(portraits: list[tuple[Image, Faces]], size: int) -> tuple[Image, Float32Array]:
    """Paste portraits so that each face has `size` pixels; return the scene and the centres of the faces."""
    scene = np.full((*SCENE, 3), 120, np.uint8)
    scene += np.linspace(0, 100, SCENE[1]).astype(np.uint8)[None, :, None]
    columns, centres = 8, []
    for number, (image, face) in enumerate(portraits):
        x0, y0, x1, y1 = face.boxes[0]
        scale = size / float((x1 - x0 + y1 - y0) / 2)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        left, top = 20 + number % columns * 490, 20 + number // columns * 490
        height, width = min(small.shape[0], 470), min(small.shape[1], 470)
        scene[top : top + height, left : left + width] = small[:height, :width]
        centres.append((left + scale * (x0 + x1) / 2, top + scale * (y0 + y1) / 2))
    return scene, np.array(centres, np.float32)


def nearest(faces: Faces, centre: Float32Array, size: int) -> int | None:
    """Return the face whose centre lies within half a face of a place."""
    if not len(faces):
        return None
    away = np.linalg.norm((faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 - centre, axis=1)
    return int(np.argmin(away)) if away.min() < size / 2 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    embedder, finder = Embedder(), Detector(min_face=20, rotate=False)
    portraits: list[tuple[Image, Faces]] = []
    known: list[Float32Array] = []
    for folder in sorted(options.lfw.iterdir()):
        photos = sorted(folder.glob("*.jpg"))
        if len(photos) < 2 or len(portraits) >= min(options.people, 48):
            continue
        first, second = read_image(photos[0]), read_image(photos[1])
        faces = [finder(first), finder(second)]
        if all(map(len, faces)):
            portraits.append((first, primary(faces[0])))
            known.append(embedder.embed_crops(embedder.crop(second, primary(faces[1])))[0])
    limit = embedder.model.manifest.match_threshold
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        scene, centres = paste(portraits, size)
        faces = finder(scene)
        places = [nearest(faces, centre, size) for centre in centres]
        vectors = embedder.embed_crops(embedder.crop(scene, faces)) if len(faces) else np.zeros((0, embedder.size))
        recognised = [
            place is not None and limit is not None and float(((vectors[place] - known[n]) ** 2).sum()) <= limit
            for n, place in enumerate(places)
        ]
        row: dict[str, Any] = {"px": size, "found at 20 px": sum(place is not None for place in places)}
        row["recognised"] = sum(recognised)
        for share in SHARES:
            by_rule = Detector(min_face=max(20, share * SCENE[0]), rotate=False)(scene)
            found = [nearest(by_rule, centre, size) is not None for centre in centres]
            lost = sum(is_one and not there for is_one, there in zip(recognised, found, strict=True))
            row[f"1/{1 / share:.0f}: found (lost)"] = f"{sum(found)} ({lost})"
        rows.append({"faces": len(centres), **row})
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

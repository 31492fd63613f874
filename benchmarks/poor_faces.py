"""Cut off, shrink and blur the faces of photos: what the quality measures say, and how far the vector moves.

The limits of `faceall.analysis.quality` can be judged by it. Every photo is cropped to its face with half a side of
room and degraded; medians over the photos.

Usage: python benchmarks/poor_faces.py FOLDER [--model NAME] [--photos N] [--json FILE]
  FOLDER  whole photos
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from measure import print_table, write_json

from faceall import Detector, Embedder
from faceall.analysis import primary_face
from faceall.analysis.quality import MAX_CUT, MIN_SHARPNESS, MIN_SIZE, cut, sharpness
from faceall.images import find_images, read_image
from faceall.types import Face, Image

SMALLEST = 70  # pixels of a face that is used


def degraded(image: Image, face: Face) -> Iterator[tuple[str, Image]]:
    """Yield the name of each degradation and the image."""
    x0, y0, x1, y1 = face.box.astype(int).tolist()
    wide, high = x1 - x0, y1 - y0
    left, top = max(0, x0 - wide // 2), max(0, y0 - high // 2)
    right, bottom = min(image.shape[1], x1 + wide // 2), min(image.shape[0], y1 + high // 2)
    for share in (0.1, 0.2, 0.3, 0.4):
        across, down = int(share * wide), int(share * high)
        yield f"cut {share:.0%} left", image[top:bottom, x0 + across : right]
        yield f"cut {share:.0%} above", image[y0 + down : bottom, left:right]
        yield f"cut {share:.0%} below", image[top : y1 - down, left:right]
    whole = image[top:bottom, left:right]
    for side in (48, 32, 24, 16):
        yield f"{side} pixels", cv2.resize(whole, None, fx=side / wide, fy=side / wide, interpolation=cv2.INTER_AREA)
    for share in (0.02, 0.03, 0.05):
        yield f"blurred by {share:.0%} of the width", cv2.GaussianBlur(whole, (0, 0), share * wide)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--json")
    options = parser.parse_args()
    detector, embedder = Detector(), Embedder(options.model)
    paths = sorted(find_images([options.folder]))
    chosen = np.random.default_rng(5).permutation(len(paths))[: options.photos]
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    used = 0
    for path in (paths[number] for number in chosen):
        image = read_image(path)
        (faces,) = detector.detect_batch([image])
        row = primary_face(faces, image.shape) if len(faces) else -1
        if row < 0 or cut(image.shape, faces[row]) > 0 or faces.boxes[row, 2] - faces.boxes[row, 0] < SMALLEST:
            continue
        used += 1
        (vector,) = embedder.embed_crops(embedder.crop(image, faces.take([row])))
        for name, part in degraded(image, faces[row]):
            whole = np.ascontiguousarray(part)
            (seen,) = detector.detect_batch([whole])
            if not len(seen):
                continue
            place = primary_face(seen, whole.shape)
            face = seen[place]
            (moved,) = embedder.embed_crops(embedder.crop(whole, seen.take([place])))
            size = float(face.box[2] - face.box[0] + face.box[3] - face.box[1]) / 2
            found[name].append((cut(whole.shape, face), size, sharpness(whole, face), 2 - 2 * float(vector @ moved)))
    rows = []
    for name, values in found.items():
        table = np.array(values)
        poor = (table[:, 0] > MAX_CUT) | (table[:, 1] < MIN_SIZE) | (table[:, 2] < MIN_SHARPNESS)
        medians = dict(zip(("cut", "size", "sharpness", "moved"), np.median(table, axis=0).tolist(), strict=True))
        rows.append({"face": name, "found": len(values) / used} | medians | {"poor": float(poor.mean())})
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

"""Cut the candidates that MTCNN's first two nets find in labelled photos.

    python photos.py CROPS --labels labels.npz [--labels more.npz] [--versions 2] [--masks 0.1] [--seed 0]

The photos are whole, so that the candidates are those of a real scene. Each is used at several sizes and light
conditions, mirrored or not, in some with masks drawn over the faces. A tenth of the photos is used with `--held-out`
only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from label import SURE
from scenes import FLOORS, Labels, Random, Scene, degraded, draw_mask, examples

from faceall.detect import Cascade, MtcnnDetector
from faceall.types import Array

FACE_SIDES = (14, 130)  # pixels; the middle face of a version gets a side between these
SIZES = (200, 560)  # least and largest longer side of a version, in pixels
FLIPPED = [1, 0, 2, 4, 3]  # the five points of a mirrored face


def version(labels: Labels, number: int, masks: float, random: Random) -> Scene:
    """Return a photo at a random size and light, with its faces."""
    image, boxes, points, scores = labels.photo(number)
    boxes, points = boxes.astype(np.float64), points.astype(np.float64)
    if random.random() < masks:
        image = image.copy()
        for face in points[random.random(len(points)) < 0.7]:
            if np.isfinite(face).all():
                draw_mask(image, face, random)
    scale = random_scale(max(image.shape[:2]), boxes[scores > SURE] if (scores > SURE).any() else boxes, random)
    stretch = np.exp(random.normal(0, 0.05, 2)) * scale
    size = np.maximum(np.round(np.array(image.shape[1::-1]) * stretch), 24).astype(int)
    method = cv2.INTER_AREA if scale < 1 and random.random() < 0.8 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(image, size.tolist(), interpolation=method), np.uint8)
    boxes, points = boxes * np.tile(stretch, 2), points * stretch
    if random.random() < 0.5:
        resized = np.ascontiguousarray(resized[:, ::-1])
        boxes = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [size[0], 0] * 2
        points = (points * [-1, 1] + [size[0], 0])[:, FLIPPED]
    if random.random() < 0.7:
        resized = degraded(resized, random)
    return Scene(resized, boxes, points, scores > SURE)


def random_scale(longer: int, boxes: Array, random: Random) -> float:
    """Return a scale for a photo with a longer side in pixels that gives it and its middle face a size in range."""
    low, high = np.log(SIZES[0] / longer), np.log(min(SIZES[1] / longer, 1.5))
    if len(boxes):
        middle = np.median(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)))
        low, high = max(low, np.log(FACE_SIDES[0] / middle)), min(high, np.log(FACE_SIDES[1] / middle))
    return float(np.exp(random.uniform(low, max(low, high))))


def main() -> None:
    """Write the crops of all photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--labels", type=Path, action="append", required=True)
    parser.add_argument("--versions", type=int, default=2)
    parser.add_argument("--masks", type=float, default=0.0, help="share of the versions with drawn masks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", action="store_true")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    detector = MtcnnDetector(min_face=13, cascade=Cascade(thresholds=(*FLOORS, 0.7), lenient=False))
    parts: list[dict[str, Array]] = []
    for file in options.labels:
        labels = Labels.read(file, options.held_out)
        numbers = np.repeat(np.arange(len(labels.paths)), options.versions).tolist()
        parts += [examples(version(labels, number, options.masks, random), detector, random) for number in numbers]
        print(file, sum(len(part["kind"]) for part in parts), flush=True)
    part_file = options.crops.with_suffix(".part.npz")
    np.savez(part_file, **{key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
    part_file.rename(options.crops)


if __name__ == "__main__":
    main()

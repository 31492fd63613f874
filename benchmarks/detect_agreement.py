"""Compare the detected faces with those of other MTCNN implementations.

Two steps, because the references live in environments of their own:

    python benchmarks/detect_agreement.py reference mtcnn  -o mtcnn.json  PHOTOS...   # needs mtcnn and TensorFlow
    python benchmarks/detect_agreement.py reference opencv -o opencv.json PHOTOS... --nets FOLDER   # OpenCV 4, det1-3
    python benchmarks/detect_agreement.py compare mtcnn.json opencv.json

PHOTOS are images or folders. `compare` reads the same images, prints a table, and ends with status 1 where a
sure face of a reference (score 0.95 or more) is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SURE = 0.95
SAME_FACE = 0.9
SUFFIXES = {".jpg", ".jpeg", ".png"}
STANDARD_NETS = ("det1", "det2", "det3")

Found = list[dict[str, Any]]  # one entry for each face: "box" x0 y0 x1 y1, "score", "landmarks" 5 x (x, y)


def photos(paths: Iterable[str]) -> list[Path]:
    """List the images in `paths`, searching folders recursively, sorted."""
    found: list[Path] = []
    for path in map(Path, paths):
        found += sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    return found


def read_rgb(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


# --------------------------------------------------------------------------------------------------- references


def mtcnn_reference() -> Callable[[np.ndarray], Found]:
    """Return the PyPI package mtcnn 1.0.0 with its defaults."""
    from mtcnn import MTCNN

    detector = MTCNN()

    def detect(image: np.ndarray) -> Found:
        rows = detector.detect_faces(image, output_type="numpy", box_format="xyxy")
        return [
            {"box": row[1:5].tolist(), "score": float(row[5]), "landmarks": row[6:16].reshape(2, 5).T.tolist()}
            for row in np.asarray(rows).reshape(-1, 16)
        ]

    return detect


def opencv_reference(folder: str) -> Callable[[np.ndarray], Found]:
    """Return a plain cascade: OpenCV's Caffe importer runs det1-3, one image size after the other."""
    nets = [
        cv2.dnn.readNetFromCaffe(f"{folder}/{name}.prototxt", f"{folder}/{name}.caffemodel") for name in STANDARD_NETS
    ]
    return lambda image: _plain_cascade(image, nets)


def _blob(images: list[np.ndarray]) -> np.ndarray:
    """Return (n, 3, W, H): the nets were trained on transposed images."""
    return (np.stack(images).astype(np.float32).transpose(0, 3, 2, 1) - 127.5) * 0.0078125


def _plain_cascade(image: np.ndarray, nets: list[Any], min_face: int = 20, factor: float = 0.709) -> Found:
    boxes = _plain_proposals(image, nets[0], min_face, factor)
    for size, net in ((24, nets[1]), (48, nets[2])):
        if not len(boxes):
            return []
        boxes = _plain_square(boxes)
        net.setInput(_blob([_plain_crop(image, box, size) for box in boxes]))
        names = ["conv5-2", "prob1"] if size == 24 else ["conv6-2", "prob1", "conv6-3"]
        offsets, chances, *rest = net.forward(names)
        keep = chances[:, 1] > 0.7
        boxes, offsets, scores = boxes[keep], offsets[keep], chances[keep, 1]
        sides = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        points = boxes[:, None, :2] - 1 + sides * rest[0][keep].reshape(-1, 2, 5).transpose(0, 2, 1) if rest else None
        boxes = boxes + offsets * np.tile(sides[:, 0], 2)
        kept = _plain_suppress(boxes, scores, 0.7, minimum=size == 48)
        boxes, scores = boxes[kept], scores[kept]
    return [  # the cascade counts pixels from 1, we from 0
        {"box": (box - 1).tolist(), "score": float(score), "landmarks": face.tolist()}
        for box, score, face in zip(boxes, scores, points[kept], strict=True)
    ]


def _plain_proposals(image: np.ndarray, net: Any, min_face: int, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    scale, every = 12 / min_face, [np.zeros((0, 9), np.float32)]
    while min(height, width) * scale >= 12:
        size = int(np.ceil(width * scale)), int(np.ceil(height * scale))
        net.setInput(_blob([cv2.resize(image, size, interpolation=cv2.INTER_AREA)]))
        offsets, chances = net.forward(["conv4-2", "prob1"])
        column, row = np.nonzero(chances[0, 1] >= 0.6)
        cell = np.stack([column, row], 1) * 2
        found = np.hstack(
            [(cell + 1) / scale, (cell + 12) / scale, chances[0, 1, column, row][:, None], offsets[0, :, column, row]]
        )
        found[:, :4] = np.floor(found[:, :4])
        every.append(found[_plain_suppress(found[:, :4], found[:, 4], 0.5)])
        scale *= factor
    found = np.concatenate(every)
    found = found[_plain_suppress(found[:, :4], found[:, 4], 0.7)]
    sides = np.tile(found[:, 2:4] - found[:, :2], 2)
    return found[:, :4] + found[:, 5:9] * sides


def _plain_square(boxes: np.ndarray) -> np.ndarray:
    sides = boxes[:, 2:] - boxes[:, :2]
    corner = boxes[:, :2] + sides / 2 - sides.max(1, keepdims=True) / 2
    return np.hstack([corner, corner + sides.max(1, keepdims=True)])


def _plain_crop(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """Crop pixels x0 to x1 (1-based, inclusive), black outside the image, and resize."""
    x0, y0, x1, y1 = np.fix(box).astype(int)
    canvas = np.zeros((max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1), 3), np.uint8)
    height, width = image.shape[:2]
    left, top, right, bottom = max(x0 - 1, 0), max(y0 - 1, 0), min(x1, width), min(y1, height)
    if right > left and bottom > top:
        canvas[top - y0 + 1 : bottom - y0 + 1, left - x0 + 1 : right - x0 + 1] = image[top:bottom, left:right]
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)


def _plain_suppress(boxes: np.ndarray, scores: np.ndarray, limit: float, minimum: bool = False) -> list[int]:
    order, kept = list(np.argsort(-scores)), []
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    while order:
        best, rest = order[0], np.array(order[1:], int)
        kept.append(int(best))
        sides = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2]) + 1
        shared = np.clip(sides, 0, None).prod(1)
        whole = np.minimum(areas[best], areas[rest]) if minimum else areas[best] + areas[rest] - shared
        order = list(rest[shared / whole <= limit])
    return kept


# ------------------------------------------------------------------------------------------------------ comparing


def intersection_over_union(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Compute the overlap of one box with each of `boxes`."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(sides, 0, None).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared)


def compare(reference: dict[str, Found], detect: Callable[[np.ndarray], Any], sure: float = SURE) -> dict[str, Any]:
    """Match every confident face of `reference`; all boxes are clipped to the image first."""
    overlaps, distances, missed, ours = [], [], [], 0
    for path, found in reference.items():
        image = read_rgb(Path(path))
        faces = detect(image)
        ours += int((faces.scores >= sure).sum())
        edge = np.array([*image.shape[1::-1]] * 2, np.float32) - 1
        boxes = np.clip(faces.boxes, 0, edge)
        for face in found:
            if face["score"] < sure:
                continue
            box = np.clip(np.array(face["box"]), 0, edge)
            overlap = intersection_over_union(box, boxes) if len(boxes) else np.zeros(1)
            best = int(overlap.argmax())
            overlaps.append(float(overlap[best]))
            if overlap[best] < SAME_FACE:
                missed.append((path, [round(v, 1) for v in face["box"]], face["score"], float(overlap[best])))
            if overlap[best] >= 0.5:
                apart = np.linalg.norm(faces.landmarks[best] - np.array(face["landmarks"]), axis=1).mean()
                distances.append(float(apart / (box[2] - box[0])))
    return {"overlaps": np.array(overlaps), "distances": np.array(distances), "missed": missed, "ours": ours}


def print_table(name: str, photo_count: int, result: dict[str, Any], list_missed: bool) -> None:
    """Print the results for one reference."""
    overlaps, distances = result["overlaps"], result["distances"]
    print(f"{name}: {len(overlaps)} sure faces in {photo_count} images; we are sure of {result['ours']}")
    print(f"  found, overlap >= 0.5       {int((overlaps >= 0.5).sum())} of {len(overlaps)}")
    print(f"  found, overlap >= 0.9       {int((overlaps >= SAME_FACE).sum())} of {len(overlaps)}")
    print(f"  overlap, median and worst   {np.median(overlaps):.4f}  {overlaps.min():.4f}")
    print(f"  landmarks off, median, 99%  {np.median(distances):.2%}  {np.quantile(distances, 0.99):.2%} of box width")
    if list_missed:
        for path, box, score, overlap in sorted(result["missed"], key=lambda row: row[3]):
            print(f"    {overlap:.3f}  score {score:.3f}  {box}  {path}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    make = steps.add_parser("reference", help="write what another detector finds")
    make.add_argument("using", choices=["mtcnn", "opencv"])
    make.add_argument("photos", nargs="+")
    make.add_argument("-o", "--output", type=Path, required=True)
    make.add_argument("--nets", help="folder with det1-3 (for opencv)")
    check = steps.add_parser("compare", help="find the same faces with faceall")
    check.add_argument("references", nargs="+", type=Path)
    check.add_argument("--precision", default="auto", choices=["auto", "float32"])
    check.add_argument("--list", action="store_true", help="list every missed face")
    options = parser.parse_args(arguments)
    return _make(options) if options.step == "reference" else _check(options)


def _make(options: argparse.Namespace) -> int:
    detect = mtcnn_reference() if options.using == "mtcnn" else opencv_reference(options.nets)
    start, result = time.perf_counter(), {}
    for path in photos(options.photos):
        result[str(path)] = detect(read_rgb(path))
    options.output.write_text(json.dumps(result))
    print(f"{len(result)} images in {time.perf_counter() - start:.0f} s -> {options.output}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from faceall.detect import Detector

    detector, missed = Detector(precision=options.precision), 0
    for path in options.references:
        reference = json.loads(path.read_text())
        result = compare(reference, detector)
        print_table(path.stem, len(reference), result, options.list)
        missed += len(result["missed"])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

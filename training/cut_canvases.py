"""Cut the faces of a folder of photos to canvases that are aligned to the teacher's template.

    python cut_canvases.py PHOTOS CANVASES NAME --yunet yunet_n_dynamic.onnx [--exclude LIST] [--all]

Landmarks come from YuNet, which takes a few minutes for 90,000 small photos on two cores; galleries find them with
MTCNN. Random shifts and rotations of the views are larger than the difference.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from faces import CANVAS, ROOM, SIDE

from faceall.images import warp
from faceall.models import Alignment

INPUT = 160
"""Side in pixels to which a photo is reduced for the detector."""

STRIDES = (8, 16, 32)
SMALLEST_FACE = 40
MOST_FACES = 3


class Yunet:
    """YuNet (Wu et al. 2023) through OpenVINO: boxes, scores and landmarks of one square image."""

    def __init__(self, model: Path, side: int = INPUT, limit: float = 0.5) -> None:
        import openvino

        core = openvino.Core()
        net = core.read_model(model)
        net.reshape([1, 3, side, side])
        self._net = core.compile_model(net, "CPU", {"INFERENCE_NUM_THREADS": 1})
        self._names = [output.get_any_name() for output in net.outputs]
        self._side, self._limit = side, limit

    def __call__(self, image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
        """Find faces in (side, side, 3) uint8 BGR: boxes (n, 4), scores (n,), landmarks (n, 5, 2)."""
        results = self._net(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32))
        found = dict(zip(self._names, (results[i][0] for i in range(len(self._names))), strict=True))
        levels = [self._decode(found, stride) for stride in STRIDES]
        boxes, scores, points = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        edges = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
        kept = np.array(cv2.dnn.NMSBoxes(edges, scores.tolist(), self._limit, 0.4), int) if len(boxes) else []
        return boxes[kept], scores[kept], points[kept]

    def _decode(self, found: dict[str, npt.NDArray], stride: int) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
        cells = self._side // stride
        grid = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), axis=2).reshape(-1, 2)
        score = np.sqrt(np.clip(found[f"cls_{stride}"] * found[f"obj_{stride}"], 0, 1))[:, 0]
        good = score > self._limit
        grid, box, points = grid[good], found[f"bbox_{stride}"][good], found[f"kps_{stride}"][good]
        centre, half = (grid + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride / 2
        landmarks = (points.reshape(-1, 5, 2) + grid[:, None]) * stride
        return np.hstack([centre - half, centre + half]), score[good], landmarks


def find_faces(
    detector: Yunet, photo: npt.NDArray[np.uint8], *, every: bool
) -> Iterator[tuple[float, npt.NDArray, npt.NDArray]]:
    """Yield score, box and landmarks of the central face, or of every face of a photo, in its pixels."""
    height, width = photo.shape[:2]
    scale = INPUT * (1.0 if every else 0.8) / max(height, width)  # tight crops get a border
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (INPUT - size[0]) // 2, (INPUT - size[1]) // 2
    square = np.zeros((INPUT, INPUT, 3), np.uint8)
    square[top : top + size[1], left : left + size[0]] = small
    boxes, scores, points = detector(square)
    factor, shift = np.array([size[0] / width, size[1] / height]), np.array([left, top])
    if every:
        heights = (boxes[:, 3] - boxes[:, 1]) / factor[1]
        chosen = np.flatnonzero((scores > 0.6) & (heights >= SMALLEST_FACE))[:MOST_FACES]
    else:
        offset = ((boxes[:, :2] + boxes[:, 2:]) / 2 - INPUT / 2) / INPUT
        area = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
        weight = scores * np.sqrt(area) * np.exp(-2 * (offset**2).sum(axis=1))
        chosen = np.array([int(np.argmax(weight))] if len(weight) else [], int)
    for number in chosen:
        corners = (boxes[number].reshape(2, 2) - shift) / factor
        yield float(scores[number]), corners.reshape(4), (points[number] - shift) / factor


def main() -> None:
    """Write NAME.npy and NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("canvases", type=Path)
    parser.add_argument("name")
    parser.add_argument("--yunet", type=Path, required=True)
    parser.add_argument("--exclude", type=Path, help="a list of files not to learn from, one per line")
    parser.add_argument("--all", action="store_true", help="every face of a whole photo, not the central one")
    options = parser.parse_args()
    options.canvases.mkdir(parents=True, exist_ok=True)
    excluded = set(options.exclude.read_text("utf-8").splitlines()) if options.exclude else set()
    detector, alignment = Yunet(options.yunet), Alignment("openvino-0095", border="replicate")
    canvases, records = [], []
    for path in sorted(options.photos.rglob("*")):
        file = path.relative_to(options.photos).as_posix()
        photo = None if file in excluded else cv2.imread(str(path))
        if photo is None:
            continue
        for score, box, points in find_faces(detector, photo, every=options.all):
            fit = alignment.fit(points, box, size=(SIDE, SIDE), room=ROOM)
            if fit.usable[0]:
                canvases.append(warp(photo, fit.matrices[0], size=(CANVAS, CANVAS), border="replicate"))
                records.append([file, score, *points.ravel().tolist()])
    np.save(options.canvases / f"{options.name}.npy", np.stack(canvases))
    (options.canvases / f"{options.name}.json").write_text(json.dumps(records), "utf-8")
    print(f"{options.name}: {len(canvases)} faces")


if __name__ == "__main__":
    main()

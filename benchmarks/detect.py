"""How fast we find faces, beside facenet-pytorch 2.6, in turns, in one run.

    python benchmarks/detect.py PHOTO... [--rounds 20] [--threads 2] [--weights FOLDER]

Needs facenet-pytorch (installed with --no-deps) and torch. Of torchvision the peer uses two functions, and a
stand-in for them is made here where torchvision is absent: it sorts once and compares boxes in large blocks, so that
the peer spends little time there.
Both sides: all faces, landmarks, smallest face 20, thresholds 0.6 0.7 0.7, factor 0.709, pictures already decoded.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

Detect = Callable[[np.ndarray], int]

BOXES = '''
import torch


def nms(boxes, scores, iou_threshold):
    """Greedy suppression; returns the kept indices, best first, as torchvision does."""
    order = scores.argsort(descending=True)
    boxes = boxes[order]
    kept = []
    left = torch.arange(len(boxes))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(left):
        block = left[:256]
        a, b = boxes[block, None], boxes[left][None]
        sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
        shared = sides[..., 0] * sides[..., 1]
        over = (shared / (areas[block, None] + areas[left][None] - shared) > iou_threshold).numpy()
        alive = torch.ones(len(left), dtype=torch.bool).numpy()
        for row in range(len(block)):
            if alive[row]:
                kept.append(int(block[row]))
                alive[row + 1 :] &= ~over[row, row + 1 :]
        alive[: len(block)] = False
        left = left[torch.from_numpy(alive)]
    return order[torch.tensor(kept, dtype=torch.int64)]


def batched_nms(boxes, scores, idxs, iou_threshold):
    """Suppression within each class: the classes are moved apart first, as torchvision does."""
    if boxes.numel() == 0:
        return torch.empty((0,), dtype=torch.int64)
    offsets = idxs.to(boxes) * (boxes.max() + 1)
    return nms(boxes + offsets[:, None], scores, iou_threshold)
'''
FUNCTIONAL = '''
import numpy as np
import torch


def to_tensor(picture):
    """(H, W, C) -> (C, H, W), bytes scaled to 0 .. 1."""
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.transpose(2, 0, 1).copy())
    return tensor.float() / 255 if array.dtype == np.uint8 else tensor
'''


def stand_in_for_torchvision() -> None:
    """Put a folder with the two functions on the import path, unless the real torchvision is there."""
    if find_spec("torchvision") is not None:
        return
    root = Path(tempfile.mkdtemp(prefix="stand-in-"))
    files = {"ops/boxes.py": BOXES, "transforms/functional.py": FUNCTIONAL}
    files |= dict.fromkeys(("__init__.py", "ops/__init__.py", "transforms/__init__.py"), "")
    for name, text in files.items():
        path = root / "torchvision" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(root))


def peer(threads: int) -> Detect:
    """facenet-pytorch, as its documentation uses it."""
    stand_in_for_torchvision()
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(threads)
    detector = MTCNN(keep_all=True, min_face_size=20, device="cpu")

    def detect(image: np.ndarray) -> int:
        boxes, _, _ = detector.detect(image, landmarks=True)
        return 0 if boxes is None else len(boxes)

    return detect


def ours(threads: int, weights: str | None) -> Detect:
    """faceall."""
    cv2.setNumThreads(threads)
    from faceall.detect import Detector

    detector = Detector(weights=weights)
    return lambda image: len(detector(image))


def ours_in_batches(weights: str | None) -> Callable[[list[np.ndarray]], list[object]]:
    """faceall with several pictures at a time."""
    from faceall.detect import Detector

    return Detector(weights=weights).detect_batch


def seconds(detect: Detect, images: Sequence[np.ndarray]) -> float:
    """The time for all `images`, one after the other."""
    start = time.perf_counter()
    for image in images:
        detect(image)
    return time.perf_counter() - start


def timed(detect: Callable[[list[np.ndarray]], object], images: list[np.ndarray]) -> float:
    """The time for all `images`, handed over together."""
    start = time.perf_counter()
    detect(images)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", help="folder with det1-3 instead of the default weights")
    options = parser.parse_args()
    images = [cv2.imread(path)[:, :, ::-1].copy() for path in options.photos]
    theirs, mine = peer(options.threads), ours(options.threads, options.weights)
    batch = ours_in_batches(options.weights)
    by_size: dict[tuple[int, int], list[np.ndarray]] = {}
    for image in images:
        by_size.setdefault(image.shape[1::-1], []).append(image)
    print(
        f"{'picture':>12} {'photos':>7} {'faces peer/ours':>16} {'peer ms':>9} {'ours ms':>9} {'ratio':>6}  best/best"
    )
    for (width, height), group in by_size.items():
        counts = [sum(detect(image) for image in group) for detect in (theirs, mine)]  # also warms up
        times: list[tuple[float, float]] = [
            (seconds(theirs, group), seconds(mine, group)) for _ in range(options.rounds)
        ]
        a, b = (statistics.median(column) * 1e3 / len(group) for column in zip(*times, strict=True))
        best_a, best_b = (min(column) * 1e3 / len(group) for column in zip(*times, strict=True))
        size, faces = f"{width} x {height}", f"{counts[0]}/{counts[1]}"
        print(f"{size:>12} {len(group):>7} {faces:>16} {a:9.1f} {b:9.1f} {a / b:6.2f}  {best_a:.1f}/{best_b:.1f}")
        if len(group) > 1:
            batches = [timed(batch, group) for _ in range(options.rounds)]
            together = statistics.median(batches) * 1e3 / len(group)
            print(f"{'':>12} {len(group):>7} {'detect_batch':>16} {'':9} {together:9.1f} {a / together:6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Make shards of augmented views with the teacher's vector of each view.

    python make_views.py CANVASES VIEWS --teacher face-reidentification-retail-0095.xml --shards 60
    python make_views.py CANVASES MILD --teacher face-reidentification-retail-0095.xml --shards 40 --mild

The teacher sees the same view as the student (function matching, Beyer et al. 2022); three in ten views mix two faces.
A shard `0007` is `0007.x.npy`, (4096, 112, 112, 3) uint8 RGB, and `0007.v.npy`, (4096, 256) float16. Shards can be
added while a run learns from them, and several processes can write to one folder (`--part 0/2`, `--part 1/2`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from faces import CANVAS, ROOM, SIDE, Teacher, open_canvases, read_records

from faceall.files import write_file

VIEWS = 4096
STUDENT_SIDE = 112
Image = npt.NDArray[np.uint8]


def move(canvas: Image, random: np.random.Generator) -> Image:
    """Rotate, scale, stretch, shift and mirror a canvas: (160, 160, 3) to (128, 128, 3)."""
    if random.random() < 0.1:
        return canvas[ROOM : ROOM + SIDE, ROOM : ROOM + SIDE]
    angle, down = np.deg2rad(random.normal(0, 3)), np.exp(random.normal(0, 0.03))
    across = down * np.exp(random.normal(0, 0.015)) * random.choice([-1, 1])
    turn = np.array([[across * np.cos(angle), -down * np.sin(angle)], [across * np.sin(angle), down * np.cos(angle)]])
    shift = (SIDE - 1) / 2 + random.normal(0, 2.0, 2) - turn @ np.full(2, (CANVAS - 1) / 2)
    matrix = np.hstack([turn, shift[:, None]])
    return cv2.warpAffine(canvas, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def degrade(view: Image, random: np.random.Generator) -> Image:
    """Lower the resolution, change light and colours, compress, cover a part."""
    if random.random() < 0.25:
        view = reduce_resolution(view, int(random.integers(22, 80)))
    elif random.random() < 0.1:
        view = cv2.GaussianBlur(view, (0, 0), random.uniform(0.6, 1.8))
    if random.random() < 0.6:
        view = relight(view, random)
    if random.random() < 0.2:
        view = compress(view, int(random.integers(25, 90)))
    if random.random() < 0.08:
        height, width = random.integers(20, 60, 2)
        top, left = random.integers(0, SIDE - height), random.integers(0, SIDE - width)
        view = view.copy()
        view[top : top + height, left : left + width] = random.integers(0, 255, 3)
    return view


def degrade_mildly(view: Image, random: np.random.Generator) -> Image:
    """Change a view as little as photos of one collection differ, for the end of a training."""
    if random.random() < 0.12:
        view = reduce_resolution(view, int(random.integers(36, 100)))
    if random.random() < 0.3:
        view = relight(view, random)
    if random.random() < 0.12:
        view = compress(view, int(random.integers(40, 90)))
    return view


def reduce_resolution(view: Image, side: int) -> Image:
    """Shrink a view to a side in pixels, and enlarge it again."""
    small = cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def compress(view: Image, quality: int) -> Image:
    """Add the artefacts of a JPEG."""
    encoded = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def relight(view: Image, random: np.random.Generator) -> Image:
    """Change brightness, contrast, colour balance and gamma; a quarter becomes grey."""
    values = view.astype(np.float32) * np.exp(random.normal(0, 0.18)) * np.exp(random.normal(0, 0.04, 3))
    values = 255 * np.clip((values + random.normal(0, 12)) / 255, 0, 1) ** np.exp(random.normal(0, 0.15))
    if random.random() < 0.25:
        values[:] = values.mean(axis=2, keepdims=True)
    return values.astype(np.uint8)


def make_shard(
    pool: list[Image], teacher: Teacher, random: np.random.Generator, *, mild: bool
) -> tuple[Image, npt.NDArray]:
    """Make one view of every canvas of the pool: (n, 112, 112, 3) uint8 RGB and (n, 256) float16."""
    change, mixed = (degrade_mildly, 0.0) if mild else (degrade, 0.3)
    views = np.empty((len(pool), STUDENT_SIDE, STUDENT_SIDE, 3), np.uint8)
    vectors = np.empty((len(pool), 256), np.float16)
    order = random.permutation(len(pool))
    for start in range(0, len(pool), 256):
        block = []
        for number in order[start : start + 256]:
            view = move(pool[number], random)
            if random.random() < mixed:
                share = random.uniform(0.35, 0.65)
                other = move(pool[int(random.integers(len(pool)))], random)
                view = cv2.addWeighted(view, share, other, 1 - share, 0)
            block.append(change(view, random))
        size = (STUDENT_SIDE, STUDENT_SIDE)
        small = [cv2.resize(view, size, interpolation=cv2.INTER_LINEAR)[..., ::-1] for view in block]
        views[start : start + len(block)] = np.stack(small)
        vectors[start : start + len(block)] = teacher(np.stack(block))
    return views, vectors


def main() -> None:
    """Write the shards that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("canvases", type=Path)
    parser.add_argument("views", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--identities", type=Path, help="CelebA's identity_CelebA.txt")
    parser.add_argument("--shards", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="number of the first shard; other numbers, other views")
    parser.add_argument("--mild", action="store_true", help="little change, and no mixed faces")
    parser.add_argument("--part", default="0/1", help="K/N: only every Nth shard, from K on")
    options = parser.parse_args()
    options.views.mkdir(parents=True, exist_ok=True)
    part, parts = map(int, options.part.split("/"))
    records, _ = read_records(options.canvases, options.identities)
    canvases, teacher = open_canvases(options.canvases), Teacher(options.teacher)
    cv2.setNumThreads(1)
    for shard in range(options.first + part, options.first + options.shards, parts):
        if (options.views / f"{shard:04d}.x.npy").exists():
            continue
        random = np.random.default_rng((9000 if options.mild else 5000) + shard)
        chosen = np.sort(random.choice(len(records), min(VIEWS, len(records)), replace=False))
        pool = [canvases[records[row].set][records[row].index] for row in chosen]
        views, vectors = make_shard(pool, teacher, random, mild=options.mild)
        write_file(options.views / f"{shard:04d}.v.npy", _npy(vectors))
        write_file(options.views / f"{shard:04d}.x.npy", _npy(views))  # last: its presence says that the shard is whole
        print(f"shard {shard}", flush=True)


def _npy(array: npt.NDArray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


if __name__ == "__main__":
    main()

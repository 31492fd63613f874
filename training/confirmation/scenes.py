"""Compose street scenes from labelled photos and cut the candidates that MTCNN's first two nets find in them.

    python scenes.py CROPS --masked masked.npz --open open.npz --backgrounds backgrounds.npz [--scenes 3500] [--seed 0]

A scene is six photos side by side, on which reduced photos of faces are pasted, some with masks drawn over them.
Patches without faces are pasted the same way, so that an edge says nothing. Each crop shows twice the side of its
candidate. A tenth of the photos is used with `--held-out` only; those crops are for choosing thresholds.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from label import SURE

from faceall import read_image
from faceall.detect import Cascade, MtcnnDetector
from faceall.detect.boxes import overlaps, to_square
from faceall.detect.crops import cut_squares, halvings
from faceall.detect.pyramid import plan_pyramid
from faceall.detect.together import run_together
from faceall.types import Array, Image

WIDTH, HEIGHT = 640, 448
CROP, CONTEXT = 64, 2.0  # pixels of a crop; its side in sides of the candidate
FLOORS = (0.2, 0.03)  # of P-Net and R-Net: below those at run time
SMALLEST, LARGEST = 13, 130  # sides of pasted faces
MOST_FACES, MOST_OTHERS = 36, 40  # crops of one scene
POSITIVE, NEGATIVE = 0.45, 0.25  # overlap with a face
IGNORE, BACKGROUND, FACE = -1, 0, 1

Random = np.random.Generator


@dataclass(frozen=True, eq=False)
class Labels:
    """Photos with the teacher's faces."""

    paths: list[str]
    boxes: Array
    points: Array
    scores: Array
    owners: Array

    @classmethod
    def read(cls, file: Path, held_out: bool) -> Labels:
        """Read one part of the photos of a file of `label.py`: those held out, or the others."""
        stored = np.load(file)
        wanted = [
            number
            for number, path in enumerate(stored["paths"])
            if (hashlib.sha256(Path(path).name.encode()).digest()[0] < 26) == held_out
        ]
        new = {old: number for number, old in enumerate(wanted)}
        mine = np.isin(stored["owners"], wanted)
        owners = np.array([new[owner] for owner in stored["owners"][mine]], int)
        arrays = (stored[key][mine] for key in ("boxes", "points", "scores"))
        return cls([str(stored["paths"][number]) for number in wanted], *arrays, owners)

    def photo(self, number: int) -> tuple[Image, Array, Array, Array]:
        """Return a photo with the boxes, points and scores of its faces."""
        mine = self.owners == number
        return read_image(self.paths[number]), self.boxes[mine], self.points[mine], self.scores[mine]


@dataclass(eq=False)
class Scene:
    """An image under construction and its faces: boxes (N, 4), points (N, 5, 2), whether the label is sure (N,)."""

    image: Image
    boxes: Array
    points: Array
    sure: Array

    def paste(self, tile: Scene, x: int, y: int, feather: bool) -> None:
        """Put a tile on the image; faces that it covers are removed."""
        height, width = tile.image.shape[:2]
        area = np.array([[x, y, x + width, y + height]], np.float32)
        if len(self.boxes):
            covered = overlaps(self.boxes.astype(np.float32), area)[:, 0] > 0
            inside = _shares_inside(self.boxes, area[0])
            kept = inside < 0.6
            self.sure = self.sure & ~((inside > 0.15) & kept & covered)
            self.boxes, self.points, self.sure = self.boxes[kept], self.points[kept], self.sure[kept]
        target = self.image[y : y + height, x : x + width]
        weight = np.ones((height, width, 1), np.float32)
        if feather:
            edge = max(1, min(height, width) // 10)
            weight = cv2.copyMakeBorder(
                np.ones((height - 2 * edge, width - 2 * edge), np.float32), *(edge,) * 4, cv2.BORDER_CONSTANT, value=0
            )
            weight = cv2.blur(weight, (2 * edge + 1, 2 * edge + 1))[..., None]
        target[:] = weight * tile.image + (1 - weight) * target
        corner = np.array([x, y])
        self.boxes = np.concatenate([self.boxes, tile.boxes + np.tile(corner, 2)])
        self.points = np.concatenate([self.points, tile.points + corner])
        self.sure = np.concatenate([self.sure, tile.sure])


def _shares_inside(boxes: Array, area: Array) -> Array:
    """Return the share of each box (N, 4) that lies in an area (4,)."""
    sides = np.minimum(boxes[:, 2:], area[2:]) - np.maximum(boxes[:, :2], area[:2])
    return np.asarray(sides.clip(0).prod(axis=1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1))


def make_scene(masked: Labels, open_faces: Labels, backgrounds: Labels, random: Random) -> Scene:
    """Compose one scene."""
    scene = background(open_faces, backgrounds, random)
    taken: list[Array] = []
    for _ in range(random.integers(6, 13)):
        kind = random.random()
        source = masked if kind < 0.45 else open_faces
        tile = patch(backgrounds, random) if kind > 0.85 else face_tile(source, random, drawn=source is open_faces)
        if tile is None:
            continue
        height, width = tile.image.shape[:2]
        for _ in range(12):
            x, y = random.integers(0, WIDTH - width + 1), random.integers(0, HEIGHT - height + 1)
            area = np.array([[x, y, x + width, y + height]], np.float32)
            if not taken or overlaps(np.concatenate(taken), area).max() < 0.02:
                scene.paste(tile, int(x), int(y), feather=random.random() < 0.5)
                taken.append(area)
                break
    scene.image = degraded(scene.image, random)
    return scene


def background(open_faces: Labels, backgrounds: Labels, random: Random) -> Scene:
    """Return a scene of six photos side by side."""
    scene = Scene(np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0, bool))
    columns = [0, *(WIDTH * np.array([1, 2]) // 3 + random.integers(-60, 61, 2)), WIDTH]
    rows = [0, HEIGHT // 2 + random.integers(-60, 61), HEIGHT]
    for left, right in pairwise(columns):
        for top, bottom in pairwise(rows):
            labels = backgrounds if random.random() < 0.5 else open_faces
            scene.paste(section(labels, int(right - left), int(bottom - top), random), int(left), int(top), False)
    return scene


def section(labels: Labels, width: int, height: int, random: Random) -> Scene:
    """Return a part of a photo, of a given size, with its faces."""
    while True:
        image, boxes, points, scores = labels.photo(int(random.integers(len(labels.paths))))
        if min(image.shape[:2]) >= 150:
            break
    scale = max(width / image.shape[1], height / image.shape[0]) * random.uniform(1.01, 1.4)
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else 1)
    x, y = random.integers(0, resized.shape[1] - width + 1), random.integers(0, resized.shape[0] - height + 1)
    cut = np.ascontiguousarray(resized[y : y + height, x : x + width])
    boxes, points = boxes * scale - np.tile([x, y], 2), points * scale - np.array([x, y])
    shown = _shares_inside(boxes, np.array([0, 0, width, height]))
    kept = shown > 0.3
    return Scene(cut, boxes[kept], points[kept], ((scores > SURE) & (shown > 0.9))[kept])


def face_tile(labels: Labels, random: Random, *, drawn: bool) -> Scene | None:
    """Return a photo reduced so that its largest face has a random side; None if it has no face or does not fit."""
    image, boxes, points, scores = labels.photo(int(random.integers(len(labels.paths))))
    if not len(boxes) or scores.max() < SURE:
        return None
    side = float(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).max())
    scale = np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST))) / side
    if drawn and random.random() < 0.45:
        image = image.copy()
        for face in points:
            draw_mask(image, face, random)
    image, boxes, points = cut_around(image, boxes, points, side, random)
    stretch = np.exp(random.normal(0, 0.05, 2)) * scale
    width, height = np.maximum(np.round(np.array(image.shape[1::-1]) * stretch), 4).astype(int)
    if width > WIDTH * 0.6 or height > HEIGHT * 0.8 or min(width, height) < 12:
        return None
    method = cv2.INTER_AREA if scale < 1 and random.random() < 0.8 else cv2.INTER_LINEAR
    reduced = cv2.resize(image, (int(width), int(height)), interpolation=method)
    if random.random() < 0.5:
        flipped = np.array([1, 0, 2, 4, 3])
        reduced, boxes = reduced[:, ::-1], boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [image.shape[1], 0] * 2
        points = (points * [-1, 1] + [image.shape[1], 0])[:, flipped]
    return Scene(np.ascontiguousarray(reduced), boxes * np.tile(stretch, 2), points * stretch, scores > SURE)


def cut_around(image: Image, boxes: Array, points: Array, side: float, random: Random) -> tuple[Image, Array, Array]:
    """Cut the largest face of a photo with 0.4 to 2 sides around it."""
    largest = boxes[np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))]
    around = random.uniform(0.4, 2, 4) * side
    low = np.maximum(largest[:2] - around[:2], 0).astype(int)
    high = np.minimum(largest[2:] + around[2:], image.shape[1::-1]).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], boxes - np.tile(low, 2), points - low


def patch(labels: Labels, random: Random) -> Scene | None:
    """Return a piece of a photo without a face."""
    image, boxes, _, _ = labels.photo(int(random.integers(len(labels.paths))))
    side = int(random.uniform(0.1, 0.4) * min(image.shape[:2]))
    if side < 12:
        return None
    x, y = random.integers(0, image.shape[1] - side + 1), random.integers(0, image.shape[0] - side + 1)
    if len(boxes) and _shares_inside(boxes, np.array([x, y, x + side, y + side])).max() > 0:
        return None
    size = int(np.exp(random.uniform(np.log(20), np.log(200))))
    cut = cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
    return Scene(np.asarray(cut, np.uint8), np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0, bool))


def draw_mask(image: Image, face: Array, random: Random) -> None:
    """Draw a mask over the nose and mouth of a face, given by its five points."""
    left, right, nose, mouth_left, mouth_right = face
    mouth = (mouth_left + mouth_right) / 2
    down, across = mouth - (left + right) / 2, right - left
    top = nose - random.uniform(0.05, 0.6) * (nose - (left + right) / 2)
    wide = random.uniform(0.75, 1.05)
    outline = [
        left + 0.45 * down - wide * 0.5 * across,
        top,
        right + 0.45 * down + wide * 0.5 * across,
        mouth_right + random.uniform(0.1, 0.4) * down + 0.4 * across,
        mouth + random.uniform(0.55, 0.85) * down,
        mouth_left + random.uniform(0.1, 0.4) * down - 0.4 * across,
    ]
    choices = ([235, 235, 235], [140, 180, 220], [25, 25, 30], list(random.integers(0, 256, 3)))
    colour = np.array(choices[random.integers(len(choices))], float) + random.normal(0, 12, 3)
    covered = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(covered, [np.round(outline).astype(np.int32)], 255)
    shade = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    light = 0.75 + 0.5 * cv2.blur(shade, (15, 15))[..., None] / 255
    folds = random.normal(0, 6, (image.shape[0], 1, 1))
    drawn = np.clip(colour * light + folds, 0, 255)
    image[covered > 0] = drawn.astype(np.uint8)[covered > 0]


def degraded(image: Image, random: Random) -> Image:
    """Change light and colour, blur, and compress."""
    pixels = image.astype(np.float32)
    pixels = 255 * (pixels / 255) ** np.exp(random.normal(0, 0.25)) * random.uniform(0.7, 1.2)
    pixels *= np.exp(random.normal(0, 0.06, 3))
    if random.random() < 0.06:
        pixels[:] = pixels.mean(axis=2, keepdims=True)
    if random.random() < 0.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.4, 1.1))
    if random.random() < 0.3:
        pixels += random.normal(0, random.uniform(2, 8), pixels.shape)
    changed = np.clip(pixels, 0, 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", changed[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 97))])
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])


def candidates(detector: MtcnnDetector, scaled: list[Image]) -> tuple[Array, Array]:
    """Run the first two nets; return squares (N, 4) and their logits (N, 2)."""
    height, width = scaled[0].shape[:2]
    pyramid = plan_pyramid(width, height, 14, detector.cascade.factor)
    (found,) = run_together([detector._refine(scaled, detector._propose(scaled, pyramid))])
    return found.boxes, found.logits


def jittered(boxes: Array, random: Random) -> Array:
    """Return squares beside the squares of faces, as R-Net's are."""
    squares = to_square(boxes.astype(np.float32))
    sides = (squares[:, 2] - squares[:, 0])[:, None]
    centres = (squares[:, :2] + squares[:, 2:]) / 2 + sides * random.uniform(-0.15, 0.15, (len(squares), 2))
    half = sides / 2 * np.exp(random.normal(0, 0.15, (len(squares), 1)))
    return np.hstack([centres - half, centres + half]).astype(np.float32)


def examples(scene: Scene, detector: MtcnnDetector, random: Random) -> dict[str, Array]:
    """Cut the crops of a scene and label them."""
    scaled = halvings(scene.image)
    squares, logits = candidates(detector, scaled)
    added = np.concatenate([jittered(scene.boxes[scene.sure], random) for _ in range(2)])
    squares = np.concatenate([squares, added]).astype(np.float32)
    logits = np.concatenate([logits, np.full((len(added), 2), np.nan)]).astype(np.float32)
    kind, owner = labels_of(squares, scene)
    faces, others = np.flatnonzero(kind == FACE), np.flatnonzero(kind == BACKGROUND)
    likely = others[np.argsort(-logits[others].sum(axis=1), kind="stable")]
    likely, others = likely[: MOST_OTHERS // 2], random.permutation(likely[MOST_OTHERS // 2 :])[: MOST_OTHERS // 2]
    chosen = np.concatenate([random.permutation(faces)[:MOST_FACES], likely, others])
    squares, owner, kind, logits = squares[chosen], owner[chosen], kind[chosen], logits[chosen]
    sides = (squares[:, 2] - squares[:, 0])[:, None]
    centres = (squares[:, :2] + squares[:, 2:]) / 2
    wide = np.hstack([centres - CONTEXT / 2 * sides, centres + CONTEXT / 2 * sides]).astype(np.float32)
    crops = cut_squares(scaled, wide, CROP).transpose(0, 2, 3, 1).astype(np.uint8)
    boxes, points = np.zeros((len(chosen), 4), np.float32), np.zeros((len(chosen), 5, 2), np.float32)
    if len(scene.boxes):
        boxes = (scene.boxes[owner] - np.tile(centres, 2)) / sides
        points = (scene.points[owner] - centres[:, None]) / sides[:, None]
    return {"crops": crops, "kind": kind, "boxes": boxes, "points": points, "sides": sides[:, 0], "logits": logits}


def labels_of(squares: Array, scene: Scene) -> tuple[Array, Array]:
    """Return for each square whether it is a face, background or neither, and the number of its face."""
    if not len(scene.boxes):
        return np.full(len(squares), BACKGROUND), np.zeros(len(squares), int)
    shared = overlaps(squares, to_square(scene.boxes.astype(np.float32)))
    owner, most = shared.argmax(axis=1), shared.max(axis=1)
    kind = np.full(len(squares), IGNORE)
    kind[(most >= POSITIVE) & scene.sure[owner]] = FACE
    kind[most < NEGATIVE] = BACKGROUND
    return kind, owner


def main() -> None:
    """Write the crops of all scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--masked", type=Path, required=True)
    parser.add_argument("--open", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", action="store_true")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    files = (options.masked, options.open, options.backgrounds)
    masked, open_faces, backgrounds = (Labels.read(file, options.held_out) for file in files)
    detector = MtcnnDetector(min_face=14, cascade=Cascade(thresholds=(*FLOORS, 0.7), lenient=False))
    parts: list[dict[str, Array]] = []
    for number in range(options.scenes):
        parts.append(examples(make_scene(masked, open_faces, backgrounds, random), detector, random))
        if number % 100 == 99:
            print(number + 1, sum(len(part["kind"]) for part in parts), flush=True)
    np.savez(options.crops, **{key: np.concatenate([part[key] for part in parts]) for key in parts[0]})


if __name__ == "__main__":
    main()

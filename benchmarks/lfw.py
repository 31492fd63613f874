"""Accuracy on LFW's view 1 (1,000 pairs) with the detector, the crop and the embedder that users get.

Ten folds as in facenet: the threshold is chosen on nine, the accuracy counted on the tenth. Of several faces the one
with the largest `area - 2 * offset_from_centre ** 2` counts.
Usage: python benchmarks/lfw.py LFW_DIR [--crops] [--json FILE]
  LFW_DIR  holds NAME/NAME_0001.jpg and pairs.txt
  --crops  also measure other crops and other choices of the face
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import print_table, write_json

from faceall import Detector, Embedder, Faces, read_image
from faceall.images import crop
from faceall.models import CropRule

FOLDS = 10


class Pair(NamedTuple):
    first: str
    second: str
    same: bool


def read_pairs(path: Path) -> list[Pair]:
    """pairs.txt: the number of each kind, then `NAME i j` or `NAME i NAME j` per line."""
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split()
        name, other = words[0], words[-2] if len(words) == 4 else words[0]
        files = [f"{who}/{who}_{int(number):04d}.jpg" for who, number in ((name, words[1]), (other, words[-1]))]
        pairs.append(Pair(*files, same=len(words) == 3))
    return pairs


def central(faces: Faces, shape: tuple[int, ...]) -> int:
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    offset = (faces.boxes[:, 2:] + faces.boxes[:, :2]) / 2 - np.array([shape[1], shape[0]]) / 2
    return int(np.argmax(sides.prod(axis=1) - 2 * (offset**2).sum(axis=1)))


def facenet_margin(box: Any, shape: tuple[int, ...], margin: float = 32) -> Any:
    """facenet's own crop: a margin in pixels of the source, cut at the picture's edge."""
    limits = np.array([shape[1], shape[0]] * 2)
    return np.clip(box + np.array([-1, -1, 1, 1]) * margin / 2, 0, limits)


def accuracy(distances: Any, same: Any) -> tuple[float, float, float]:
    """Mean accuracy, its deviation over the folds, and the mean threshold."""
    thresholds = np.arange(0, 4, 0.01)
    right = (distances[None] < thresholds[:, None]) == same[None]
    fold = np.empty(len(same), int)
    for kind in (True, False):
        members = np.flatnonzero(same == kind)
        fold[members] = np.arange(len(members)) * FOLDS // len(members)
    chosen = [int(right[:, fold != number].mean(axis=1).argmax()) for number in range(FOLDS)]
    scores = [right[best, fold == number].mean() for number, best in enumerate(chosen)]
    return float(np.mean(scores)), float(np.std(scores)), float(thresholds[chosen].mean())


def contestants(embedder: Embedder, everything: bool) -> Iterator[tuple[str, Callable[..., int], Callable[..., Any]]]:
    """What is measured: name, choice of the face, region of the crop."""

    def by(rule: CropRule) -> Callable[..., Any]:
        return lambda box, shape: rule.regions(box[None], picture=(shape[1], shape[0]))[0]

    own = by(embedder.model.manifest.crop)
    yield "the manifest's crop, central face", central, own
    if not everything:
        return
    yield "the manifest's crop, surest face", lambda faces, shape: 0, own
    yield "facenet's 32 pixels, central face", central, facenet_margin
    for margin in (0.1, 0.15, 0.25, 0.3):
        yield f"margin {margin} in proportion, central face", central, by(CropRule(margin=margin))
    yield "square, margin 0.2, central face", central, by(CropRule(margin=0.2, shape="square"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="LFW_DIR")
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    pairs = read_pairs(options.folder / "pairs.txt")
    names = sorted({name for pair in pairs for name in pair[:2]})
    detector, embedder = Detector(), Embedder()
    pictures = {name: read_image(options.folder / name) for name in names}
    faces = {name: detector(picture) for name, picture in pictures.items()}
    found = [name for name in names if len(faces[name])]
    row_of = {name: row for row, name in enumerate(found)}
    whole = [pair for pair in pairs if pair.first in row_of and pair.second in row_of]
    same = np.array([pair.same for pair in whole])
    rows = []
    for title, choose, region in contestants(embedder, options.crops):
        crops = np.empty((len(found), *embedder.model.manifest.input_size[::-1], 3), np.uint8)
        for name, row in row_of.items():
            picture = pictures[name]
            box = faces[name].boxes[choose(faces[name], picture.shape)]
            crops[row] = crop(picture, region(box, picture.shape), size=embedder.model.manifest.input_size)
        vectors = embedder.embed_crops(crops)
        first, second = ([row_of[pair[side]] for pair in whole] for side in (0, 1))
        distances = ((vectors[first] - vectors[second]) ** 2).sum(axis=1)
        mean, deviation, threshold = accuracy(distances, same)
        area = float((distances[same][:, None] < distances[~same][None]).mean())
        rows.append(
            {
                "what": title,
                "accuracy": round(mean, 4),
                "deviation": round(deviation, 4),
                "threshold": round(threshold, 3),
                "AUC": round(area, 5),
                "pairs": len(whole),
                "pictures without a face": len(names) - len(found),
            }
        )
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

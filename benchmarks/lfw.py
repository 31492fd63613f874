"""Compare crops and choices of the face on pairs of images.

The figures of a model alone come from `faceall evaluate`; this measures what a model could get to see instead.
Usage: python benchmarks/lfw.py LFW_DIR [--json FILE]
  LFW_DIR  holds NAME/NAME_0001.jpg and pairs.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import print_table, write_json

from faceall import Detector, Embedder, Faces
from faceall.evaluate import Evaluation, evaluate_pairs, read_pairs
from faceall.images import crop
from faceall.models import CropRule
from faceall.types import Image

Regions = Callable[[Any, tuple[int, int]], Any]
MARGINS = (0.1, 0.15, 0.25, 0.3)


class Cropped:
    """An embedder with another crop."""

    def __init__(self, embedder: Embedder, regions: Regions) -> None:
        self._embedder = embedder
        self._regions = regions
        self.model, self.size, self.precision = embedder.model, embedder.size, embedder.precision
        self.embed_crops = embedder.embed_crops

    def crop(self, image: Image, faces: Faces, /) -> Any:
        """Return crops (n, H, W, 3) uint8."""
        size = self.model.manifest.input_size
        regions = self._regions(faces.boxes, (image.shape[1], image.shape[0]))
        return np.stack([crop(image, region, size=size) for region in regions])


class Surest(Detector):
    """Returns only the face with the highest score."""

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """Return the faces of several images."""
        return [faces.take(np.arange(len(faces)) < 1) for faces in super().detect_batch(images)]


def facenet_margin(boxes: Any, image: tuple[int, int], margin: float = 32) -> Any:
    """Apply the crop of facenet: a margin in pixels of the source, clipped to the image."""
    return np.clip(boxes + np.array([-1, -1, 1, 1]) * margin / 2, 0, np.array([*image, *image]))


def by(rule: CropRule) -> Regions:
    """Return the function that applies a crop rule."""
    return lambda boxes, image_size: rule.regions(boxes, image_size=image_size)


def as_row(title: str, found: Evaluation, number: int) -> dict[str, Any]:
    """Return one row of the table."""
    scores = found.results[number].scores["squared_l2"]
    return {
        "what": title,
        "accuracy": round(scores.accuracy, 4),
        "deviation": round(scores.deviation, 4),
        "threshold": round(scores.threshold, 3),
        "AUC": round(scores.area, 5),
        "pairs": len(found.pairs),
        "images without a face": len(found.unusable),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="LFW_DIR")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    pairs, embedder = read_pairs(options.folder / "pairs.txt"), Embedder()
    own = by(embedder.model.manifest.crop)
    candidates: dict[str, Regions] = {
        "the manifest's crop": own,
        "facenet's 32 pixels": facenet_margin,
        **{f"margin {margin} in proportion": by(CropRule(margin=margin)) for margin in MARGINS},
        "square, margin 0.2": by(CropRule(margin=0.2, shape="square")),
    }
    central = evaluate_pairs(pairs, [Cropped(embedder, regions) for regions in candidates.values()], Detector())
    surest = evaluate_pairs(pairs, [Cropped(embedder, own)], Surest())
    rows = [as_row(f"{title}, central face", central, number) for number, title in enumerate(candidates)]
    rows.append(as_row("the manifest's crop, surest face", surest, 0))
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

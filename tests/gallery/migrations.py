"""Migrate a gallery to another model in a process of its own: python migrations.py GALLERY PAUSE."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy.typing as npt
from stand_ins import ColourDetector, ColourEmbedder

from faceall.gallery import Gallery
from faceall.types import Float32Array

NEW = 24


class SlowEmbedder(ColourEmbedder):
    """The new model, with a pause before each batch."""

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__("new", NEW)
        self.pause = pause

    def embed_crops(self, crops: npt.NDArray[object], /) -> Float32Array:  # type: ignore[override]
        time.sleep(self.pause)
        return super().embed_crops(crops)  # type: ignore[arg-type]


def main() -> None:
    """Migrate, and print every photo as it is reported."""
    folder, pause = sys.argv[1:]
    with Gallery.open(Path(folder), detector=ColourDetector()) as gallery:
        migration = gallery.index.migrate(SlowEmbedder(float(pause)))
        for photo in migration:
            print(photo.status, photo.path, flush=True)
        print("switched", migration.switched, flush=True)


if __name__ == "__main__":
    main()

"""Galleries on the stand-ins of tests/gallery, in processes that are killed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "gallery"))

from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.gallery import Gallery


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty photos of eight people; every fourth shows a second face."""
    folder = tmp_path_factory.mktemp("album")
    for number in range(80):
        second = [(5, 5, 12, (250, 3, 3 + number))] if number % 4 == 0 else []
        write_photo(folder / f"Pat {number % 8}x" / f"{number}.png", [*one_face(number), *second])
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the gallery of a test lies."""
    return tmp_path / "gallery"


@pytest.fixture
def opened() -> Callable[..., Gallery]:
    """Opens a gallery on the stand-ins."""

    def open_(folder: Path, **options: object) -> Gallery:
        return Gallery.open(folder, **{"detector": ColourDetector(), "embedder": ColourEmbedder(), **options})  # type: ignore[arg-type]

    return open_

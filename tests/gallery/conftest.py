"""Galleries on stand-ins that need no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from stand_ins import ColourDetector, ColourEmbedder

from faceall.gallery import Gallery


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the gallery of a test lies."""
    return tmp_path / "gallery"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Where the photos of a test lie."""
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def open_gallery(folder: Path) -> Iterator[Callable[..., Gallery]]:
    """Opens the test's gallery, as often as wanted; all are closed at the end."""
    with ExitStack() as stack:

        def opened(**options: Any) -> Gallery:
            defaults = {"detector": ColourDetector(), "embedder": ColourEmbedder()}
            return stack.enter_context(Gallery.open(folder, **{**defaults, **options}))

        yield opened


@pytest.fixture
def gallery(open_gallery: Callable[..., Gallery]) -> Gallery:
    """An open gallery without photos."""
    return open_gallery()

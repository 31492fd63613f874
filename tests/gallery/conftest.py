"""Galleries on stand-ins that need no weights; in a folder, or in Milvus where FACEALL_TEST_BACKEND says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from milvus_places import empty_place
from stand_ins import BACKEND, ColourDetector, ColourEmbedder

from faceall.gallery import Gallery


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what looks into the files of a folder where galleries lie elsewhere; restart a server at the very end."""
    items.sort(key=lambda item: item.get_closest_marker("restarts_server") is not None)
    if BACKEND == "folder":
        return
    for item in items:
        for mark in item.iter_markers("embedded"):
            item.add_marker(pytest.mark.skip(reason=f"only of a gallery in a folder: {mark.args[0]}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the gallery of a test lies, if in a folder."""
    return tmp_path / "gallery"


@pytest.fixture
def gallery_place(folder: Path) -> Path | str:
    """What is given to open the gallery of a test: a folder or an address."""
    return folder if BACKEND == "folder" else empty_place(folder)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Where the photos of a test lie."""
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def open_gallery(gallery_place: Path | str) -> Iterator[Callable[..., Gallery]]:
    """Opens the test's gallery, as often as wanted; all are closed at the end."""
    with ExitStack() as stack:

        def opened(**options: Any) -> Gallery:
            defaults = {"detector": ColourDetector(), "embedder": ColourEmbedder()}
            return stack.enter_context(Gallery.open(gallery_place, **{**defaults, **options}))

        yield opened


@pytest.fixture
def gallery(open_gallery: Callable[..., Gallery]) -> Gallery:
    """An open gallery without photos."""
    return open_gallery()

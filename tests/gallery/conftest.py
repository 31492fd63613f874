"""Galleries with stand-ins that need no weights, in a folder or, with FACEALL_TEST_BACKEND, in Milvus."""

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
    """Skip tests that read a gallery's files unless it is in a folder; run tests that restart a server last."""
    items.sort(key=lambda item: item.get_closest_marker("restarts_server") is not None)
    if BACKEND == "folder":
        return
    for item in items:
        for mark in item.iter_markers("embedded"):
            item.add_marker(pytest.mark.skip(reason=f"only of a gallery in a folder: {mark.args[0]}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a test's gallery, if its backend is a folder."""
    return tmp_path / "gallery"


@pytest.fixture
def gallery_place(folder: Path) -> Path | str:
    """Return the folder or address of the test's gallery."""
    return folder if BACKEND == "folder" else empty_place(folder)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return the folder of the test's photos."""
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def open_gallery(gallery_place: Path | str) -> Iterator[Callable[..., Gallery]]:
    """Return a function that opens the test's gallery any number of times; all are closed at the end."""
    with ExitStack() as stack:

        def opened(**options: Any) -> Gallery:
            defaults = {"detector": ColourDetector(), "embedder": ColourEmbedder()}
            return stack.enter_context(Gallery.open(gallery_place, **{**defaults, **options}))

        yield opened


@pytest.fixture
def gallery(open_gallery: Callable[..., Gallery]) -> Gallery:
    """Return an open gallery without photos."""
    return open_gallery()

"""A web app on a gallery with fake models, and clients for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from places import ROOT

pytest.importorskip("flask", reason="needs the extra faceall[web]")
sys.path.append(str(ROOT / "tests" / "gallery"))

from stand_ins import ColourDetector, ColourEmbedder

from faceall.gallery import Gallery
from faceall.web import ServerOptions
from faceall.web.app import close_app, create_app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the test's gallery."""
    return tmp_path / "gallery"


@pytest.fixture
def gallery(folder: Path) -> Iterator[Gallery]:
    """Open a gallery without photos."""
    with Gallery.open(folder, detector=ColourDetector(), embedder=ColourEmbedder()) as opened:
        yield opened


@pytest.fixture
def make_app(gallery: Gallery) -> Iterator[Callable[..., Any]]:
    """Return a function that makes apps on the test's gallery; all are closed at the end."""
    with ExitStack() as stack:

        def made(options: ServerOptions | None = None, **others: Any) -> Any:
            app = create_app(gallery, options, **others)
            stack.callback(close_app, app, 20)
            return app

        yield made


@pytest.fixture
def app(make_app: Callable[..., Any]) -> Any:
    """Make the app with its default options."""
    return make_app()


@pytest.fixture
def client(app: Any) -> Any:
    """Return a client in this process."""
    return app.test_client()

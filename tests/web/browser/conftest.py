"""Fixtures of the browser tests: servers with their own galleries, and a browser without console errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faceall.images import encode_jpeg
from faceall.types import Image

if TYPE_CHECKING:
    from driving import Browser, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Start a server on an empty gallery, which the tests of a module share."""
    from driving import Served

    server = Served(tmp_path_factory.mktemp("web") / "gallery")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def window(served: Served) -> Iterator[Browser]:
    """Open a browser at that server, which the tests of a module share."""
    from driving import Browser

    browser = Browser()
    browser.address = served.address
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Open a browser at a server with 971 people of long names, one of them with 145 faces."""
    from driving import Browser
    from large import fill, serving

    browser = Browser()
    try:
        with serving(tmp_path_factory.mktemp("many"), fill) as address:
            browser.address = address
            yield browser
    finally:
        browser.close()


@pytest.fixture(scope="session")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Open a browser at a server with faces that have no person, on several pages."""
    from driving import Browser
    from large import fill_loose, serving

    browser = Browser()
    try:
        with serving(tmp_path_factory.mktemp("loose"), fill_loose) as address:
            browser.address = address
            yield browser
    finally:
        browser.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Browser]:
    """Open a browser at a server with fake models and an empty gallery."""
    from driving import Browser
    from large import serving

    browser = Browser()
    try:
        with serving(tmp_path / "served", lambda gallery, folder: None) as address:
            browser.address = address
            yield browser
    finally:
        browser.close()


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """Reset window, colours and cookies of the browser; fail if the console has errors after the test.

    Policy violations, failed scripts and missing files are errors in the console.
    """
    from driving import DESKTOP

    window.driver.delete_all_cookies()
    window.resize(DESKTOP)
    window.prefer("light")
    window.console_errors()
    yield window
    assert window.console_errors() == []


@dataclass(frozen=True)
class Photos:
    """Images to register: `people` by name, `strangers` of the same people without names, a group, a broken file."""

    people: dict[str, list[Path]]
    strangers: list[Path]
    group: Path
    broken: Path

    @property
    def all(self) -> list[Path]:
        """Return all images in the order in which they are chosen."""
        return [*(file for files in self.people.values() for file in files), *self.strangers, self.group, self.broken]


@pytest.fixture(scope="session")
def photos(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Return real photos of three people, three each, one more of each under a neutral name, and a group of six."""
    folder = tmp_path_factory.mktemp("photos")
    people = {}
    for name in ("Bill_Gates", "Larry_Page", "Mark_Zuckerberg"):
        people[name] = sorted((shared / "data/gallery" / name.replace("_", "")).glob("*.jpg"))
    broken = folder / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff this is no image")
    group = folder / "photo_1.jpg"
    shutil.copy(shared / "data/photos/group-of-six.jpg", group)
    strangers = [shared / f"data/photos/test{number}.jpg" for number in range(3)]
    return Photos(people, strangers, group, broken)


@pytest.fixture(scope="session")
def portraits(astronaut: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the public-domain portrait and images made of it: mirrored, gray, two of it side by side."""
    folder = tmp_path_factory.mktemp("portraits")
    gray = np.repeat(astronaut.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    images = {
        "Eileen_1": astronaut,
        "Eileen_2": np.ascontiguousarray(astronaut[:, ::-1]),
        "photo_3": gray,
        "photo_4": np.concatenate([astronaut, astronaut[:, ::-1]], axis=1),
        "photo_5": np.full_like(astronaut[:300], 90),
    }
    paths = {}
    for name, image in images.items():
        paths[name] = folder / f"{name}.jpg"
        paths[name].write_bytes(encode_jpeg(image, 92))
    return paths

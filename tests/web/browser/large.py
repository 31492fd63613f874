"""A server in this process on a gallery of many people, with fake models."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from places import ROOT

sys.path += [str(ROOT / "tests" / "gallery"), str(ROOT / "tests" / "web")]

from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.gallery import Candidate, Gallery
from faceall.web import ServerOptions, create_app
from faceall.web.server import Server

PEOPLE = 971
FACES_OF_ONE = 145
LOOSE = 210
UNBREAKABLE = "olfeschlegelsteinhausenbergerdorffvoralternwaren"  # 48 letters


def long_name(number: int) -> str:
    """Return a name of 60 letters without a space; in the order of the numbers, with all initials from A to Z."""
    return f"{chr(ord('A') + number * 26 // PEOPLE)}{UNBREAKABLE}Nr{number:09d}"


def fill(gallery: Gallery, folder: Path) -> None:
    """Register a photo of each person and more of the first one, with long file names."""
    candidates = []
    for number in range(PEOPLE + FACES_OF_ONE - 1):
        owner = long_name(number if number < PEOPLE else 0)
        path = write_photo(folder / f"{number:04d}" / f"{owner}_{number:05d}.png", one_face(number))
        candidates.append(Candidate(path, owner))
    for _ in gallery.register_candidates(candidates):
        pass


def fill_loose(gallery: Gallery, folder: Path) -> None:
    """Register photos of faces without a person."""
    for number in range(LOOSE):
        write_photo(folder / f"{number:04d}.png", one_face(number))
    for _ in gallery.iter_register(folder, unnamed=True):
        pass


@contextmanager
def serving(folder: Path, fill: Callable[[Gallery, Path], None]) -> Iterator[str]:
    """Serve a gallery with fake models that `fill` has filled; yield its address."""
    options = ServerOptions(port=0, stop_seconds=10)
    with Gallery.open(folder / "gallery", detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        fill(gallery, folder / "photos")
        server = Server(create_app(gallery, options), options)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server.address.rstrip("/")
        finally:
            server.stop()
            thread.join()

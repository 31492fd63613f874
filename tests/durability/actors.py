"""What is killed: a process that changes a gallery and tells each step in a file, one line per system call.

A line is written before a step that cannot be undone ("removing") and after what is promised ("added", "removed").
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import unwrap
from pathlib import Path

from migrations import SlowEmbedder
from stand_ins import ColourDetector, ColourEmbedder

from faceall.gallery import Gallery
from faceall.index import FaceIndex

LIMIT = 20
"""Faces up to which all are compared here: above, there is a graph."""


class Journal:
    """A file with one JSON line per event; a line is there wholly or not at all."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, event: str, **facts: object) -> None:
        """Add a line; it survives the process."""
        os.write(self._file, json.dumps({"event": event, **facts}).encode() + b"\n")


def told(path: Path) -> list[dict[str, object]]:
    """The lines of a journal."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


@contextmanager
def opened(folder: Path, model: str = "colours", pause: float = 0.0) -> Iterator[Gallery]:
    """A gallery on the stand-ins, with a graph as soon as it holds more than LIMIT faces."""
    options = unwrap(FaceIndex.__init__).__kwdefaults__
    assert options is not None
    before, options["exact_limit"] = options["exact_limit"], LIMIT
    try:
        embedder = ColourEmbedder() if model == "colours" else SlowEmbedder(pause)
        with Gallery.open(folder, detector=ColourDetector(pause), embedder=embedder) as gallery:
            yield gallery
    finally:
        options["exact_limit"] = before


def model_of(folder: Path) -> str:
    """Which of the two stand-ins made the vectors of a gallery."""
    with Gallery.open(folder, read_only=True) as gallery:
        return "new" if (gallery.model or "").startswith("new") else "colours"


def register(folder: Path, journal: Journal, photos: Sequence[str], seed: int) -> None:
    """Take up photos, in an order of its own, with as many transactions as fit."""
    order = list(photos)
    random.Random(seed).shuffle(order)
    with opened(folder, model_of(folder) if folder.exists() else "colours", pause=0.001) as gallery:
        journal.tell("begun")
        for start in range(0, len(order), 5):
            for result in gallery.iter_register(order[start : start + 5]):
                journal.tell(result.status, path=str(result.path), faces=result.faces)


def remove(folder: Path, journal: Journal, photos: Sequence[str], seed: int) -> None:
    """Remove photos, one after the other."""
    with opened(folder, model_of(folder)) as gallery:
        journal.tell("begun")
        for path in random.Random(seed).sample(list(photos), len(photos)):
            vectors = [gallery._index[face.face_id].tobytes().hex() for face in gallery.faces.find(path=path)]
            if not vectors:
                continue
            journal.tell("removing", path=path)
            receipt = gallery.photos.remove(path).receipt
            assert receipt is not None
            journal.tell("removed", path=path, vectors=vectors, complete=receipt.complete)


def compact(folder: Path, journal: Journal, photos: Sequence[str], seed: int) -> None:
    """Compact again and again, with something to compact."""
    with opened(folder, model_of(folder)) as gallery:
        journal.tell("begun")
        while True:
            gallery.index.compact()
            journal.tell("compacted")


def save(folder: Path, journal: Journal, photos: Sequence[str], seed: int) -> None:
    """Search, throw the graph away and write it anew, again and again."""
    with opened(folder, model_of(folder)) as gallery:
        journal.tell("begun")
        while True:
            gallery.search(photos[seed % len(photos)], k=3)
            gallery._index.rebuild_graph()
            journal.tell("saved")


def migrate(folder: Path, journal: Journal, photos: Sequence[str], seed: int) -> None:
    """Change the model, to and fro."""
    while True:
        model = "colours" if model_of(folder) == "new" else "new"
        embedder = ColourEmbedder() if model == "colours" else SlowEmbedder(0.001)
        with opened(folder, model) as gallery:
            journal.tell("begun")
            migration = gallery.index.migrate(embedder)
            for photo in migration:
                journal.tell(photo.status, migrated=str(photo.path))
            if migration.switched:
                journal.tell("switched", model=model)


ROLES = {"register": register, "remove": remove, "compact": compact, "migrate": migrate, "save": save}


def act(role: str, folder: str, journal: str, photos: Sequence[str], seed: int) -> None:
    """The whole life of the process."""
    ROLES[role](Path(folder), Journal(Path(journal)), photos, seed)

"""kill -9 at any moment of register, remove, compact, migrate and save.

FACEALL_KILLS sets how many kills there are in all (25), FACEALL_SEED the moments.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import actors
import numpy as np
import pytest
from actors import LIMIT, ROLES, model_of, opened, told
from migrations import SlowEmbedder
from stand_ins import ColourEmbedder

from faceall.gallery import Gallery
from faceall.images import read_image
from places import variable

KILLS = int(variable("FACEALL_KILLS", "25"))
SEED = variable("FACEALL_SEED", "1")
LONGEST = {"register": 0.5, "remove": 0.5, "compact": 0.4, "migrate": 0.6, "save": 0.3}  # seconds until the kill

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


class Truth:
    """What must be in a gallery, and what must not, by all that was told."""

    def __init__(self, photos: list[str]) -> None:
        self.photos = photos
        self.there: set[str] = set()
        self.gone: set[str] = set()
        self.vectors: set[str] = set()  # of removed faces, as hexadecimal bytes

    def hear(self, event: dict[str, Any]) -> None:
        """Take a line of a journal into account."""
        path = event.get("path")
        if path is None:
            return
        if event["event"] in ("added", "unchanged", "moved", "duplicate", "back"):
            self.there.add(path)
            self.gone.discard(path)
        elif event["event"] == "removing":
            self.there.discard(path)
        elif event["event"] == "removed":
            self.gone.add(path)
            if event["complete"]:
                self.vectors |= set(event["vectors"])

    def check(self, folder: Path, raw: bytes) -> None:
        """Compare with a gallery that was just killed; `raw` is what its files held before it was opened."""
        assert not [vector for vector in self.vectors if bytes.fromhex(vector) in raw], (
            "a removed vector is on the disk"
        )
        self.vectors.clear()
        model = model_of(folder)
        with opened(folder, model) as gallery:
            assert gallery.index.problems() == []
            found = Counter(str(face.path) for face in gallery.faces.find())
            assert self.there <= found.keys()
            assert not self.gone & found.keys()
            assert all(count == faces_on(path) for path, count in found.items()), "half a photo"
            self._check_vectors(gallery, model)
            assert len(gallery) <= LIMIT or gallery._index._memory.graph is not None
        self.there = set(found)
        self.gone.clear()

    def _check_vectors(self, gallery: Gallery, model: str) -> None:
        """All vectors are of one model, and those of their photos; a search that looks everywhere finds each."""
        embedder = ColourEmbedder() if model == "colours" else SlowEmbedder()
        faces = gallery.faces.find()
        if not faces:
            return
        stored = np.stack([gallery._index[face.face_id] for face in faces])
        colours = [colour_at(face.path, int(face.box[0]) + 1, int(face.box[1]) + 1) for face in faces]
        wanted = embedder.embed_crops(np.array([np.full((4, 4, 3), colour) for colour in colours], np.uint8))
        np.testing.assert_allclose(stored, wanted, atol=1e-6)
        nearest = gallery._index.search(stored, 1, ef=50 * LIMIT).distances[:, 0]
        assert nearest.max() < 1e-6


@cache
def colour_at(path: Path, x: int, y: int) -> tuple[int, ...]:
    """The colour of a pixel of a photo."""
    return tuple(read_image(path)[y, x].tolist())


def faces_on(path: str) -> int:
    """How many faces the photo shows; see the fixture `album`."""
    return 2 if int(Path(path).stem) % 4 == 0 else 1


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServerContext]:
    """Starts processes at once: it has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["actors", "hnswlib", "faceall.images", "faceall.gallery"])
    return context


@pytest.mark.slow
@pytest.mark.parametrize("role", sorted(ROLES))
def test_killed_at_any_moment(server: ForkServerContext, album: Path, tmp_path: Path, role: str) -> None:
    """What was told is so: no photo lost or half there, none back that was removed, all vectors right."""
    photos = [str(path) for path in sorted(album.glob("*/*.png"))]
    moments, truth = random.Random(f"{SEED} {role}"), Truth(photos)
    folder, journal = tmp_path / "gallery", tmp_path / "journal"
    kills = heard = 0
    wanted = max(1, KILLS // len(ROLES))
    while kills < wanted:
        if role != "register" and len(truth.there) < 2 * LIMIT:
            refill(folder, truth)
        elif role == "register" and len(truth.there) > 70:
            shutil.rmtree(folder)
            truth = Truth(photos)
        killed = run_and_kill(server, role, folder, journal, photos, moments)
        events = told(journal)
        for event in events:
            truth.hear(event)
        heard += len(events)
        kills += killed
        if folder.exists() and (folder / "faces.db").exists():
            truth.check(folder, raw_bytes(folder))
        else:
            assert not truth.there
        journal.unlink()
    print(f"{role}: {kills} kills, {heard} promises heard, none broken")
    assert heard >= kills // 2


def run_and_kill(
    server: ForkServerContext, role: str, folder: Path, journal: Path, photos: list[str], moments: random.Random
) -> bool:
    """Whether the process was still at work when it was killed."""
    journal.touch()
    seed = moments.randrange(1 << 30)
    process = server.Process(target=actors.act, args=(role, str(folder), str(journal), photos, seed))
    process.start()
    if moments.random() < 0.9:  # else while it starts
        deadline = time.monotonic() + 60
        while not journal.stat().st_size and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
    time.sleep(moments.random() * LONGEST[role])
    killed = process.is_alive()
    process.kill()
    process.join()
    assert killed or process.exitcode == 0, f"{role} failed by itself"
    return killed


def refill(folder: Path, truth: Truth) -> None:
    """Bring all photos in again."""
    model = model_of(folder) if (folder / "faces.db").exists() else "colours"
    with opened(folder, model) as gallery:
        for result in gallery.iter_register(truth.photos):
            truth.hear({"event": result.status, "path": str(result.path)})
        gallery._index.save()
    assert len(truth.there) == len(truth.photos)


def raw_bytes(folder: Path) -> bytes:
    """All that the files of a gallery hold, but for SQLite's index of its log, which holds no content."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith("-shm"))

"""A power cut at any moment, on a disk that loses or tears what was not synced.

A program registers, removes, saves and compacts under strace; its writes are played up to a random moment, and the
folder that a power cut could have left there is opened. FACEALL_CUTS sets how often (60), FACEALL_SEED the moments.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from actors import model_of, opened
from crash_log import Disk, Event, record

from faceall.errors import IndexFileError
from places import variable

CUTS = int(variable("FACEALL_CUTS", "60"))
SEED = variable("FACEALL_SEED", "1")

PROGRAM = """
import sys
sys.path[:0] = {rooms!r}
from pathlib import Path
import actors
folder, journal, photos = Path({folder!r}), actors.Journal(Path({journal!r})), {photos!r}
actors.register(folder, journal, photos[:40], 1)
actors.remove(folder, journal, photos[:6], 2)
actors.register(folder, journal, photos[30:60], 3)
with actors.opened(folder) as gallery:
    gallery.index.compact()
    journal.tell("compacted")
with actors.opened(folder, "new") as gallery:
    for photo in gallery.index.migrate(actors.SlowEmbedder()):
        journal.tell(photo.status, migrated=str(photo.path))
    journal.tell("switched")
actors.remove(folder, journal, photos[10:14], 4)
"""


@pytest.fixture(scope="module")
def events(album: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """All that a program did to a gallery, and what it has promised in between."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    root = tmp_path_factory.mktemp("traced").resolve()
    rooms = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "gallery"), *sys.path]
    photos = [str(path) for path in sorted(album.glob("*/*.png"))]
    program = root.parent / "program.py"
    program.write_text(
        PROGRAM.format(rooms=rooms, folder=str(root / "gallery"), journal=str(root / "journal"), photos=photos)
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    log = root.parent / "strace.log"
    try:
        found = record([sys.executable, str(program)], root, environment, log)
    except subprocess.CalledProcessError as error:
        if "ptrace" in error.stderr or "not permitted" in error.stderr:
            pytest.skip("needs the right to trace a process")
        raise AssertionError(error.stderr) from error
    return root, found


def split(root: Path, events: list[Event]) -> tuple[list[Event], list[tuple[int, dict[str, str]]]]:
    """The events of the gallery, and the promises with the number of events that came before each."""
    changes: list[Event] = []
    promises: list[tuple[int, dict[str, str]]] = []
    for event in events:
        if event.path == str(root / "journal"):
            if event.kind == "write":
                promises.append((len(changes), json.loads(event.data)))
        else:
            changes.append(event)
    return changes, promises


def test_record_is_whole(events: tuple[Path, list[Event]], tmp_path: Path) -> None:
    """Played to its end, and with nothing lost, the record gives the very files that are there."""
    root, found = events
    disk = Disk(root / "gallery")
    for event in split(root, found)[0]:
        disk.play(event)
    disk.cut(tmp_path / "left", Everything())
    left = {path.name: path.read_bytes() for path in (tmp_path / "left").iterdir()}
    there = {path.name: path.read_bytes() for path in (root / "gallery").iterdir()}
    assert left == there
    assert {"faces.db", "faces.hnsw"} <= there.keys()
    kinds = {event.kind for event in found}
    assert kinds >= {"write", "sync", "create", "rename", "remove", "truncate"}


class Everything(random.Random):
    """A power cut that loses nothing."""

    def choice(self, options: tuple[float, ...]) -> float:  # type: ignore[override]
        return max(options)


@pytest.mark.slow
def test_power_cut_loses_no_promise(events: tuple[Path, list[Event]], tmp_path: Path) -> None:
    """Whatever the disk has kept: the gallery opens, is sound, holds what was promised and nothing that was removed."""
    root, found = events
    changes, promises = split(root, found)
    moments = random.Random(f"power {SEED}")
    cuts = sorted(moments.randrange(len(changes) + 1) for _ in range(CUTS))
    disk, played, checked = Disk(root / "gallery"), 0, 0
    for number, cut in enumerate(cuts):
        for event in changes[played:cut]:
            disk.play(event)
        played = cut
        left = tmp_path / "left"
        disk.cut(left, random.Random(f"{SEED} {number}"))
        checked += check(left, [promise for before, promise in promises if before <= cut], f"cut {number} after {cut}")
    print(f"{CUTS} power cuts in {len(changes)} events, {checked} promises checked, none broken")


def check(left: Path, promises: list[dict[str, str]], name: str) -> int:
    """Open what is left, and compare it with the promises; how many there were."""
    there: set[str] = set()
    doubtful: set[str] = set()
    gone: set[str] = set()
    for promise in promises:
        path = promise.get("path", "")
        if promise["event"] in ("added", "unchanged", "duplicate"):
            there.add(path)
            gone.discard(path)
        elif promise["event"] == "removing":
            there.discard(path)
            doubtful.add(path)
        elif promise["event"] == "removed":
            gone.add(path)
    if not (left / "faces.db").exists() and not there:
        return 0
    assert (left / "faces.db").exists(), name
    if not there and not (left / "faces.db").stat().st_size:
        return 0
    with opened(left) as gallery:
        assert gallery.index.problems() == [], name
        gallery._index.save()  # the graph is a cache: it may be missing, and is made anew
        assert gallery.index.verify().problems == (), name
        found = {str(face.path) for face in gallery.faces.find()}
    assert there <= found, f"{name}: lost {sorted(there - found)[:3]}"
    assert not gone & found, f"{name}: back {sorted(gone & found)[:3]}"
    switched = any(promise["event"] == "switched" for promise in promises)
    assert not switched or model_of(left) == "new", name
    return len(there) + len(gone)


def test_lost_promises_are_noticed(events: tuple[Path, list[Event]], tmp_path: Path) -> None:
    """On a disk that ignores every request to sync, what was promised is lost, and this test can tell."""
    root, found = events
    changes, promises = split(root, found)
    disk, lost = Disk(root / "gallery"), 0
    for event in changes:
        if event.kind != "sync" or event.path.endswith("gallery"):
            disk.play(event)
    for seed in range(10):
        disk.cut(tmp_path / "left", random.Random(seed))
        try:
            check(tmp_path / "left", [promise for _, promise in promises], "without syncs")
        except (AssertionError, IndexFileError):
            lost += 1
    assert lost >= 5

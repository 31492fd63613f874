"""Several processes and threads on one gallery: writers take turns, readers never wait and are never late."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from actors import LIMIT, Journal, opened, register, told

from faceall.errors import IndexBusyError
from faceall.gallery import Gallery
from faceall.index import FaceIndex

SECOND = 1.0
"""How late a reader may be, at most."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX processes")


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Starts processes at once: it has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["actors", "test_several"])
    return context


@pytest.fixture
def started(processes: ForkServerContext) -> Iterator[Any]:
    """Starts processes that do not outlive the test."""
    running: list[BaseProcess] = []

    def start(target: Any, *arguments: Any) -> BaseProcess:
        process = processes.Process(target=target, args=arguments)
        process.start()
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.join()


def photos_of(album: Path) -> list[str]:
    """All photos."""
    return [str(path) for path in sorted(album.glob("*/*.png"))]


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    """Until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.005)


def hold_the_lock(folder: str, journal: str, seconds: float) -> None:
    """Write for so long in one transaction."""
    with FaceIndex(folder) as index, index.transaction():
        Journal(Path(journal)).tell("writing")
        time.sleep(seconds)


def watch(folder: str, journal: str, count: int) -> None:
    """Read and search without a pause until there are so many photos; tell when each was seen, and the longest wait."""
    notes, seen, longest = Journal(Path(journal)), set(), 0.0
    with opened(Path(folder)) as gallery:
        notes.tell("watching")
        while len(seen) < count:
            start = time.monotonic()
            paths = {str(face.path) for face in gallery.faces.find()}
            keys = gallery._index.keys()
            if len(keys):
                gallery._index.search(gallery._index[int(keys[-1])], 1)
            longest = max(longest, time.monotonic() - start)
            for path in paths - seen:
                notes.tell("seen", path=path, time=time.time())
            seen |= paths
        notes.tell("end", longest=longest)


def tell_times(folder: str, journal: str, photos: list[str]) -> None:
    """Register photos one by one, and tell when each was safe."""
    notes = Journal(Path(journal))
    with opened(Path(folder)) as gallery:
        for photo in photos:
            for result in gallery.iter_register([photo]):
                notes.tell(result.status, path=str(result.path), time=time.time())
            time.sleep(0.01)


def test_reader_sees_new_faces_within_a_second(album: Path, folder: Path, tmp_path: Path, started: Any) -> None:
    """A process that only looks sees every photo within a second of its being told, and no look takes longer."""
    with opened(folder):
        pass
    photos, (seen, added) = photos_of(album), (tmp_path / "seen", tmp_path / "added")
    watcher = started(watch, str(folder), str(seen), len(photos))
    wait_for(lambda: seen.exists() and seen.stat().st_size)
    started(tell_times, str(folder), str(added), photos).join(120)
    watcher.join(60)
    safe = {str(event["path"]): float(str(event["time"])) for event in told(added)}
    found = {str(event["path"]): float(str(event["time"])) for event in told(seen) if event["event"] == "seen"}
    assert safe.keys() == found.keys() == set(photos)
    late = max(found[path] - safe[path] for path in photos)
    longest = float(str(told(seen)[-1]["longest"]))
    print(f"seen {late:.3f} s after it was told at the latest; the longest look took {longest:.3f} s")
    assert late < SECOND
    assert longest < SECOND


def test_readers_do_not_wait_for_a_writer(album: Path, folder: Path, tmp_path: Path, started: Any) -> None:
    """While one process holds the lock for seconds, others search and list at once."""
    with opened(folder) as gallery:
        list(gallery.register(photos_of(album)[: 2 * LIMIT]))
    journal = tmp_path / "journal"
    started(hold_the_lock, str(folder), str(journal), 30.0)
    wait_for(lambda: journal.exists() and journal.stat().st_size)
    with Gallery.open(folder, read_only=True) as reader:
        start = time.monotonic()
        for key in reader._index.keys().tolist():
            assert reader._index.search(reader._index[key], 1).keys.tolist() == [[key]]
        assert len(reader.people) == 4
        assert time.monotonic() - start < 10
        assert told(journal)[-1]["event"] == "writing"


def test_writer_waits_for_its_turn(album: Path, folder: Path, tmp_path: Path, started: Any) -> None:
    """A second writer waits until the first has done, and then writes."""
    with opened(folder):
        pass
    journal = tmp_path / "journal"
    holder = started(hold_the_lock, str(folder), str(journal), 1.0)
    wait_for(lambda: journal.exists() and journal.stat().st_size)
    with opened(folder) as gallery:
        (result,) = gallery.register(photos_of(album)[:1])
        assert result.status == "added"
    holder.join(0)
    assert not holder.is_alive() or told(journal)


def test_writer_that_waits_too_long_reports_it(folder: Path, tmp_path: Path, started: Any) -> None:
    """After its patience it says in one line that somebody else is writing, and for how long it has waited."""
    FaceIndex(folder).close()
    journal = tmp_path / "journal"
    started(hold_the_lock, str(folder), str(journal), 60.0)
    wait_for(lambda: journal.exists() and journal.stat().st_size)
    with FaceIndex(folder, timeout=0.3) as index:
        with pytest.raises(IndexBusyError, match=r"another process has been writing for 0\.3 s; try again") as caught:
            index.add([1.0, 2.0])
        assert "\n" not in str(caught.value)
        assert len(index) == 0


def register_and_tell(folder: str, journal: str, photos: list[str], seed: int) -> None:
    """Register photos in an order of its own."""
    register(Path(folder), Journal(Path(journal)), photos, seed)


def test_four_writers_lose_nothing(album: Path, folder: Path, tmp_path: Path, started: Any) -> None:
    """Four processes that register the same photos store each of them once."""
    with opened(folder):
        pass
    journals = [tmp_path / f"journal {number}" for number in range(4)]
    writers = [
        started(register_and_tell, str(folder), str(journal), photos_of(album), seed)
        for seed, journal in enumerate(journals)
    ]
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    events = [event for journal in journals for event in told(journal)]
    added = [event["path"] for event in events if event["event"] == "added"]
    assert sorted(map(str, added)) == photos_of(album)
    with opened(folder) as gallery:
        assert gallery.index.problems() == []
        assert len({face.path for face in gallery.faces.find()}) == 80


def test_threads_search_add_and_remove_at_once(tmp_path: Path) -> None:
    """Six threads on one index for some seconds: every answer is of a vector that was there, and nothing is lost."""
    chance = np.random.default_rng(1)
    vectors = chance.normal(size=(3000, 16)).astype(np.float32)
    errors: list[Exception] = []
    kept: list[set[int]] = []
    with FaceIndex(tmp_path / "index", exact_limit=200) as index:
        steady = index.add(vectors[:1000])
        end = time.monotonic() + 3

        def guarded(work: Any) -> None:
            try:
                while time.monotonic() < end:
                    work()
            except Exception as error:  # noqa: BLE001 - told below
                errors.append(error)

        def search() -> None:
            row = int(np.random.default_rng().integers(1000))
            found = index.search(vectors[row], 3)
            assert found.keys[0, 0] == steady[row]
            assert found.distances[0, 0] < 1e-6

        def change() -> None:
            rows = np.random.default_rng().integers(1000, 3000, size=8)
            keys = index.add(vectors[rows])
            kept.append(set(keys[:5].tolist()))
            index.remove(keys[5:])

        def save() -> None:
            index.save()
            time.sleep(0.1)

        threads = [
            threading.Thread(target=guarded, args=(work,)) for work in (search, search, search, change, change, save)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert set().union(*kept) | set(steady.tolist()) == set(index.keys().tolist())
        assert index.check() == []
        assert len(kept) > 3

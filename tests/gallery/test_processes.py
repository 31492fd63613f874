"""Registrations that are killed at any moment, or run at the same time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.gallery import Gallery
from places import variable

Opener = Callable[..., Gallery]
KILLS = int(variable("FACEALL_KILLS", "8"))
PHOTOS = 200

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals"),
    pytest.mark.embedded("milvus-lite serves one process at a time"),
]


def register(folder: Path, photos: Path, output: Path, pause: float = 0.002) -> subprocess.Popen[str]:
    """Start a process that registers `photos` and writes each result to the file `output` at once."""
    program = Path(__file__).with_name("stand_ins.py")
    search_path = os.pathsep.join(part for part in sys.path if part)
    with output.open("w") as file:
        return subprocess.Popen(
            [sys.executable, str(program), str(folder), str(pause), str(photos)],
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": search_path},
        )


def reported(output: Path) -> dict[str, str]:
    """Return path -> status of the complete lines."""
    lines = output.read_text().splitlines(keepends=True)
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return {record["path"]: record["status"] for record in records}


@pytest.fixture
def many(photos: Path) -> Path:
    """Photos of ten people."""
    for number in range(PHOTOS):
        write_photo(photos / f"person-{number % 10}-x" / f"{number}.png", one_face(number))
    return photos


def test_killed_at_any_moment(folder: Path, many: Path, open_gallery: Opener, tmp_path: Path) -> None:
    """After kill -9 every photo reported as added is stored with its face, and the next run continues.

    FACEALL_KILLS sets the number of kills, FACEALL_SEED the moments.
    """
    moments = random.Random(variable("FACEALL_SEED", "1"))
    safe: set[str] = set()
    output = tmp_path / "output"
    for _ in range(KILLS):
        process = register(folder, many, output)
        time.sleep(moments.random() * 0.4)  # some are killed while they start
        while moments.random() < 0.9 and not output.stat().st_size and process.poll() is None:
            time.sleep(0.01)  # most are killed after their first report
        time.sleep(moments.random() * 0.6)
        process.kill()
        _, errors = process.communicate()
        assert errors == ""
        results = reported(output)
        safe |= {path for path, status in results.items() if status == "added"}
        assert all(status == "unchanged" for path, status in results.items() if path in safe and status != "added")
        with open_gallery() as gallery:
            assert gallery.index.problems() == []
            assert safe <= {str(face.path) for face in gallery.faces.find()}
        if len(safe) > PHOTOS * 0.8:
            for file in folder.iterdir():
                file.unlink()
            safe.clear()
    _, errors = register(folder, many, output, 0).communicate(timeout=60)
    assert errors == ""
    assert len(reported(output)) == PHOTOS
    assert len(open_gallery()) == PHOTOS


def test_two_processes_lose_nothing(folder: Path, many: Path, open_gallery: Opener, tmp_path: Path) -> None:
    """Two processes that register the same photos at once store every photo once."""
    files = (tmp_path / "first", tmp_path / "second")
    processes = [register(folder, many, file) for file in files]
    assert [process.communicate(timeout=120)[1] for process in processes] == ["", ""]
    first, second = map(reported, files)
    assert len(first) == len(second) == PHOTOS
    assert set(first.values()) | set(second.values()) <= {"added", "unchanged"}
    added = [path for results in (first, second) for path, status in results.items() if status == "added"]
    assert len(added) == len(set(added)) == PHOTOS
    gallery = open_gallery()
    assert (len(gallery), gallery.index.problems()) == (PHOTOS, [])

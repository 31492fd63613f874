"""kill -9 of the real command with the real detector on real photos.

FACEALL_KILLS sets the number of kills, FACEALL_SEED their moments, FACEALL_KILL_MODELS a folder with another embedder
than the tiny one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceall.gallery import Gallery

KILLS = int(os.environ.get("FACEALL_KILLS", "4"))
PHOTOS = 400


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_killed_command_loses_nothing(process_environment: dict[str, str], shared: Path, tmp_path: Path) -> None:
    """Every photo reported as added is stored, nothing is damaged, and the next run continues."""
    environment = {**process_environment}
    environment["FACEALL_MODELS"] = os.environ.get("FACEALL_KILL_MODELS", environment["FACEALL_MODELS"])
    photos = sorted((shared / "data" / "lfw-dev").glob("*/*.jpg"))[:PHOTOS]
    folder, output = Path(environment["FACEALL_GALLERY"]), tmp_path / "output"
    moments = random.Random(os.environ.get("FACEALL_SEED", "1"))
    safe: set[str] = set()
    kills = added = 0
    while kills < KILLS:
        process = _register(environment, photos, output)
        while not output.stat().st_size and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.random() * 1.5)
        kills += process.poll() is None  # a process that has finished was not killed
        process.kill()
        assert process.communicate()[1] == ""
        for record in map(json.loads, (line for line in output.read_text().splitlines(True) if line.endswith("\n"))):
            assert record["status"] in ("added", "unchanged")
            added += record["status"] == "added" and record["path"] not in safe
            safe.add(record["path"])
        with Gallery.open(folder) as gallery:
            assert gallery.index.problems() == []
            assert safe <= {str(face.path) for face in gallery.faces.find()}
        if len(safe) > PHOTOS * 0.7:
            shutil.rmtree(folder)
            safe.clear()
    print(f"{kills} kills, {added} photos reported as added, none lost")


def _register(environment: dict[str, str], photos: list[Path], output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "faceall_cli.main", "register", "--json", "--quiet", *map(str, photos)]
    with output.open("w") as file:
        return subprocess.Popen(command, env=environment, text=True, stdout=file, stderr=subprocess.PIPE)

"""kill -9 at any moment: what was reported as stored is stored, and the index opens and answers rightly.

FACEALL_KILLS sets how often (10).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.index import FaceIndex

Oracle = Any
KILLS = int(os.environ.get("FACEALL_KILLS", "10"))
PER_FOLDER = 5
LIMIT = 60

WRITER = """
import sys, numpy as np
from faceall.index import FaceIndex, GraphOptions
random = np.random.default_rng(int(sys.argv[2]))
axes = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 4)))[0].T  # of a subspace that can be projected to
with FaceIndex(sys.argv[1], exact_limit=int(sys.argv[3]), options=GraphOptions(vectors=sys.argv[4])) as index:
    print("ready", flush=True)
    while True:
        vectors = (random.normal(size=(random.integers(1, 30), 4)) @ axes).astype(np.float32)
        with index.transaction() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS faces (key INTEGER PRIMARY KEY REFERENCES vectors, sum)")
            keys = index.add(vectors).tolist()
            connection.executemany("INSERT INTO faces VALUES (?, ?)", list(zip(keys, vectors.sum(1).tolist())))
        print("added", *keys, flush=True)
        if random.random() < 0.3:
            gone = [key for key in keys if random.random() < 0.5]
            print("removing", *gone, flush=True)
            with index.transaction() as connection:
                connection.executemany("DELETE FROM faces WHERE key = ?", [(key,) for key in gone])
                index.remove(gone)
            print("removed", *gone, flush=True)
        if random.random() < 0.3:
            index.search(vectors, 3)
        if random.random() < 0.3:
            index.save()
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 needs POSIX signals")
@pytest.mark.parametrize("vectors", ["float32", "projected"])
@pytest.mark.parametrize("run", range((KILLS + PER_FOLDER - 1) // PER_FOLDER))
def test_killed_writer_loses_nothing(tmp_path: Path, oracle: Oracle, run: int, vectors: str) -> None:
    """Five kills after another on one folder; after each, all that was reported is there and nothing half done."""
    certain: set[int] = set()
    doubtful: set[int] = set()
    for number in range(PER_FOLDER):
        seed = run * PER_FOLDER + number
        for word, keys in _reports_of_a_killed_writer(tmp_path, seed, vectors):
            if word == "added":
                certain |= keys
            elif word == "removing":
                certain -= keys
                doubtful |= keys
            elif word == "removed":
                doubtful -= keys
        certain = _whole(tmp_path, certain, doubtful, oracle, seed)
        doubtful = set()


def _reports_of_a_killed_writer(folder: Path, seed: int, vectors: str) -> list[tuple[str, set[int]]]:
    command = [sys.executable, "-c", WRITER, str(folder), str(seed), str(LIMIT), vectors]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(float(np.random.default_rng(seed).uniform(0, 0.4)))
        process.send_signal(signal.SIGKILL)
        output, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    whole = output[: output.rfind(b"\n") + 1].decode()
    return [(line.split()[0], set(map(int, line.split()[1:]))) for line in whole.splitlines()]


def _whole(folder: Path, certain: set[int], doubtful: set[int], oracle: Oracle, seed: int) -> set[int]:
    """The keys, after everything was compared: reported ones, the caller's own table, and answers."""
    with FaceIndex(folder, exact_limit=LIMIT) as index:
        assert index.check() == []
        keys = index.keys()
        present = set(keys.tolist())
        assert certain <= present
        rows = _own_rows(index)
        assert rows.keys() == present
        vectors = np.stack([index[key] for key in keys.tolist()]) if len(keys) else np.zeros((0, 16), np.float32)
        np.testing.assert_allclose(vectors.sum(axis=1), [rows[key] for key in keys.tolist()], atol=1e-4)
        if len(keys):
            queries = vectors[np.random.default_rng(seed).integers(len(keys), size=10)]
            oracle.agrees(index.search(queries, 5, ef=10 * LIMIT), vectors, keys, queries, 5)  # looks everywhere
    extra = present - certain - doubtful
    assert len(extra) <= 29  # at most the one batch that was committed but not yet reported
    return present


def _own_rows(index: FaceIndex) -> dict[int, float]:
    tables = index.connection.execute("SELECT name FROM sqlite_master WHERE name = 'faces'").fetchall()
    return dict(index.connection.execute("SELECT key, sum FROM faces")) if tables else {}

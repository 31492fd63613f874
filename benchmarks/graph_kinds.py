"""Compare a graph of whole vectors with one of projected vectors: memory, disk, recall and time of a search.

Both kinds hold the same vectors with the same links. A new process opens each kind, reads its memory before and after
the first search, and searches; the kinds take turns.

Usage: python benchmarks/graph_kinds.py FOLDER [--faces FILE.npz] [--count N] [--dimension N] [--rounds N] [--json FILE]
  FOLDER            the indexes are made there, and used again if they are there
  --faces FILE.npz  vectors distributed as those of LFW (see index_vectors.py), instead of random unit vectors
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from index_vectors import RealFaces, unit
from measure import print_table, write_json

from faceall.index import FaceIndex, GraphOptions
from faceall.index.graph import graph_file
from faceall.index.graph.exact import nearest
from faceall.index.storage.rows import Block
from faceall.types import Float32Array

KINDS = ("float32", "projected")
K = 10
QUERIES = 300
PERSON = 10  # faces

_SEARCH = """
import json, os, sys, time, numpy as np, hnswlib
from faceall.index import FaceIndex
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
queries = np.load(sys.argv[2])
before, start = memory(), time.process_time()
index = FaceIndex(sys.argv[1], exact_limit=0, read_only=True)
rest = memory() - before
keys = [index.search(queries[0], 10).keys]
first, searching = time.process_time() - start, memory() - before
times = []
for query in queries[1:]:
    start = time.thread_time()
    keys.append(index.search(query, 10).keys)
    times.append(time.thread_time() - start)
start = time.process_time()
index.search(queries, 10)
batch = (time.process_time() - start) / len(queries)
print(json.dumps([rest, searching, first, float(np.median(times)), batch, np.concatenate(keys).tolist()]))
"""


def vectors_of(faces: Path | None, count: int, dimension: int) -> Float32Array:
    """Make `count` vectors and QUERIES more."""
    if faces is not None:
        return RealFaces(faces, dimension).similar(count + QUERIES, count // PERSON)
    return unit(np.random.default_rng(0).standard_normal((count + QUERIES, dimension), np.float32))


def prepare(folder: Path, vectors: Float32Array) -> dict[str, float]:
    """Make the index of each kind that is not there; return the processor time that each took."""
    took = {}
    whole, shorter = (folder / kind for kind in KINDS)
    start = time.process_time()
    if not (whole / graph_file.GRAPH).exists():
        with FaceIndex(whole, options=GraphOptions(vectors="float32"), exact_limit=0) as index:
            index.add(vectors)
            index.save()
        took["float32"] = time.process_time() - start
    start = time.process_time()
    if not (shorter / graph_file.GRAPH).exists():
        shutil.copytree(whole, shorter)
        with FaceIndex(shorter, options=GraphOptions(vectors="projected"), exact_limit=0) as index:
            index.shorten_graph()
            index.save()
        took["projected"] = time.process_time() - start
    return took


def searched(folder: Path, queries: Path) -> list[Any]:
    """Open and search an index in a new process."""
    command = [sys.executable, "-c", _SEARCH, str(folder), str(queries)]
    return list(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--faces", type=Path, metavar="FILE.npz")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    vectors = vectors_of(given.faces, given.count, given.dimension)
    vectors, queries = vectors[:-QUERIES], vectors[-QUERIES:]
    took = prepare(given.folder, vectors)
    np.save(given.folder / "queries.npy", queries)
    truth = nearest(queries, [Block(np.arange(1, len(vectors) + 1), vectors)], K).keys
    runs: dict[str, list[list[Any]]] = {kind: [] for kind in KINDS}
    for _ in range(given.rounds):
        for kind in KINDS:
            runs[kind].append(searched(given.folder / kind, given.folder / "queries.npy"))
    rows = []
    for kind, results in runs.items():
        rest, memory, first, one, batch = (statistics.median(run[place] for run in results) for place in range(5))
        found = np.array(results[0][5])
        rows.append(
            {
                "kind": kind,
                "in use": graph_file.kind(given.folder / kind),
                "made, s": took.get(kind),
                "file, bytes/face": (given.folder / kind / graph_file.GRAPH).stat().st_size / given.count,
                "at rest, MB": rest / 1e6,
                "searching, MB": memory / 1e6,
                "first search, s": first,
                "one, us": 1e6 * one,
                "batch, us": 1e6 * batch,
                "recall@1": float((found[:, 0] == truth[:, 0]).mean()),
                "recall@10": float((found[:, :, None] == truth[:, None, :]).any(axis=2).mean()),
            }
        )
    print_table(rows)
    write_json(given.json, rows)


if __name__ == "__main__":
    main()

"""Compare FaceIndex with raw hnswlib at equal parameters: adding, searching, recall, memory and opening.

Every vector of FaceIndex is in SQLite, synced to the disk, before the graph sees it; hnswlib only has it in memory.
The searches of both go through the same graph: that of FaceIndex, written by it and loaded again by hnswlib.

Usage: python benchmarks/index.py [--counts N ...] [--dimensions N ...] [--faces FILE.npz] [--json FILE] ...
  --faces FILE.npz  vectors distributed as those of LFW (see index_vectors.py), instead of evenly spread clusters
  --adding          also measure adding: builds every graph several times
  --keep FOLDER     keep the indexes there, and use those that are there (a million takes long to build)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
from index_vectors import RealFaces, clustered
from measure import alternate, print_table, write_json

from faceall.index import FaceIndex, GraphOptions
from faceall.index.graph import exact, graph_file
from faceall.index.storage.rows import Block
from faceall.types import Float32Array, Int64Array

K = 10
QUERIES = 500


class Contest:
    """An index of `count` vectors, and hnswlib with the same graph."""

    def __init__(self, folder: Path, everything: Float32Array, options: GraphOptions) -> None:
        self.vectors, self.queries = everything[:-QUERIES], everything[-QUERIES:]
        self.options = options
        self.figures: dict[str, Any] = {"count": len(self.vectors), "dimension": self.vectors.shape[1]}
        self.folder = folder
        if not (folder / graph_file.GRAPH).exists():
            with FaceIndex(folder, options=options, exact_limit=0) as index:
                index.add(self.vectors)
        blocks = [
            Block(np.arange(start, min(start + 50_000, len(self.vectors))) + 1, self.vectors[start : start + 50_000])
            for start in range(0, len(self.vectors), 50_000)
        ]
        self.truth = exact.nearest(self.queries, blocks, K).keys

    def measure(self, rounds: int) -> None:
        opening, memory = opened(self.folder, self.queries[0])
        with FaceIndex(self.folder, options=self.options, exact_limit=0, read_only=True) as index:
            index.search(self.queries[0], K)
            self.figures["open s"] = opening
            per_face = memory / len(self.vectors)
            graph = index._memory.graph
            assert graph is not None
            least = 4 * graph.dimension + 8 * self.options.links + 4 + 8  # the vector, its links, its key
            self.figures |= {"bytes per face": per_face, "over vector + graph": per_face / least}
            tuning = graph.tuning
            effort = graph.effort_for(K)
            self.figures |= {"ef": effort, "reached at save": tuning.reached if tuning else None}
            raw = raw_graph(self.folder, self.vectors.shape[1], self.options)
            raw.set_ef(effort)
            self.figures["recall"] = _recall(index.search(self.queries, K).keys, self.truth)
            self.figures["recall hnswlib"] = _recall(raw.knn_query(self.queries, K)[0].astype(np.int64), self.truth)
            self._time_searches(index, raw, rounds)
            self._sweep(raw, index)

    def _time_searches(self, index: FaceIndex, raw: Any, rounds: int) -> None:
        """Time single queries in turns, then all queries at once in turns."""
        mine, other = [], []
        for query in self.queries:
            mine.append(_seconds(lambda query=query: index.search(query, K)))
            other.append(_seconds(lambda query=query: raw.knn_query(query, K)))
            other.append(_seconds(lambda query=query: raw.knn_query(query, K)))
            mine.append(_seconds(lambda query=query: index.search(query, K)))
        one = {"one us": 1e6 * float(np.median(mine)), "one hnswlib us": 1e6 * float(np.median(other))}
        batch = cpu_in_turns(
            {"mine": lambda: index.search(self.queries, K), "raw": lambda: raw.knn_query(self.queries, K)}, rounds
        )
        self.figures |= one | {"one ratio": one["one us"] / one["one hnswlib us"]}
        self.figures |= {
            "batch CPU us": 1e6 * batch["mine"] / QUERIES,
            "batch hnswlib CPU us": 1e6 * batch["raw"] / QUERIES,
            "batch ratio": batch["mine"] / batch["raw"],
        }

    def _sweep(self, raw: Any, index: FaceIndex) -> None:
        """Return the smallest search effort for several recalls, and the median time of one query with it."""
        for wished in (0.95, 0.99):
            low, high = K - 1, 2048
            while high > low + 1:
                middle = (low + high) // 2
                raw.set_ef(middle)
                enough = _recall(raw.knn_query(self.queries, K)[0].astype(np.int64), self.truth) >= wished
                low, high = (low, middle) if enough else (middle, high)
            graph = index._memory.graph
            assert graph is not None
            graph._graph.set_ef(high)
            times = [_seconds(lambda query=query: index.search(query, K)) for query in self.queries]
            self.figures |= {f"ef at {wished}": high, f"p50 us at {wished}": 1e6 * float(np.median(times))}

    def time_adding(self, rounds: int) -> None:
        """Return the size of hnswlib in memory, of FaceIndex on disk, and of its SQLite database."""
        commits: list[float] = []

        def fill_raw() -> None:
            raw = hnswlib.Index(space="l2", dim=self.vectors.shape[1])
            raw.init_index(len(self.vectors), M=self.options.links, ef_construction=self.options.build_effort)
            raw.set_num_threads(self.options.thread_count)
            raw.add_items(self.vectors, np.arange(len(self.vectors)))

        def fill_index() -> None:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                index = FaceIndex(folder, options=self.options, exact_limit=0)
                commits.append(_seconds(lambda: index.add(self.vectors)))
                index.search(self.queries[0], 1)
                index.close(save=False)

        seconds = alternate({"raw": fill_raw, "mine": fill_index}, rounds)
        per = 1e6 / len(self.vectors)
        commit = float(np.median(commits))
        self.figures |= {
            "add us": per * seconds["mine"],
            "commit us": per * commit,
            "add hnswlib us": per * seconds["raw"],
            "add ratio without commit": (seconds["mine"] - commit) / seconds["raw"],
        }


def raw_graph(folder: Path, dimension: int, options: GraphOptions) -> Any:
    """Load the graph of a saved FaceIndex with hnswlib."""
    raw = hnswlib.Index(space="l2", dim=dimension)
    with (folder / graph_file.GRAPH).open("rb") as file, graph_file.scratch_file(folder) as (path, copy):
        file.seek(len(graph_file.Header(1, "l2", 0, 0).pack()) + 32)  # its digest
        while part := file.read(1 << 24):
            copy.write(part)
        copy.flush()
        raw.load_index(str(path))
    raw.set_num_threads(options.thread_count)
    return raw


def cpu_in_turns(candidates: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median processor seconds of all threads: wall time of two threads depends on other processes."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(3 * rounds):
        for name, run in candidates.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def _recall(found: Int64Array, truth: Int64Array) -> float:
    return float((found[:, :, None] == truth[:, None, :]).any(axis=2).mean())


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


_OPEN = """
import os, sys, time, hnswlib, numpy as np
from faceall.index import FaceIndex
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
query = np.frombuffer(bytes.fromhex(sys.argv[2]), np.float32)
before, start = memory(), time.perf_counter()
index = FaceIndex(sys.argv[1], exact_limit=0, read_only=True)
index.search(query, 10)
print(time.perf_counter() - start, memory() - before)
"""


def opened(folder: Path, query: Float32Array) -> tuple[float, int]:
    """Return the seconds until a new process has answered a query, and its additional memory in bytes (Linux)."""
    answer = subprocess.run(
        [sys.executable, "-c", _OPEN, str(folder), query.tobytes().hex()], check=True, capture_output=True, text=True
    ).stdout.split()
    return float(answer[0]), int(answer[1])


def vectors_of(faces: Path | None, count: int, dimension: int) -> Float32Array:
    """Make `count` vectors and QUERIES more, ten faces per person."""
    people = max(1, count // 10)
    if faces is None:
        return clustered(count + QUERIES, dimension, people)
    return RealFaces(faces, dimension).similar(count + QUERIES, people)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--faces", type=Path, metavar="FILE.npz")
    parser.add_argument("--links", type=int, default=GraphOptions().links)
    parser.add_argument("--build-effort", type=int, default=GraphOptions().build_effort)
    parser.add_argument("--adding", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    options = GraphOptions(links=given.links, build_effort=given.build_effort)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for dimension in given.dimensions:
            for count in given.counts:
                kind = "similar" if given.faces else "clustered"
                name = f"{kind}-{count}-{dimension}-{options.links}-{options.build_effort}"
                folder = (given.keep or Path(scratch)) / name
                contest = Contest(folder, vectors_of(given.faces, count, dimension), options)
                contest.figures |= {"vectors": kind, "links": options.links, "build effort": options.build_effort}
                contest.measure(given.rounds)
                if given.adding:
                    contest.time_adding(max(1, given.rounds // 3))
                rows.append(contest.figures)
                print_table([{"what": key, "value": value} for key, value in contest.figures.items()])
    write_json(given.json, rows)


if __name__ == "__main__":
    main()

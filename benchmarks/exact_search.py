"""Measure searches that compare all vectors, as without hnswlib: time of one query, and memory of the process.

Each size is measured in a process of its own. Wall and processor times are medians; the processor time is that of all
threads, and depends less on other programs. Linux only (memory of the process).

Usage: python benchmarks/exact_search.py [--counts N ...] [--dimensions N ...] [--queries N] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from measure import print_table, write_json

from faceall.index import FaceIndex

K = 10
BLOCK = 50_000


def fill(folder: str, count: int, dimension: int) -> None:
    """Store random vectors in an index."""
    random = np.random.default_rng(0)
    with FaceIndex(folder, exact_limit=sys.maxsize) as index:
        for start in range(0, count, BLOCK):
            index.add(random.normal(size=(min(BLOCK, count - start), dimension)).astype(np.float32))


def search(folder: str, dimension: int, queries: int) -> dict[str, float]:
    """Search an index in this process; return medians and the memory that opening and searching took."""
    before = resident()
    random = np.random.default_rng(1)
    wall, processor = [], []
    with FaceIndex(folder, exact_limit=sys.maxsize, read_only=True) as index:
        for query in random.normal(size=(queries + 1, dimension)).astype(np.float32):
            starts = time.perf_counter(), time.process_time()
            index.search(query, K)
            wall.append(time.perf_counter() - starts[0])
            processor.append(time.process_time() - starts[1])
        memory = resident() - before
    return {
        "first search s": wall[0],
        "one search, wall ms": 1e3 * statistics.median(wall[1:]),
        "one search, processor ms": 1e3 * statistics.median(processor[1:]),
        "memory MB": memory / 1e6,
    }


def resident() -> int:
    """Return the memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 300_000], metavar="N")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 512], metavar="N")
    parser.add_argument("--queries", type=int, default=50, metavar="N")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for dimension in given.dimensions:
        for count in given.counts:
            with tempfile.TemporaryDirectory() as folder:
                fill(folder, count, dimension)
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    found = pool.submit(search, folder, dimension, given.queries).result()
            rows.append({"vectors": count, "dimensions": dimension, **found})
    print_table(rows)
    write_json(given.json, rows)


if __name__ == "__main__":
    main()

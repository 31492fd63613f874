"""FaceIndex against raw hnswlib at equal parameters, in one run: adding, searching, and how many neighbours are found.

Every vector of FaceIndex is in SQLite, synced to the disk, before the graph sees it; hnswlib only has it in memory.
Usage: python benchmarks/index.py [--json FILE] [--rounds N] [--count N] [--dimensions N ...]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
from measure import alternate, print_table, write_json

from faceall.index import FaceIndex, GraphOptions
from faceall.types import Float32Array

K = 10
QUERIES = 500


def clustered(count: int, dimension: int, people: int) -> Float32Array:
    """Unit vectors around the centres of `people`, as embeddings are: cosine about 0.75 within a person."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(people, dimension))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = 0.6 * random.normal(size=(count, dimension)) / np.sqrt(dimension)
    vectors = centres[random.integers(people, size=count)] + noise
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def raw_graph(vectors: Float32Array, options: GraphOptions) -> Any:
    graph = hnswlib.Index(space="l2", dim=vectors.shape[1])
    graph.init_index(len(vectors), M=options.links, ef_construction=options.build_effort)
    graph.set_num_threads(options.thread_count)
    graph.set_ef(options.search_effort)
    graph.add_items(vectors, np.arange(1, len(vectors) + 1))
    return graph


def filled(folder: str | None, vectors: Float32Array, exact_limit: int = 0) -> FaceIndex:
    """An index that holds the vectors and has brought them into its graph."""
    index = FaceIndex(folder, exact_limit=exact_limit)
    index.add(vectors)
    index.search(vectors[0], 1)
    return index


def fill_on_disk(vectors: Float32Array) -> None:
    with tempfile.TemporaryDirectory() as folder:
        filled(folder, vectors).close(save=False)


def one_by_one(search: Callable[[Float32Array], Any], queries: Float32Array) -> Callable[[], None]:
    def run() -> None:
        for query in queries:
            search(query)

    return run


def row(what: str, vectors: Float32Array, seconds: dict[str, float], per: int) -> dict[str, Any]:
    """One line of the table; the ratio is FaceIndex's time in proportion to hnswlib's."""
    microseconds = {name: 1e6 * value / per for name, value in seconds.items()}
    ratio = seconds["FaceIndex"] / seconds["hnswlib"]
    return {"what": what, "vectors": "x".join(map(str, vectors.shape)), **microseconds, "ratio": ratio}


def share_found(keys: Any, queries: Float32Array, vectors: Float32Array) -> float:
    """Of the true nearest, the part that is among `keys` (q, K)."""
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :K] + 1
    return float(
        np.mean([len(set(row) & set(best)) / K for row, best in zip(keys.tolist(), truth.tolist(), strict=True)])
    )


def measure(count: int, dimension: int, rounds: int) -> list[dict[str, Any]]:
    everything = clustered(count + QUERIES, dimension, max(1, count // 10))
    vectors, queries = everything[:count], everything[count:]
    options = GraphOptions()
    adding = alternate(
        {"hnswlib": lambda: raw_graph(vectors, options), "FaceIndex": lambda: fill_on_disk(vectors)},
        rounds=max(1, rounds // 3),
    )
    rows = [row("add, us per vector", vectors, adding, count)]
    graph = raw_graph(vectors, options)
    with tempfile.TemporaryDirectory() as folder, filled(str(Path(folder)), vectors) as index:
        single = alternate(
            {
                "hnswlib": one_by_one(lambda query: graph.knn_query(query, K), queries),
                "FaceIndex": one_by_one(lambda query: index.search(query, K), queries),
            },
            rounds,
        )
        batch = alternate(
            {"hnswlib": lambda: graph.knn_query(queries, K), "FaceIndex": lambda: index.search(queries, K)}, rounds
        )
        rows.append(row("search one, us per query", vectors, single, QUERIES))
        rows.append(row(f"search {QUERIES}, us per query", vectors, batch, QUERIES))
        found = {
            "hnswlib": share_found(graph.knn_query(queries, K)[0], queries, vectors),
            "FaceIndex": share_found(index.search(queries, K).keys, queries, vectors),
        }
        shape = "x".join(map(str, vectors.shape))
        rows.append({"what": f"recall@{K}", "vectors": shape, **found, "ratio": found["FaceIndex"] / found["hnswlib"]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 512])
    given = parser.parse_args()
    rows = [line for dimension in given.dimensions for line in measure(given.count, dimension, given.rounds)]
    print_table(rows)
    write_json(given.json, rows)


if __name__ == "__main__":
    main()

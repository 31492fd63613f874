"""Compare FaceIndex with other libraries at equal recall: faiss (HNSW and flat), usearch, voyager, hnswlib.

Every graph has the same links and build effort; every library gets the smallest effort that reaches the recall with
its own graph. Then one query after the other, in turns query by query, and all queries at once, in turns.

Usage: python benchmarks/index_peers.py [--count N] [--dimension N] [--faces FILE.npz] [--json FILE] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import alternate, print_table, write_json

from faceall.index import FaceIndex, GraphOptions
from faceall.index.graph import exact
from faceall.index.storage.rows import Block
from faceall.types import Float32Array, Int64Array
from index import QUERIES, K, raw_graph, vectors_of

RECALLS = (0.95, 0.99)
Find = Callable[[Float32Array], Int64Array]


class Peer(NamedTuple):
    """A library with its graph: functions to search all and one, and to set the search effort (None: not available)."""

    name: str
    find: Find
    one: Find
    set_effort: Callable[[int], None] | None


def own(folder: Path, vectors: Float32Array, options: GraphOptions) -> Peer:
    index = FaceIndex(folder / "faceall", options=replace(options, search_effort=100), exact_limit=0)
    if not len(index):
        index.add(vectors)
        index.save()
    index.search(vectors[0], 1)
    graph = index._memory.graph
    assert graph is not None

    def set_effort(effort: int) -> None:
        graph._effort = effort
        graph._graph.set_ef(effort)

    def find(queries: Float32Array) -> Int64Array:
        return index.search(queries, K).keys - 1

    return Peer("faceall", find, find, set_effort)


def hnswlib_peer(folder: Path, vectors: Float32Array, options: GraphOptions) -> Peer:
    """Use the graph written by FaceIndex."""
    index = raw_graph(folder / "faceall", vectors.shape[1], options)

    def find(queries: Float32Array) -> Int64Array:
        return np.asarray(index.knn_query(queries, K)[0], np.int64) - 1

    return Peer("hnswlib", find, find, index.set_ef)


def faiss_hnsw(folder: Path, vectors: Float32Array, options: GraphOptions) -> Peer:
    import faiss

    faiss.omp_set_num_threads(options.thread_count)
    file = folder / "faiss"
    if file.exists():
        index = faiss.read_index(str(file))
    else:
        index = faiss.IndexHNSWFlat(vectors.shape[1], options.links)
        index.hnsw.efConstruction = options.build_effort
        index.add(vectors)
        faiss.write_index(index, str(file))

    def find(queries: Float32Array) -> Int64Array:
        return np.asarray(index.search(queries, K)[1])

    return Peer("faiss HNSW", find, lambda query: find(query[None]), lambda effort: _set(index.hnsw, effort))


def _set(hnsw: Any, effort: int) -> None:
    hnsw.efSearch = effort


def faiss_flat(folder: Path, vectors: Float32Array, options: GraphOptions) -> Peer:
    import faiss

    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)

    def find(queries: Float32Array) -> Int64Array:
        return np.asarray(index.search(queries, K)[1])

    return Peer("faiss flat", find, lambda query: find(query[None]), None)


def usearch_peer(kind: str) -> Callable[[Path, Float32Array, GraphOptions], Peer]:
    def make(folder: Path, vectors: Float32Array, options: GraphOptions) -> Peer:
        from usearch.index import Index

        file = folder / f"usearch-{kind}"
        index = Index(
            ndim=vectors.shape[1],
            metric="l2sq",
            dtype=kind,
            connectivity=options.links,
            expansion_add=options.build_effort,
        )
        if file.exists():
            index.load(str(file))
        else:
            index.add(np.arange(len(vectors)), vectors, threads=options.thread_count)
            index.save(str(file))

        def find(queries: Float32Array) -> Int64Array:
            return np.asarray(index.search(queries, K, threads=options.thread_count).keys, np.int64)

        def one(query: Float32Array) -> Int64Array:
            return np.asarray(index.search(query, K, threads=1).keys, np.int64)

        return Peer(f"usearch {kind}", find, one, lambda effort: setattr(index, "expansion_search", effort))

    return make


def voyager_peer(folder: Path, vectors: Float32Array, options: GraphOptions) -> Peer:
    import voyager

    file = folder / "voyager"
    if file.exists():
        index = voyager.Index.load(str(file))
    else:
        index = voyager.Index(
            voyager.Space.Euclidean, vectors.shape[1], M=options.links, ef_construction=options.build_effort
        )
        index.add_items(vectors, num_threads=options.thread_count)
        index.save(str(file))
    effort = [K]

    def find(queries: Float32Array) -> Int64Array:
        return np.asarray(index.query(queries, K, options.thread_count, effort[0])[0], np.int64)

    def one(query: Float32Array) -> Int64Array:
        return np.asarray(index.query(query, K, 1, effort[0])[0], np.int64)[None]

    return Peer("voyager", find, one, lambda value: effort.__setitem__(0, value))


MAKERS: dict[str, Callable[[Path, Float32Array, GraphOptions], Peer]] = {
    "faceall": own,
    "hnswlib": hnswlib_peer,
    "faiss HNSW": faiss_hnsw,
    "faiss flat": faiss_flat,
    "usearch f32": usearch_peer("f32"),
    "usearch f16": usearch_peer("f16"),
    "usearch i8": usearch_peer("i8"),
    "voyager": voyager_peer,
}


def smallest_effort(peer: Peer, queries: Float32Array, truth: Int64Array, wished: float) -> tuple[int, float]:
    """Return the smallest search effort that reaches the recall, and the reached recall."""
    assert peer.set_effort is not None
    low, high = K - 1, 1500
    while high > low + 1:
        middle = (low + high) // 2
        peer.set_effort(middle)
        low, high = (low, middle) if recall(peer.find(queries), truth) >= wished else (middle, high)
    peer.set_effort(high)
    return high, recall(peer.find(queries), truth)


def recall(found: Int64Array, truth: Int64Array) -> float:
    return float((found[:, :, None] == truth[:, None, :]).any(axis=2).mean())


def contest(peers: list[Peer], queries: Float32Array, rounds: int) -> dict[str, tuple[float, float]]:
    """Return microseconds per query: median of single queries, and in a batch."""
    one: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn, query in enumerate(queries):
        for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
            start = time.perf_counter()
            peer.one(query)
            one[peer.name].append(time.perf_counter() - start)
    batch = alternate({peer.name: lambda peer=peer: peer.find(queries) for peer in peers}, rounds)
    return {name: (1e6 * float(np.median(one[name])), 1e6 * batch[name] / len(queries)) for name in one}


def results(peers: list[Peer], queries: Float32Array, truth: Int64Array, rounds: int) -> Iterator[dict[str, Any]]:
    for wished in RECALLS:
        efforts = {peer.name: smallest_effort(peer, queries, truth, wished) for peer in peers if peer.set_effort}
        racing = [peer for peer in peers if peer.set_effort is None or efforts[peer.name][1] >= wished]
        times = contest(racing, queries, rounds)
        best = [min(value[side] for name, value in times.items() if name != "faceall") for side in (0, 1)]
        for peer in peers:
            effort, reached = efforts.get(peer.name, (0, recall(peer.find(queries), truth)))
            one, batch = times.get(peer.name, (float("nan"),) * 2)
            row = {"library": peer.name, "wished": wished, "reached": reached, "effort": effort}
            yield row | {"one us": one, "of best": one / best[0], "batch us": batch, "batch of best": batch / best[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--faces", type=Path, metavar="FILE.npz")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    everything = vectors_of(given.faces, given.count, given.dimension)
    vectors, queries = everything[:-QUERIES], everything[-QUERIES:]
    with tempfile.TemporaryDirectory() as scratch:
        folder = (
            given.keep or Path(scratch)
        ) / f"{'similar' if given.faces else 'clustered'}-{len(vectors)}-{given.dimension}"
        os.makedirs(folder, exist_ok=True)
        peers = []
        for name, make in MAKERS.items():
            start = time.perf_counter()
            peers.append(make(folder, vectors, GraphOptions()))
            print(f"{name}: ready after {time.perf_counter() - start:.1f} s", flush=True)
        if given.build_only:
            return
        truth = exact.nearest(queries, [Block(np.arange(len(vectors)), vectors)], K).keys
        rows = list(results(peers, queries, truth, given.rounds))
    print_table(rows)
    write_json(given.json, rows)


if __name__ == "__main__":
    main()

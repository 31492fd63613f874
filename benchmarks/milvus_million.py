"""Measure a Milvus server with a million faces: writing, memory, disk, and the indexes it offers.

Usage: scripts/with-milvus-server python benchmarks/milvus_million.py [--faces N] [--people P] [--vectors FILE.npz]
  FILE.npz, from index_vectors.py, holds real embeddings; the faces are then distributed like them

Each face is a row as `faceall register` writes it, without photo and thumbnail. Each index is built on the same rows
and loaded; then faces that are not among them are searched one by one, and compared with an exact search.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from index_vectors import RealFaces, clustered
from measure import print_table, write_json
from milvus_server import Server

from faceall.gallery.milvus import rows
from faceall.gallery.milvus.address import Address
from faceall.gallery.milvus.connection import Connection, Row
from faceall.gallery.milvus.layout import FACES, GRAPH
from faceall.types import Face, Float32Array, Int64Array

NAME = "million"
DIMENSION = 128
NEIGHBOURS = 10
WIDTHS = [{"ef": width} for width in (32, 64, 128, 256)]
FAMILIES: dict[str, tuple[str, dict[str, Any], list[dict[str, int]]]] = {
    "IVF_SQ8": ("IVF_SQ8", {"nlist": 1024}, [{"nprobe": lists} for lists in (8, 16, 32, 64, 128)]),
    "HNSW-8": ("HNSW", {"M": 8, "efConstruction": 100}, WIDTHS),
    "HNSW": ("HNSW", dict(GRAPH["params"]), WIDTHS),
    "DISKANN": ("DISKANN", {}, [{"search_list": length} for length in (20, 50, 100)]),
}
"""For each index its type, the parameters with which it is built, and those of the searches; faceall uses HNSW."""

_EQUAL = 1e-5  # squared; other faces may be equally far
LIMIT = 5400.0  # seconds for one index
NO_PROGRESS = 90.0  # seconds without an indexed row in which an index is taken to be missing in this build


def face_rows(vectors: Float32Array, people: int) -> Iterator[Row]:
    """Yield rows of faces as a registration writes them."""
    random = np.random.default_rng(1)
    for number, vector in enumerate(vectors):
        corner, side = random.uniform(0, 3000, 2), random.uniform(40, 800)
        box = np.array([*corner, *(corner + side)], np.float32)
        marks = (corner + side * random.uniform(0.2, 0.8, (5, 2))).astype(np.float32)
        face = Face(box, 0.99 + 0.01 * random.random(), marks)
        yield rows.face_row(number + 1, number + 1, number % people + 1, face, vector, primary=True)


def exact(vectors: Float32Array, queries: Float32Array) -> Float32Array:
    """Return the squared distances (q, NEIGHBOURS) from each query to the nearest vectors, ascending."""
    best = np.full((len(queries), NEIGHBOURS), np.inf, np.float32)
    for start in range(0, len(vectors), 50_000):
        part = 2 - 2 * queries @ vectors[start : start + 50_000].T
        both = np.concatenate((best, np.partition(part, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]), axis=1)
        best = np.sort(both, axis=1)[:, :NEIGHBOURS]
    return best


def built(client: Any, name: str, kind: str, parameters: dict[str, Any], count: int) -> float | None:
    """Build an index; return the seconds it took, None if this server cannot build it."""
    from pymilvus.exceptions import MilvusException

    print(f"building {kind} {parameters}", flush=True)
    indexes = client.prepare_index_params()
    indexes.add_index(FACES.vector, index_type=kind, metric_type="L2", params=parameters)
    client.create_index(name, indexes, sync=False)
    began = moved = time.monotonic()
    before, found = 0, {}
    while True:
        with suppress(MilvusException):  # a busy server answers late
            found = client.describe_index(name, FACES.vector)
        done = int(found.get("indexed_rows", 0))
        now = time.monotonic()
        if done >= count and found.get("pending_index_rows") == 0:
            return now - began
        if done > before:
            moved, before = now, done
            print(f"  {done} rows indexed after {now - began:.0f} s", flush=True)
        slow = NO_PROGRESS if kind == "DISKANN" else LIMIT
        if now - moved > slow or now - began > LIMIT:
            return None
        time.sleep(1)


def searched(
    server: Server,
    client: Any,
    vectors: Float32Array,
    queries: Float32Array,
    truth: Float32Array,
    parameters: dict[str, int],
) -> dict[str, Any]:
    """Search for every query alone; return recall and times."""
    name = f"{NAME}_{FACES.name}"
    options = {
        "anns_field": FACES.vector,
        "limit": NEIGHBOURS,
        "search_params": {"metric_type": "L2", "params": parameters},
        "consistency_level": "Eventually",
    }
    lists = [query.tolist() for query in queries]
    for query in lists[:20]:
        client.search(name, data=[query], **options)
    times, found = [], np.full_like(truth, np.inf)
    idle = server.rest()
    used, served = time.process_time(), server.processor()
    for number, query in enumerate(lists):
        began = time.perf_counter()
        (hits,) = client.search(name, data=[query], **options)
        times.append(time.perf_counter() - began)
        keys = np.array([hit["id"] - 1 for hit in hits], np.int64)  # an index may report approximate distances
        found[number, : len(hits)] = 2 - 2 * vectors[keys] @ queries[number]
    cpu = time.process_time() - used
    work = server.processor() - served - idle * sum(times)
    first = found.min(axis=1) <= truth[:, 0] + _EQUAL
    median, slow = np.median(times), np.quantile(times, 0.99)
    return {
        "search": " ".join(f"{key} {value}" for key, value in parameters.items()),
        "recall@1": float(first.mean()),
        f"recall@{NEIGHBOURS}": float((found <= truth[:, -1:] + _EQUAL).mean()),
        "p50 ms": float(median * 1e3),
        "p99 ms": float(slow * 1e3),
        "cpu ms": cpu / len(lists) * 1e3,
        "server ms": work / len(lists) * 1e3,
    }


def drop_indexes(client: Any, name: str) -> None:
    """Drop all indexes of a collection, which must not be loaded."""
    client.release_collection(name)
    for index in client.list_indexes(name):
        client.drop_index(name, index)


def compared(
    server: Server, client: Any, vectors: Float32Array, queries: Float32Array, families: list[str]
) -> Iterator[dict[str, Any]]:
    """Build, load and search each index; yield a row per search."""
    name, truth = f"{NAME}_{FACES.name}", exact(vectors, queries)
    for family in families:
        kind, parameters, searches = FAMILIES[family]
        drop_indexes(client, name)
        started, used = time.time(), server.processor()
        seconds = built(client, name, kind, parameters, len(vectors))
        cpu = server.processor() - used
        if seconds is None:
            print(f"{family}: this server did not build it; it used {cpu:.0f} s of processor time", flush=True)
            continue
        empty, began = server.memory(), time.monotonic()
        client.load_collection(name)
        loading = time.monotonic() - began
        for widths in searches:
            row = {
                "index": family,
                "build s": seconds,
                "build cpu s": cpu,
                "load s": loading,
                "server MB": server.memory() / 1e6,
                "before loading MB": empty / 1e6,
                "index files MB": server.disk(started)["indexes"] / 1e6,
                **searched(server, client, vectors, queries, truth, widths),
            }
            print(row, flush=True)
            yield row


def written(server: Server, connection: Connection, client: Any, vectors: Float32Array, people: int) -> None:
    """Write all rows, and let the server write them to its files."""
    connection.make({FACES: DIMENSION})
    drop_indexes(client, f"{NAME}_{FACES.name}")
    began, used = time.monotonic(), time.process_time()
    served = server.processor()
    connection.put(FACES.name, face_rows(vectors, people))
    writing = time.monotonic() - began
    cpu = (time.process_time() - used, server.processor() - served)
    client.flush(f"{NAME}_{FACES.name}")
    print(f"written in {writing:.0f} s, {len(vectors) / writing:.0f} faces/s", flush=True)
    print(f"processor time: {cpu[0]:.0f} s of this program, {cpu[1]:.0f} s of the server", flush=True)
    print(f"flushed after {time.monotonic() - began:.0f} s; server {server.memory() / 1e6:.0f} MB", flush=True)
    print("disk", {kind: f"{size / 1e6:.0f} MB" for kind, size in server.disk().items()}, flush=True)


def sample(given: argparse.Namespace) -> tuple[Float32Array, Float32Array]:
    """Return the faces and the queries, of the same people."""
    count = given.faces + given.queries
    if given.vectors is None:
        found = clustered(count, DIMENSION, given.people)
    else:
        found = RealFaces(given.vectors, DIMENSION).similar(count, given.people)
    order: Int64Array = np.random.default_rng(2).permutation(count)
    return found[order[: given.faces]], found[order[given.faces :]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--vectors", type=Path, metavar="FILE.npz")
    parser.add_argument("--index", choices=tuple(FAMILIES), action="append", help="default: all")
    parser.add_argument("--json")
    given = parser.parse_args()
    import pymilvus

    server = Server()
    client = pymilvus.MilvusClient(f"http://{server.place}")
    connection = Connection(Address.parse(f"milvus://{server.place}/{NAME}"))
    vectors, queries = sample(given)
    print(f"{len(vectors)} faces of {given.people} people; server at rest {server.memory() / 1e6:.0f} MB", flush=True)
    written(server, connection, client, vectors, given.people)
    table = []
    for row in compared(server, client, vectors, queries, given.index or list(FAMILIES)):
        table.append(row)
        write_json(given.json, table)  # after each search: an index may take hours
    print_table(table)


if __name__ == "__main__":
    main()

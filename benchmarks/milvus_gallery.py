"""Compare a gallery in a Milvus server with one in a folder: registering photos, searching 100,000 faces.

Usage: scripts/with-milvus-server python benchmarks/milvus_gallery.py register PHOTO_DIR [--photos N] [--rounds N]
       scripts/with-milvus-server python benchmarks/milvus_gallery.py search [--faces N] [--vectors FILE.npz]
  FILE.npz, from index_vectors.py, holds real embeddings; the faces are then distributed like them

`register` analyses the same photos for both and shows how long the storage took. `search` fills a gallery with photos
of one face each, and searches with names, people and photos of the matches, as `faceall search` does after analysing.

"cpu ms" is the processor time of this program and "server ms" that of the server, without what it uses at rest; both
depend little on what else the machine does.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from index_vectors import RealFaces, clustered
from measure import print_table, write_json
from milvus_server import Server

from faceall import Detector, Embedder
from faceall.gallery import Gallery, MatchThreshold
from faceall.gallery.milvus import Address, MilvusStore
from faceall.gallery.records import SeenFile
from faceall.gallery.search import Query, match_faces
from faceall.gallery.store.transfer import FaceCopy, PersonCopy, PhotoCopy
from faceall.types import Face, Faces, Float32Array

DIMENSION = 128
PER_PERSON = 10
GROUP = 1_000  # photos per change
IMAGE = np.zeros((96, 96, 3), np.uint8)
THUMBNAIL = bytes(3_500)  # as long as one of 112 x 112 pixels on average


def registered(
    server: Server, place: str, photos: list[Path], detector: Detector, embedder: Embedder
) -> dict[str, float]:
    """Register photos into a new gallery; return photos per second, processor time, and the seconds of the stages."""
    with Gallery.open(place, detector=detector, embedder=embedder) as gallery:
        idle = server.rest()
        began, used, served = time.perf_counter(), time.process_time(), server.processor()
        run = gallery.iter_register(photos)
        added = sum(result.status == "added" for result in run)
        seconds = time.perf_counter() - began
        cpu = {
            "cpu ms": (time.process_time() - used) / added * 1e3,
            "server ms": (server.processor() - served - idle * seconds) / added * 1e3,
        }
        stages = {name: round(value, 2) for name, value in asdict(run.timings).items()}
        return {"photos": added, "photos/s": added / seconds, "seconds": seconds, **cpu, **stages}


def compare_registration(given: argparse.Namespace) -> list[dict[str, object]]:
    """Register the same photos into folders and galleries on the server, in turns."""
    photos = sorted(given.photo_dir.rglob("*.jpg"))[: given.photos]
    server, detector, embedder = Server(), Detector(), Embedder()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds + 1):  # the first round warms up
            some = photos if number else photos[:20]
            for kind, place in (("folder", f"{folder}/{number}"), ("server", f"milvus://{server.place}/run{number}")):
                found = registered(server, place, some, detector, embedder)
                if number:
                    rows.append({"gallery": kind, **found})
    ratio = _speed(rows, "server") / _speed(rows, "folder")
    print(f"median speed of the server / of the folder: {ratio:.2f}")
    return rows


def _speed(rows: list[dict[str, object]], kind: str) -> float:
    return statistics.median(float(str(row["photos/s"])) for row in rows if row["gallery"] == kind)


def copies(vectors: Float32Array) -> Iterator[list[PhotoCopy]]:
    """Yield groups of photos that show one face each."""
    for start in range(0, len(vectors), GROUP):
        group = []
        for number in range(start, min(start + GROUP, len(vectors))):
            person = number % max(len(vectors) // PER_PERSON, 1) + 1
            face = FaceCopy(
                number + 1, person, True, (40.0, 30.0, 140.0, 150.0), 0.999, (50.5,) * 10, vectors[number], THUMBNAIL
            )
            digest = hashlib.sha256(str(number).encode()).digest()
            file = SeenFile(Path(f"/photos/P{person}/{number}.jpg"), 1, 1, f"P{person}", False)
            group.append(PhotoCopy(digest, "ok", None, "made", 250, 250, bytes(8), (file,), (face,)))
        yield group


def search_many(given: argparse.Namespace) -> list[dict[str, object]]:
    """Fill a gallery on the server, and search for faces of the same people one by one."""
    count = given.faces + given.queries
    people = max(given.faces // PER_PERSON, 1)
    if given.vectors is None:
        found = clustered(count, DIMENSION, people)
    else:
        found = RealFaces(given.vectors, DIMENSION).similar(count, people)
    vectors, queries = found[: given.faces], found[given.faces :]
    server = Server()
    store = MilvusStore(Address.parse(f"milvus://{server.place}/searches"))
    try:
        store.adopt(model="made", dimension=DIMENSION)
        began = time.perf_counter()
        store.transfer.put_people([PersonCopy(row + 1, f"P{row + 1}", False) for row in range(people)])
        for group in copies(vectors):
            store.transfer.put_photos(group)
        writing = time.perf_counter() - began
        print(f"{given.faces} faces with photos, files and thumbnails in {writing:.0f} s", flush=True)
        rows = _all_searched(server, store, queries, "right after writing", given.neighbours)
        store.connection.seal(["faces"])
        time.sleep(given.rest)
        when = f"{given.rest:.0f} s after the segments were sealed"
        rows += _all_searched(server, store, queries, when, given.neighbours)
    finally:
        store.close()
    return rows


def _all_searched(
    server: Server, store: MilvusStore, queries: Float32Array, when: str, count: int
) -> list[dict[str, object]]:
    """Search for faces alone, and as `Gallery.search` does with a threshold and with one for an FPIR."""
    face = Faces.of([Face(np.array([8, 8, 88, 88], np.float32), 0.99, np.full((5, 2), 40, np.float32))])

    def with_decision(threshold: MatchThreshold) -> Callable[[Float32Array], object]:
        return lambda vector: match_faces(store, Query(IMAGE, face, vector, threshold), count, None)

    given = MatchThreshold(0.9, None, "given")
    searches: dict[str, Callable[[Float32Array], object]] = {
        "neighbours": lambda vector: store.faces.near(vector, count),
        "decisions": with_decision(given),
        "decisions for an FPIR": with_decision(replace(given, fpir=0.01)),
    }
    return [_searched(server, search, queries, when, what) for what, search in searches.items()]


def _searched(
    server: Server, search: Callable[[Float32Array], object], queries: Float32Array, when: str, what: str
) -> dict[str, object]:
    times: list[float] = []
    idle = server.rest()
    used, served = time.process_time(), server.processor()
    for query in queries:
        began = time.perf_counter()
        search(query[None])
        times.append(time.perf_counter() - began)
    return {
        "search": what,
        "when": when,
        "queries": len(times),
        "cpu ms": (time.process_time() - used) / len(times) * 1e3,
        "server ms": (server.processor() - served - idle * sum(times)) / len(times) * 1e3,
        "first ms": times[0] * 1e3,
        "p50 ms": float(np.median(times)) * 1e3,
        "p90 ms": float(np.quantile(times, 0.9)) * 1e3,
        "p99 ms": float(np.quantile(times, 0.99)) * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json")
    commands = parser.add_subparsers(required=True)
    register = commands.add_parser("register")
    register.add_argument("photo_dir", type=Path)
    register.add_argument("--photos", type=int, default=319)
    register.add_argument("--rounds", type=int, default=1)
    register.set_defaults(run=compare_registration)
    search = commands.add_parser("search")
    search.add_argument("--faces", type=int, default=100_000)
    search.add_argument("--queries", type=int, default=500)
    search.add_argument("--neighbours", type=int, default=10)
    search.add_argument("--vectors", type=Path, metavar="FILE.npz")
    search.add_argument("--rest", type=float, default=60.0, help="seconds for the server to build its index")
    search.set_defaults(run=search_many)
    given = parser.parse_args()
    rows = given.run(given)
    print_table(rows)
    write_json(given.json, rows)


if __name__ == "__main__":
    main()

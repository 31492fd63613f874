"""Measure the time that `faceall cluster` takes on a gallery of many made-up faces with real thumbnails.

Usage: python benchmarks/cluster_size.py PHOTOS [--faces N] [--per-person N] [--json FILE]
  PHOTOS        a folder of photos, whose faces lend their thumbnails, boxes and landmarks
  --faces       number of faces (default 200,000); every person is a direction, every face a point near it
  --per-person  mean number of faces of a person (default 4)
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import write_json

from faceall import Gallery
from faceall.types import Float32Array

DIMENSION = 128
SPREAD = 0.045  # of each number: faces of one person have a squared distance of about 0.4


def vectors_of_people(count: int, per_person: int) -> Float32Array:
    """Return unit vectors (count, DIMENSION) around one direction per person, in random order."""
    random = np.random.default_rng(0)
    people = random.normal(size=(max(1, count // per_person), DIMENSION)).astype(np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    vectors = people[random.integers(0, len(people), count)]
    vectors += random.normal(scale=SPREAD, size=vectors.shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_gallery(folder: Path, photos: Path, vectors: Float32Array) -> None:
    """Import vectors, and give each the box, the landmarks and the thumbnail of a real face in turn."""
    with Gallery.open(folder / "real") as gallery:
        gallery.register(photos)
    with sqlite3.connect(folder / "real" / "faces.db") as real:
        faces = real.execute(
            "SELECT x0, y0, x1, y1, score, landmarks, jpeg FROM faces JOIN thumbnails ON face = key"
        ).fetchall()
    np.save(folder / "vectors.npy", vectors)
    with Gallery.open(folder / "gallery") as gallery:
        gallery.index.import_vectors(folder / "vectors.npy", made_by="faceall-128")
    with sqlite3.connect(folder / "gallery" / "faces.db") as many:
        keys = [key for (key,) in many.execute("SELECT key FROM faces ORDER BY key")]
        rows = list(zip(keys, itertools.cycle(faces)))
        many.executemany(
            "UPDATE faces SET x0 = ?, y0 = ?, x1 = ?, y1 = ?, score = ?, landmarks = ? WHERE key = ?",
            ((*face[:6], key) for key, face in rows),
        )
        many.executemany(
            "INSERT OR REPLACE INTO thumbnails (face, jpeg) VALUES (?, ?)", ((key, face[6]) for key, face in rows)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--faces", type=int, default=200_000)
    parser.add_argument("--per-person", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="keep the gallery here, and use it if it exists")
    parser.add_argument("--json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "gallery").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            make_gallery(folder, options.photos, vectors_of_people(options.faces, options.per_person))
        with Gallery.open(folder / "gallery") as gallery:
            started, used = time.perf_counter(), time.process_time()
            found = gallery.people.cluster()
            seconds, processor = time.perf_counter() - started, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.faces:,} faces: {seconds:.1f} s, {processor:.1f} s of processor; {len(found.clusters):,} groups, "
        f"{len(found.alone):,} faces alone, {memory:,.0f} MB"
    )
    write_json(options.json, [{"faces": options.faces, "seconds": seconds, "processor": processor, "memory": memory}])


if __name__ == "__main__":
    main()

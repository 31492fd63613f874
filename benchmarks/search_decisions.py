"""Time a search with decisions (template, quality, FPIR) against one with a given threshold, and against the raw index.

The gallery has N people with k made-up vectors each; the query is analysed beforehand, so only the search is timed.

Usage: python benchmarks/search_decisions.py [--people N ...] [--photos K] [--json FILE]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import print_table, write_json

from faceall import Embedder, Gallery
from faceall.analysis.analyser import AnalysedImage
from faceall.types import Faces

QUERIES = 200
ROUNDS = 5


def made_up(count: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Return random unit vectors."""
    vectors = random.normal(size=(count, size)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def export(folder: Path, vectors: np.ndarray, photos: int) -> Path:
    """Write vectors and names as `faceall index import` reads them."""
    folder.mkdir()
    np.save(folder / "embeddings.npy", vectors)
    np.save(folder / "label_strings.npy", np.array([f"person {row // photos}" for row in range(len(vectors))]))
    return folder


def measure(people: int, photos: int) -> dict[str, Any]:
    """Time both searches in turns."""
    random = np.random.default_rng(0)
    embedder = Embedder()
    vectors = made_up(people * photos, embedder.size, random)
    with (
        tempfile.TemporaryDirectory() as scratch,
        Gallery.open(Path(scratch) / "gallery", embedder=embedder) as gallery,
    ):
        gallery.index.import_vectors(export(Path(scratch) / "vectors", vectors, photos), made_by=embedder.model.name)
        image = random.integers(0, 255, (200, 200, 3)).astype(np.uint8)
        box, points = np.array([[50, 50, 150, 150]], np.float32), np.full((1, 5, 2), 100, np.float32)
        points[0, :3] = [(80, 85), (120, 85), (100, 105)]
        queries = made_up(QUERIES, embedder.size, random)
        faces = Faces(box, np.ones(1, np.float32), points)
        raw_faces = gallery._store.faces  # the search without decisions has no public name
        seconds: dict[str, list[float]] = {"decided": [], "given": [], "raw": []}
        for number in range(ROUNDS + 1):
            for name in seconds:
                start = time.perf_counter()
                for query in queries:
                    if name == "raw":
                        raw_faces.nearest(query[None], 16)
                    else:
                        limit = None if name == "decided" else 4.0
                        gallery.search(AnalysedImage(image, faces, query[None]), k=5, threshold=limit)
                if number:
                    seconds[name].append((time.perf_counter() - start) / QUERIES * 1000)
    medians = {f"{name} ms": float(np.median(values)) for name, values in seconds.items()}
    ratios = {f"decided / {name}": medians["decided ms"] / medians[f"{name} ms"] for name in ("given", "raw")}
    return {"people": people, "faces": len(vectors)} | medians | ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--photos", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = [measure(people, options.photos) for people in options.people]
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

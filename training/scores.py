"""Measure the similarities of two people for a model and write them to its manifest.

The manifest gets `non_mated_scores`, from which searches derive their thresholds, and the pair threshold
`match_threshold` at the false match rate given. The people must not be among those the model learnt from, and no two
labels may stand for one person.

Usage: python scores.py MODEL FACES [--set NAME] [--rate R] [--write]
  MODEL    a model folder
  FACES    a folder with one subfolder per person, or a .npz with crops `x` (n, H, W, 3) uint8 RGB, which must be framed
           as the model's manifest says, and their people `person` (n,)
  --set    of a .npz that holds several sets, named in `set` (n,), use this one
  --rate   false match rate per comparison of the pair threshold; default 0.001
  --write  update the manifest; without it, only print
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall import Detector, Embedder
from faceall.analysis.open_set import fit_model
from faceall.evaluate.embedding import embed_images
from faceall.files import write_file
from faceall.images import is_image_path
from faceall.models import MANIFEST, NonMatedScores

BATCH = 64


def embed_crops(embedder: Embedder, file: Path, chosen: str | None) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Embed the crops of a .npz; returns vectors (n, D) and the person of each."""
    with np.load(file) as data:
        keep = data["set"] == chosen if chosen else np.ones(len(data["person"]), bool)
        crops, people = data["x"][keep], data["person"][keep].tolist()
    width, height = embedder.model.manifest.input_size
    if crops.shape[1:] != (height, width, 3):
        raise SystemExit(f"{file}: crops are {crops.shape[1:]}, the model expects {(height, width, 3)}")
    parts = [embedder.embed_crops(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
    return np.concatenate(parts), people


def embed_folder(embedder: Embedder, folder: Path) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Embed the primary face of every photo in a folder with one subfolder per person."""
    paths = sorted(path for path in folder.glob("*/*") if is_image_path(path))
    found = embed_images(paths, Detector(), [embedder])
    return found.vectors[0], [path.parent.name for path in found.rows]


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--set")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    embedder = Embedder(options.model, precision="float32")
    read = embed_crops(embedder, options.faces, options.set) if options.faces.is_file() else None
    vectors, names = read or embed_folder(embedder, options.faces)
    people = np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    fitted = fit_model(vectors, people)
    first, second = np.triu_indices(len(vectors), 1)
    two = people[first] != people[second]
    similarity = float(np.quantile((vectors @ vectors.T)[first[two], second[two]], 1 - options.rate))
    scores = NonMatedScores(
        mean=round(fitted.mean, 5),
        deviation=round(fitted.deviation, 5),
        bend=round(fitted.bend, 5),
        people=fitted.people,
    )
    manifest = replace(
        embedder.model.manifest,
        non_mated_scores=scores,
        match_threshold=round(2 - 2 * similarity, 3),
        match_threshold_false_accept_rate=options.rate,
    )
    print(json.dumps({"non_mated_scores": scores.to_json(), "match_threshold": manifest.match_threshold}))
    if options.write:
        write_file(options.model / MANIFEST, manifest.to_json().encode())


if __name__ == "__main__":
    main()

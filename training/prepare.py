"""Fit the projection of the teacher's vectors, and embed the held-out people.

    python prepare.py CANVASES --teacher face-reidentification-retail-0095.xml --identities identity_CelebA.txt

Writes projection.npy, (256, 128) float32: the first principal directions without a mean taken away, rotated among
themselves so that all dimensions vary about equally, which changes no cosine; and held-out.npz.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from faces import ROOM, SIDE, FaceRecord, Teacher, open_canvases, read_records
from make_views import STUDENT_SIDE

SIZE = 128
FACES = 6000
PHOTOS = {"celeba_test": 30, "pins": 25}
"""Photos per held-out person, at most."""


def fit_projection(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the first directions of unit vectors (n, 256), rotated at random: (256, 128) float32."""
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    rotation = np.linalg.qr(random.normal(size=(SIZE, SIZE)))[0]
    return (directions[:, ::-1][:, :SIZE] @ rotation).astype(np.float32)


def choose(records: list[FaceRecord], random: np.random.Generator) -> list[FaceRecord]:
    """Choose some photos of each held-out person."""
    people: dict[tuple[str, str], list[FaceRecord]] = {}
    for record in records:
        people.setdefault((record.set, record.person), []).append(record)
    chosen = []
    for (name, _), rows in sorted(people.items()):
        chosen += [rows[number] for number in random.permutation(len(rows))[: PHOTOS[name]]]
    return chosen


def main() -> None:
    """Write both files to the working folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("canvases", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--identities", type=Path)
    options = parser.parse_args()
    random = np.random.default_rng(3)
    learn, measured = read_records(options.canvases, options.identities)
    canvases, teacher = open_canvases(options.canvases), Teacher(options.teacher, "f32")

    def views(records: list[FaceRecord]) -> np.ndarray:
        return np.stack([canvases[r.set][r.index][ROOM : ROOM + SIDE, ROOM : ROOM + SIDE] for r in records])

    rows = np.sort(random.choice(len(learn), min(FACES, len(learn)), replace=False))
    np.save("projection.npy", fit_projection(teacher(views([learn[row] for row in rows])), random))
    chosen = choose(measured, random)
    seen = views(chosen)
    small = [cv2.resize(view, (STUDENT_SIDE, STUDENT_SIDE), interpolation=cv2.INTER_LINEAR) for view in seen]
    people = np.array([f"{record.set}/{record.person}" for record in chosen])
    sets = np.array([record.set for record in chosen])
    np.savez("held-out.npz", views=np.stack(small)[..., ::-1], vectors=teacher(seen), people=people, sets=sets)


if __name__ == "__main__":
    main()

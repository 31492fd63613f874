"""List photos that show nearly the same face."""

from pathlib import Path

import numpy as np
from deepface import DeepFace

faces = [
    (path, vector)
    for path in Path("photos").rglob("*.jpg")
    for vector in [
        found["embedding"] for found in DeepFace.represent(str(path), model_name="Facenet512", enforce_detection=False)
    ]
]
vectors = np.stack([vector for _, vector in faces])
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
for first, second in zip(*np.nonzero(np.triu(vectors @ vectors.T > 0.95, 1)), strict=True):
    print(faces[first][0], faces[second][0])

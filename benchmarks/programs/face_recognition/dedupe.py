"""List photos that show nearly the same face."""

from pathlib import Path

import face_recognition
import numpy as np

faces = [
    (path, vector)
    for path in Path("photos").rglob("*.jpg")
    for vector in face_recognition.face_encodings(face_recognition.load_image_file(path))
]
vectors = np.stack([vector for _, vector in faces])
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
for first, second in zip(*np.nonzero(np.triu(vectors @ vectors.T > 0.99, 1)), strict=True):
    print(faces[first][0], faces[second][0])

"""List photos that show nearly the same face."""

from pathlib import Path

import cv2
import numpy as np
from insightface.app import FaceAnalysis

app = FaceAnalysis()
app.prepare(ctx_id=-1)
faces = [
    (path, vector)
    for path in Path("photos").rglob("*.jpg")
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]
]
vectors = np.stack([vector for _, vector in faces])
for first, second in zip(*np.nonzero(np.triu(vectors @ vectors.T > 0.95, 1)), strict=True):
    print(faces[first][0], faces[second][0])

"""Group the faces of a folder by person."""

from pathlib import Path

import numpy as np
from deepface import DeepFace
from sklearn.cluster import DBSCAN

faces = [
    (path, vector)
    for path in Path("photos").rglob("*.jpg")
    for vector in [
        found["embedding"] for found in DeepFace.represent(str(path), model_name="Facenet512", enforce_detection=False)
    ]
]
labels = DBSCAN(eps=0.3, min_samples=2, metric="cosine").fit_predict(np.stack([vector for _, vector in faces]))
for label in sorted(set(labels)):
    print(label, *(path.name for (path, _), own in zip(faces, labels, strict=True) if own == label))

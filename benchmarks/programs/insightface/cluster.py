"""Group the faces of a folder by person."""

from pathlib import Path

import cv2
import numpy as np
from insightface.app import FaceAnalysis
from sklearn.cluster import DBSCAN

app = FaceAnalysis()
app.prepare(ctx_id=-1)
faces = [
    (path, vector)
    for path in Path("photos").rglob("*.jpg")
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]
]
labels = DBSCAN(eps=0.7, min_samples=2, metric="cosine").fit_predict(np.stack([vector for _, vector in faces]))
for label in sorted(set(labels)):
    print(label, *(path.name for (path, _), own in zip(faces, labels, strict=True) if own == label))

"""Group the faces of a folder by person."""

from pathlib import Path

import face_recognition
import numpy as np
from sklearn.cluster import DBSCAN

faces = [
    (path, vector)
    for path in Path("photos").rglob("*.jpg")
    for vector in face_recognition.face_encodings(face_recognition.load_image_file(path))
]
labels = DBSCAN(eps=0.6, min_samples=2, metric="euclidean").fit_predict(np.stack([vector for _, vector in faces]))
for label in sorted(set(labels)):
    print(label, *(path.name for (path, _), own in zip(faces, labels, strict=True) if own == label))

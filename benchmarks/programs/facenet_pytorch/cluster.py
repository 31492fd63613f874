"""Group the faces of a folder by person."""

from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image
from sklearn.cluster import DBSCAN

detector, embedder = MTCNN(keep_all=True), InceptionResnetV1(pretrained="vggface2").eval()


def vectors_of(path):
    """Embed the faces of a photo."""
    crops = detector(Image.open(path).convert("RGB"))
    with torch.no_grad():
        return [] if crops is None else list(embedder(crops).numpy())


faces = [(path, vector) for path in Path("photos").rglob("*.jpg") for vector in vectors_of(path)]
labels = DBSCAN(eps=1.0, min_samples=2, metric="euclidean").fit_predict(np.stack([vector for _, vector in faces]))
for label in sorted(set(labels)):
    print(label, *(path.name for (path, _), own in zip(faces, labels, strict=True) if own == label))

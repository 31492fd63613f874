"""List photos that show nearly the same face."""

from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image

detector, embedder = MTCNN(keep_all=True), InceptionResnetV1(pretrained="vggface2").eval()


def vectors_of(path):
    """Embed the faces of a photo."""
    crops = detector(Image.open(path).convert("RGB"))
    with torch.no_grad():
        return [] if crops is None else list(embedder(crops).numpy())


faces = [(path, vector) for path in Path("photos").rglob("*.jpg") for vector in vectors_of(path)]
vectors = np.stack([vector for _, vector in faces])
for first, second in zip(*np.nonzero(np.triu(vectors @ vectors.T > 0.95, 1)), strict=True):
    print(faces[first][0], faces[second][0])

"""List the images of a folder that show the person of one image."""

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


path = Path("someone.jpg")
queries = vectors_of(path)
for path in Path("photos").rglob("*.jpg"):
    for vector in vectors_of(path):
        for query in queries:
            distance = np.linalg.norm(query - vector)
            print("match" if distance < 1.0 else "no match", distance, path)

"""Search for several images and evaluate the distances as a table."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image

detector, embedder = MTCNN(keep_all=True), InceptionResnetV1(pretrained="vggface2").eval()


def vectors_of(path):
    """Embed the faces of a photo."""
    crops = detector(Image.open(path).convert("RGB"))
    with torch.no_grad():
        return [] if crops is None else list(embedder(crops).numpy())


known = [(path.parent.name, vector) for path in Path("photos").glob("*/*.jpg") for vector in vectors_of(path)]
names, vectors = [name for name, _ in known], np.stack([vector for _, vector in known])
rows = []
for path in Path("event").iterdir():
    for vector in vectors_of(path):
        distances = np.linalg.norm(vectors - vector, axis=1)
        rows.append({"path": path, "person": names[distances.argmin()], "distance": distances.min()})
table = pd.DataFrame(rows)
print(table.groupby(table["distance"] < 1.0)["distance"].describe())

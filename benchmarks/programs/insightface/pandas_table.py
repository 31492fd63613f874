"""Search for several images and evaluate the distances as a table."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from insightface.app import FaceAnalysis

app = FaceAnalysis()
app.prepare(ctx_id=-1)
known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]
]
names, vectors = [name for name, _ in known], np.stack([vector for _, vector in known])
rows = []
for path in Path("event").iterdir():
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]:
        distances = 1 - vectors @ vector
        rows.append({"path": path, "person": names[distances.argmin()], "distance": distances.min()})
table = pd.DataFrame(rows)
print(table.groupby(table["distance"] < 0.7)["distance"].describe())

"""Search for several images and evaluate the distances as a table."""

from pathlib import Path

import numpy as np
import pandas as pd
from deepface import DeepFace

known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in [
        found["embedding"] for found in DeepFace.represent(str(path), model_name="Facenet512", enforce_detection=False)
    ]
]
names, vectors = [name for name, _ in known], np.stack([vector for _, vector in known])
rows = []
for path in Path("event").iterdir():
    for vector in [
        found["embedding"] for found in DeepFace.represent(str(path), model_name="Facenet512", enforce_detection=False)
    ]:
        distances = 1 - vectors @ vector / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vector)
        rows.append({"path": path, "person": names[distances.argmin()], "distance": distances.min()})
table = pd.DataFrame(rows)
print(table.groupby(table["distance"] < 0.3)["distance"].describe())

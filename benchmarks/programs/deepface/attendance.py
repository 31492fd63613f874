"""Write who of the known people is on the images of an event."""

from pathlib import Path

import numpy as np
from deepface import DeepFace

known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in [
        found["embedding"] for found in DeepFace.represent(str(path), model_name="Facenet512", enforce_detection=False)
    ]
]
names, vectors = [name for name, _ in known], np.stack([vector for _, vector in known])
present = set()
for path in Path("event").iterdir():
    for vector in [
        found["embedding"] for found in DeepFace.represent(str(path), model_name="Facenet512", enforce_detection=False)
    ]:
        distances = 1 - vectors @ vector / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vector)
        if distances.min() < 0.3:
            present.add(names[distances.argmin()])
for name in sorted(set(names)):
    print(name, "present" if name in present else "absent")

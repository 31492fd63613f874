"""Write who of the known people is on the images of an event."""

from pathlib import Path

import cv2
import numpy as np
from insightface.app import FaceAnalysis

app = FaceAnalysis()
app.prepare(ctx_id=-1)
known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]
]
names, vectors = [name for name, _ in known], np.stack([vector for _, vector in known])
present = set()
for path in Path("event").iterdir():
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]:
        distances = 1 - vectors @ vector
        if distances.min() < 0.7:
            present.add(names[distances.argmin()])
for name in sorted(set(names)):
    print(name, "present" if name in present else "absent")

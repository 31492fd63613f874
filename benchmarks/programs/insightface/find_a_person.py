"""List the images of a folder that show the person of one image."""

from pathlib import Path

import cv2
from insightface.app import FaceAnalysis

app = FaceAnalysis()
app.prepare(ctx_id=-1)
path = Path("someone.jpg")
queries = [face.normed_embedding for face in app.get(cv2.imread(str(path)))]
for path in Path("photos").rglob("*.jpg"):
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]:
        for query in queries:
            distance = 1 - query @ vector
            print("match" if distance < 0.7 else "no match", distance, path)

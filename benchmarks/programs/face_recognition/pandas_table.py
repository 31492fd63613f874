"""Search for several images and evaluate the distances as a table."""

from pathlib import Path

import face_recognition
import pandas as pd

known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in face_recognition.face_encodings(face_recognition.load_image_file(path))
]
names, vectors = [name for name, _ in known], [vector for _, vector in known]
rows = []
for path in Path("event").iterdir():
    for vector in face_recognition.face_encodings(face_recognition.load_image_file(path)):
        distances = face_recognition.face_distance(vectors, vector)
        rows.append({"path": path, "person": names[distances.argmin()], "distance": distances.min()})
table = pd.DataFrame(rows)
print(table.groupby(table["distance"] < 0.6)["distance"].describe())

"""Write who of the known people is on the images of an event."""

from pathlib import Path

import face_recognition

known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in face_recognition.face_encodings(face_recognition.load_image_file(path))
]
names, vectors = [name for name, _ in known], [vector for _, vector in known]
present = set()
for path in Path("event").iterdir():
    for vector in face_recognition.face_encodings(face_recognition.load_image_file(path)):
        distances = face_recognition.face_distance(vectors, vector)
        if distances.min() < 0.6:
            present.add(names[distances.argmin()])
for name in sorted(set(names)):
    print(name, "present" if name in present else "absent")

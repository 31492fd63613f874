"""List the images of a folder that show the person of one image."""

from pathlib import Path

import face_recognition

path = Path("someone.jpg")
queries = face_recognition.face_encodings(face_recognition.load_image_file(path))
for path in Path("photos").rglob("*.jpg"):
    for vector in face_recognition.face_encodings(face_recognition.load_image_file(path)):
        for query in queries:
            distance = face_recognition.face_distance([query], vector)[0]
            print("match" if distance < 0.6 else "no match", distance, path)

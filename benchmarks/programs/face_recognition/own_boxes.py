"""Embed faces whose boxes another program has found."""

import face_recognition

image = face_recognition.load_image_file("someone.jpg")
boxes = [(20, 180, 200, 40)]  # top, right, bottom, left
print(face_recognition.face_encodings(image, known_face_locations=boxes))

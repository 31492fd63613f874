"""Find the faces of a video's frames."""

import cv2
import face_recognition

video = cv2.VideoCapture("video.mp4")
for number, frame in enumerate(iter(lambda: video.read()[1], None)):
    for box in face_recognition.face_locations(frame[:, :, ::-1]):
        print(number, box)

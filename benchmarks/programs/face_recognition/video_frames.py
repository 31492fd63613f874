"""Find the faces of a video's frames."""

import cv2
import face_recognition

video = cv2.VideoCapture("video.mp4")
for number, (_, frame) in enumerate(iter(video.read, (False, None))):
    for box in face_recognition.face_locations(frame[:, :, ::-1]):
        print(number, box)

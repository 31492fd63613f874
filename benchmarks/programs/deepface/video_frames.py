"""Find the faces of a video's frames."""

import cv2
from deepface import DeepFace

video = cv2.VideoCapture("video.mp4")
for number, (_, frame) in enumerate(iter(video.read, (False, None))):
    for face in DeepFace.extract_faces(frame, enforce_detection=False):
        print(number, face["facial_area"], face["confidence"])

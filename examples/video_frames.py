"""Find faces in frames as OpenCV gives them: arrays in BGR."""

import sys
from pathlib import Path

import cv2

import faceall

video = cv2.VideoCapture(sys.argv[1]) if len(sys.argv) > 1 else None
still = cv2.imread(str(Path(__file__).parent / "someone.jpg"))
frames = [still, still[:, ::-1]] if video is None else iter(lambda: video.read()[1], None)
for number, frame in enumerate(frames):
    for face in faceall.detect_faces(frame, channels="bgr"):
        print(number, face)

"""Find the faces of a video's frames."""

import cv2
from insightface.app import FaceAnalysis

app = FaceAnalysis()
app.prepare(ctx_id=-1)
video = cv2.VideoCapture("video.mp4")
for number, frame in enumerate(iter(lambda: video.read()[1], None)):
    for face in app.get(frame):
        print(number, face.bbox, face.det_score)

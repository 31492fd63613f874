"""Find the faces of a video's frames."""

import cv2
from insightface.app import FaceAnalysis

app = FaceAnalysis()
app.prepare(ctx_id=-1)
video = cv2.VideoCapture("video.mp4")
for number, (_, frame) in enumerate(iter(video.read, (False, None))):
    for face in app.get(frame):
        print(number, face.bbox, face.det_score)

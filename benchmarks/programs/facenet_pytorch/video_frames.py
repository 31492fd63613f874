"""Find the faces of a video's frames."""

import cv2
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image

detector, embedder = MTCNN(keep_all=True), InceptionResnetV1(pretrained="vggface2").eval()
video = cv2.VideoCapture("video.mp4")
for number, (_, frame) in enumerate(iter(video.read, (False, None))):
    boxes, scores = detector.detect(Image.fromarray(frame[:, :, ::-1]))
    for box, score in zip(boxes if boxes is not None else [], scores, strict=False):
        print(number, box, score)

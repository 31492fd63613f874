"""Embed faces whose boxes another program has found."""

import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image

detector, embedder = MTCNN(keep_all=True), InceptionResnetV1(pretrained="vggface2").eval()
image = Image.open("someone.jpg").convert("RGB")
boxes = np.array([[40, 20, 180, 200]])  # not aligned
with torch.no_grad():
    print(embedder(detector.extract(image, boxes, None)))

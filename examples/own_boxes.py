"""Embed faces that another program has found: boxes and five points each."""

from pathlib import Path

import numpy as np

from faceall import Detector, Embedder, read_image

image = read_image(Path(__file__).parent / "someone.jpg")
faces = Detector()(image)  # stands for the other program
boxes, points = faces.boxes.tolist(), faces.landmarks.tolist()

vectors = Embedder()(image, boxes=boxes, landmarks=points)
print(vectors.shape, np.linalg.norm(vectors, axis=1).round(3))

"""Embed faces whose boxes another program has found."""

import cv2
from deepface import DeepFace

image = cv2.imread("someone.jpg")
for x0, y0, x1, y1 in [(40, 20, 180, 200)]:  # not aligned
    print(DeepFace.represent(image[y0:y1, x0:x1], detector_backend="skip")[0]["embedding"])

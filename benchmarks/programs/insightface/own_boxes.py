"""Embed faces whose boxes another program has found."""

import cv2
import numpy as np
from insightface.app import FaceAnalysis
from insightface.utils.face_align import norm_crop

app = FaceAnalysis()
app.prepare(ctx_id=-1)
image = cv2.imread("someone.jpg")
points = np.array([[80, 90], [140, 90], [110, 120], [85, 150], [135, 150]], np.float32)
print(app.models["recognition"].get_feat(norm_crop(image, points)))

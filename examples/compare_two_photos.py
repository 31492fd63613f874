"""Compare two photos: print how similar their best faces are.

Usage: python examples/compare_two_photos.py [FIRST] [SECOND]
"""

import sys
from pathlib import Path

import numpy as np

from faceall import Detector, Embedder, read_image

HERE = Path(__file__).parent
paths = sys.argv[1:3] if len(sys.argv) > 2 else [HERE / "photos/Eileen_Collins/portrait.jpg", HERE / "someone.jpg"]

detector, embedder = Detector(), Embedder()
vectors = []
for path in paths:
    image = read_image(path)
    faces = detector(image)
    if len(faces) == 0:
        sys.exit(f"{path}: no face found")
    vectors.append(embedder(image, faces)[0])  # faces are sorted by score, best first

distance = float(np.sum((vectors[0] - vectors[1]) ** 2))
print(f"distance {distance:.3f} (squared L2: 0 identical, 4 opposite), cosine {1 - distance / 2:.3f}")

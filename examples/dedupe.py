"""List photos of a folder that show nearly the same face, such as copies in another size."""

import sys
from pathlib import Path

import numpy as np

import faceall
from faceall.images import find_images

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
faces = [(path, face.embedding) for path in find_images(folder) for face in faceall.represent(path)]
vectors = np.stack([vector for _, vector in faces])
for first, second in zip(*np.nonzero(np.triu(vectors @ vectors.T > 0.9, 1)), strict=True):
    print(faces[first][0], faces[second][0], sep="\t")
print(f"{len(faces)} faces compared")

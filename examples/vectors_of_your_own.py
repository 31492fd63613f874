"""Use FaceIndex on its own: a dict of vectors with nearest-neighbour search; no images needed.

Usage: python examples/vectors_of_your_own.py
"""

import tempfile

import numpy as np

from faceall import FaceIndex

rng = np.random.default_rng(0)
vectors = rng.normal(size=(1000, 128)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

with tempfile.TemporaryDirectory() as folder:
    with FaceIndex(folder, dimension=128) as index:
        keys = index.add(vectors)
        del index[int(keys[0])]  # deletes the row, the vector and the graph entry
    with FaceIndex(folder) as index:  # reopened, as another program would
        matches = index.search(vectors[1:3], k=3)
        print(f"{len(index)} vectors; the nearest neighbours of two of them:")
        print(matches.keys, matches.distances.round(3), sep="\n")

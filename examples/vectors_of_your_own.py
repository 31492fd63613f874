"""A face index is a dict of vectors that can be asked for neighbours; it needs no pictures.

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
        del index[int(keys[0])]  # really gone: the row, the vector, and its place in the graph
    with FaceIndex(folder) as index:  # another program, another day
        matches = index.search(vectors[1:3], k=3)
        print(f"{len(index)} vectors; the neighbours of two of them:")
        print(matches.keys, matches.distances.round(3), sep="\n")

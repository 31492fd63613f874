"""Use an embedder of your own in a gallery. This one is a toy: 16 x 16 gray pixels as the vector."""

import tempfile
from pathlib import Path

import numpy as np

from faceall import Faces, Gallery
from faceall.protocols import describe_embedder
from faceall.types import Image


class GrayPixels:
    """An embedder: its description, its size, and what it computes."""

    size = 256
    model = describe_embedder("gray-pixels", 256, input_size=(16, 16), match_threshold=0.2)

    def crop(self, image: Image, faces: Faces, /) -> np.ndarray:
        """Cut the faces out, (n, 16, 16, 3) uint8."""
        from faceall.images import crop

        return np.stack([crop(image, face.box, size=(16, 16)) for face in faces])

    def embed_crops(self, crops: np.ndarray, /) -> np.ndarray:
        """Compute unit vectors, (n, 256) float32."""
        vectors = crops.mean(axis=3).reshape(len(crops), -1).astype(np.float32)
        vectors -= vectors.mean(axis=1, keepdims=True)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


here = Path(__file__).parent
with tempfile.TemporaryDirectory() as folder, Gallery.open(folder, embedder=GrayPixels()) as gallery:
    gallery.register(here / "photos")
    print(gallery.model, gallery.search(here / "someone.jpg", k=1)[0])

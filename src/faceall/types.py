"""The nouns that travel between the rooms: frozen, validated once, NumPy inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Image: TypeAlias = npt.NDArray[np.uint8]
"""A picture: (H, W, 3) uint8, channels R G B, upright."""


def _checked(name: str, array: Array, shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
    """`array` as a read-only C-contiguous `dtype`, after its shape has been checked."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    result = np.ascontiguousarray(array, dtype=dtype)
    if result is array:
        result = array.view()
    result.flags.writeable = False
    return result


@dataclass(frozen=True, eq=False)
class Face:
    """One found face.

    box        (4,)   float32, x0 y0 x1 y1 in pixels of the upright picture
    score      probability of a face, 0..1
    landmarks  (5, 2) float32, x y of left eye, right eye, nose, left and right corner of the mouth
               (left and right as the viewer sees them)
    """

    box: Float32Array
    score: float
    landmarks: Float32Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _checked("box", np.asarray(self.box), (4,), np.float32))
        object.__setattr__(self, "landmarks", _checked("landmarks", np.asarray(self.landmarks), (5, 2), np.float32))


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one picture, best first; empty where there is none.

    boxes      (n, 4)    float32, x0 y0 x1 y1 in pixels
    scores     (n,)      float32, 0..1
    landmarks  (n, 5, 2) float32, x y in pixels
    """

    boxes: Float32Array
    scores: Float32Array
    landmarks: Float32Array

    def __post_init__(self) -> None:
        count = len(self.boxes)
        object.__setattr__(self, "boxes", _checked("boxes", np.asarray(self.boxes), (count, 4), np.float32))
        object.__setattr__(self, "scores", _checked("scores", np.asarray(self.scores), (count,), np.float32))
        object.__setattr__(
            self, "landmarks", _checked("landmarks", np.asarray(self.landmarks), (count, 5, 2), np.float32)
        )

    @classmethod
    def empty(cls) -> Faces:
        """No face at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    @classmethod
    def of(cls, faces: Sequence[Face]) -> Faces:
        """Some faces, in that order."""
        if not faces:
            return cls.empty()
        scores = np.array([face.score for face in faces], np.float32)
        return cls(np.stack([face.box for face in faces]), scores, np.stack([face.landmarks for face in faces]))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, number: int) -> Face:
        return Face(self.boxes[number], float(self.scores[number]), self.landmarks[number])

    def __iter__(self) -> Iterator[Face]:
        return (self[number] for number in range(len(self)))

    def take(self, numbers: npt.ArrayLike) -> Faces:
        """The faces at `numbers` (indices or a mask), in that order."""
        chosen = np.asarray(numbers)
        return Faces(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])


@dataclass(frozen=True, eq=False)
class Matches:
    """The nearest neighbours of several query vectors, nearest first in each row.

    keys       (q, k) int64
    distances  (q, k) float32, squared L2; for unit vectors 0 (same) .. 4 (opposite), equal to 2 - 2 cosine
    """

    keys: Int64Array
    distances: Float32Array

    def __post_init__(self) -> None:
        shape = np.shape(self.keys)
        if len(shape) != 2:
            raise ValueError(f"keys has shape {shape}, expected (queries, k)")
        object.__setattr__(self, "keys", _checked("keys", np.asarray(self.keys), shape, np.int64))
        object.__setattr__(self, "distances", _checked("distances", np.asarray(self.distances), shape, np.float32))

    def __len__(self) -> int:
        return len(self.keys)


def similarity(distance: float) -> float:
    """The cosine of two unit vectors, -1..1, from their squared L2 distance, 0..4."""
    return 1.0 - distance / 2.0

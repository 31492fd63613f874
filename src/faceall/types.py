"""Types that are shared by all packages: frozen, validated once, backed by NumPy arrays."""

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
"""An image: (H, W, 3) uint8, channels in the order R G B, upright."""


def _checked(name: str, array: Array, shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
    """Check the shape of `array` and return it as a read-only C-contiguous array of `dtype`."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    result = np.ascontiguousarray(array, dtype=dtype)
    if result is array:
        result = array.view()
    result.flags.writeable = False
    return result


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face.

    Attributes
    ----------
    box : (4,) float32
        x0, y0, x1, y1 in pixels of the upright image.
    score : float
        Probability that this is a face, 0 to 1.
    landmarks : (5, 2) float32
        x, y in pixels of the left eye, the right eye, the nose and the left and right corners of the mouth. Left and
        right are those of the viewer.

    Raises
    ------
    ValueError
        If an array has another shape.
    """

    box: Float32Array
    score: float
    landmarks: Float32Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _checked("box", np.asarray(self.box), (4,), np.float32))
        object.__setattr__(self, "landmarks", _checked("landmarks", np.asarray(self.landmarks), (5, 2), np.float32))

    def __repr__(self) -> str:
        x0, y0, x1, y1 = (round(float(value)) for value in self.box)
        return f"Face(box=({x0}, {y0}, {x1}, {y1}), score={self.score:.3f})"


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one image, best first; empty if there are none.

    Attributes
    ----------
    boxes : (n, 4) float32
        x0, y0, x1, y1 in pixels.
    scores : (n,) float32
        Probabilities, 0 to 1.
    landmarks : (n, 5, 2) float32
        x, y in pixels, in the order of `Face.landmarks`.

    Raises
    ------
    ValueError
        If an array has another shape.
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
        """Return an instance without faces."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    @classmethod
    def of(cls, faces: Sequence[Face]) -> Faces:
        """Collect single faces, keeping their order."""
        if not faces:
            return cls.empty()
        scores = np.array([face.score for face in faces], np.float32)
        return cls(np.stack([face.box for face in faces]), scores, np.stack([face.landmarks for face in faces]))

    def __repr__(self) -> str:
        return f"Faces({len(self)})"

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, number: int) -> Face:
        return Face(self.boxes[number], float(self.scores[number]), self.landmarks[number])

    def __iter__(self) -> Iterator[Face]:
        return (self[number] for number in range(len(self)))

    def take(self, numbers: npt.ArrayLike) -> Faces:
        """Select faces by indices (in that order) or by a boolean mask."""
        chosen = np.asarray(numbers)
        return Faces(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])


@dataclass(frozen=True, eq=False)
class Matches:
    """The nearest neighbours of several query vectors; each row is sorted, nearest first.

    Attributes
    ----------
    keys : (q, k) int64
        Keys of the neighbours.
    distances : (q, k) float32
        Squared L2 distances. For unit vectors 0 (identical) to 4 (opposite), equal to 2 - 2 * cosine.

    Raises
    ------
    ValueError
        If the arrays do not have the same two-dimensional shape.
    """

    keys: Int64Array
    distances: Float32Array

    def __post_init__(self) -> None:
        shape = np.shape(self.keys)
        if len(shape) != 2:
            raise ValueError(f"keys has shape {shape}, expected (queries, k)")
        object.__setattr__(self, "keys", _checked("keys", np.asarray(self.keys), shape, np.int64))
        object.__setattr__(self, "distances", _checked("distances", np.asarray(self.distances), shape, np.float32))

    def __repr__(self) -> str:
        queries, k = self.keys.shape
        return f"Matches(queries={queries}, k={k})"

    def __len__(self) -> int:
        return len(self.keys)


def similarity(distance: float) -> float:
    """Convert a squared L2 distance of two unit vectors (0 to 4) to their cosine similarity (1 to -1)."""
    return 1.0 - distance / 2.0

"""Types that are shared by all packages: frozen, validated once, backed by NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked_methods
from faceall.errors import ArgumentError, MissingDependencyError

Array: TypeAlias = npt.NDArray[Any]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Image: TypeAlias = npt.NDArray[np.uint8]
"""An image: (H, W, 3) uint8, channels in the order R G B, upright."""


def _checked(name: str, array: Array, shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
    """Check the shape of `array` and return it as a read-only C-contiguous array of `dtype`."""
    if array.shape != shape:
        raise ArgumentError(f"{name} has shape {array.shape}, expected {shape}")
    flags = array.flags
    if array.dtype == dtype and flags.c_contiguous:
        if not flags.writeable:
            return array
        result = array.view()
    else:
        result = np.ascontiguousarray(array, dtype=dtype)
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
    embedding : (D,) float32 or None
        Unit vector of the face, where it was computed.
    quality : tuple or None
        What makes the face hard to recognise, where it was examined; empty for a good face.
    pixels : (h, w, 3) uint8 or None
        The face cut out of its image, where it was kept; a notebook shows it.

    Raises
    ------
    ValueError
        If an array has another shape.
    """

    box: Float32Array
    score: float
    landmarks: Float32Array
    embedding: Float32Array | None = None
    quality: tuple[object, ...] | None = None
    pixels: Image | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _checked("box", np.asarray(self.box), (4,), np.float32))
        object.__setattr__(self, "landmarks", _checked("landmarks", np.asarray(self.landmarks), (5, 2), np.float32))
        if self.embedding is not None:
            vector = np.asarray(self.embedding)
            object.__setattr__(self, "embedding", _checked("embedding", vector, (vector.size,), np.float32))

    def __repr__(self) -> str:
        x0, y0, x1, y1 = (round(float(value)) for value in self.box)
        vector = "" if self.embedding is None else f", embedding=({len(self.embedding)},)"
        return f"Face(box=({x0}, {y0}, {x1}, {y1}), score={self.score:.3f}{vector})"

    def _repr_png_(self) -> bytes | None:
        """Show the face in a notebook."""
        if self.pixels is None:
            return None
        import cv2

        return cv2.imencode(".png", self.pixels[:, :, ::-1])[1].tobytes()

    def clipped_box(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        """Return the box in whole pixels, cut to the image.

        Parameters
        ----------
        shape : sequence of int
            Shape of the image: height, width and possibly channels.

        Returns
        -------
        tuple of 4 int
            x0, y0, x1, y1. At least one pixel wide and high, so it can be used as a slice.
        """
        height, width = int(shape[0]), int(shape[1])
        x0, y0, x1, y1 = (round(float(value)) for value in self.box)
        x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
        return x0, y0, min(max(x1, x0 + 1), width), min(max(y1, y0 + 1), height)

    def crop(self, image: Image, *, margin: float = 0.0) -> Image:
        """Cut the face out of its image.

        Parameters
        ----------
        image : (H, W, 3) uint8
            The image in which the face was detected.
        margin : float
            Added on each side, relative to the box; the result still ends at the edges of the image.

        Returns
        -------
        (h, w, 3) uint8
            A copy.

        Raises
        ------
        ValueError
            If `image` is not an array (H, W, 3).
        """
        if np.ndim(image) != 3:
            raise ArgumentError(f"image has shape {np.shape(image)}, expected (H, W, 3)")
        size = self.box[2:] - self.box[:2]
        grown = np.concatenate([self.box[:2] - margin * size, self.box[2:] + margin * size])
        x0, y0, x1, y1 = Face(grown, self.score, self.landmarks).clipped_box(image.shape)
        return image[y0:y1, x0:x1].copy()

    def to_dict(self) -> dict[str, Any]:
        """Return box, score, landmarks and embedding as plain JSON values."""
        values: dict[str, Any] = {
            "box": self.box.tolist(),
            "score": round(float(self.score), 6),
            "landmarks": self.landmarks.tolist(),
        }
        return values if self.embedding is None else {**values, "embedding": self.embedding.tolist()}


@checked_methods
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
        """Select faces by indices (in that order) or by a boolean mask.

        Raises
        ------
        ArgumentError
            If an index or the length of the mask does not fit.
        """
        chosen = np.asarray(numbers)
        if not chosen.size:  # an empty list becomes an array of floats
            chosen = chosen.astype(np.int64) if chosen.dtype != bool else chosen
        try:
            return Faces(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])
        except IndexError as error:
            raise ArgumentError(
                f"numbers is {chosen.dtype} {chosen.shape}, expected indices below {len(self)} or a mask of that length"
            ) from error


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
        keys = np.asarray(self.keys)
        shape = keys.shape
        if len(shape) != 2:
            raise ArgumentError(f"keys has shape {shape}, expected (queries, k)")
        object.__setattr__(self, "keys", _checked("keys", keys, shape, np.int64))
        object.__setattr__(self, "distances", _checked("distances", np.asarray(self.distances), shape, np.float32))

    def __repr__(self) -> str:
        queries, k = self.keys.shape
        return f"Matches(queries={queries}, k={k})"

    def __len__(self) -> int:
        return len(self.keys)


class HasRows(Protocol):
    """A result that consists of rows."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict of plain values per row."""


Item = TypeVar("Item", bound=HasRows)


class Results(list[Item]):
    """A list of results that can be turned into a table."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict of plain values per row.

        Returns
        -------
        list of dict
            A result with several rows, such as the matches of a face, gives one dict per row.
        """
        return [row for result in self for row in result.to_dicts()]

    def to_pandas(self) -> Any:
        """Return the rows as a `pandas.DataFrame`.

        Returns
        -------
        pandas.DataFrame
            One row per dict of `to_dicts`.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError("to_pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame(self.to_dicts())

    def _repr_html_(self) -> str:
        """Show the rows as a table in a notebook."""
        rows = self.to_dicts()
        if not rows:
            return "<p>no results</p>"
        names = [name for name, value in rows[0].items() if not isinstance(value, list | dict)]
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        cells = ("".join(f"<td>{escape(str(row.get(name, '')))}</td>" for name in names) for row in rows)
        return f"<table><tr>{head}</tr>" + "".join(f"<tr>{line}</tr>" for line in cells) + "</table>"


def similarity(distance: float) -> float:
    """Convert a squared L2 distance of two unit vectors (0 to 4) to their cosine similarity (1 to -1)."""
    return 1.0 - distance / 2.0

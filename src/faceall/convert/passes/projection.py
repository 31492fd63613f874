"""Reduce the size of an embedding: fit a projection on faces and fold it into the bottleneck.

The projection is onto the first principal directions of the unit vectors, without subtracting their mean. By the
theorem of Eckart and Young it is the projection of its size with the least squared error of the cosines between the
fitted vectors, as cosines are products of unit vectors. It is linear and independent of a vector's length, so it can
be moved in front of the normalisation to unit length; subtracting the mean would change every cosine. The net's own
layers normalise the result again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.caffe.net import Net
from faceall.convert.passes.head import change_linear, find_head, fold_head, resize_unit
from faceall.errors import ConvertError
from faceall.types import Array, Float32Array

_STEPS = 400
"""The number of thresholds between 0 and 4 that are tried for the accuracy on pairs."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear map to fewer dimensions.

    Parameters
    ----------
    matrix : Array
        (K, D) float64, orthonormal rows, the direction with the largest share first.
    variance : float
        The share of the mean square that it keeps, 0..1.
    spread : float
        The share of the variance around the mean that it keeps, 0..1.
    crops : int
        The number of vectors it was fitted on.
    """

    matrix: Array
    variance: float
    spread: float
    crops: int

    def apply(self, vectors: Float32Array, *, unit_length: bool = True) -> Float32Array:
        """Project vectors (n, D) to (n, K) float32, of unit length if that is wanted."""
        smaller = vectors.astype(np.float64) @ self.matrix.T
        return (_unit(smaller) if unit_length else smaller).astype(np.float32)


@dataclass(frozen=True)
class ProjectionReport:
    """The cost of a projection.

    Parameters
    ----------
    before, after : int
        The sizes of the embeddings.
    crops : int
        The number of crops it was fitted on.
    variance : float
        The share of the mean square that is kept.
    spread : float
        The share of the variance around the mean that is kept.
    cosine_error : float
        The largest change of a cosine between two of the crops.
    pairs : int
        The number of pairs of labelled crops behind the accuracies; 0 without labels.
    accuracy_before : float, optional
        The share of pairs classified correctly at the best threshold, of the larger embedding.
    accuracy_after : float, optional
        The same of the smaller.
    """

    before: int
    after: int
    crops: int
    variance: float
    spread: float
    cosine_error: float
    pairs: int = 0
    accuracy_before: float | None = None
    accuracy_after: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return asdict(self)

    def to_text(self) -> str:
        """Return the report as text."""
        lines = [
            f"projection   {self.before} to {self.after} numbers, fitted on {self.crops} crops",
            f"kept         {self.variance:.4%} of the mean square, {self.spread:.4%} of the variance around the mean",
            f"cosines      changed by {self.cosine_error:.2e} at most",
        ]
        if self.accuracy_before is not None and self.accuracy_after is not None:
            change = self.accuracy_after - self.accuracy_before
            both = f"{self.accuracy_before:.4f} before, {self.accuracy_after:.4f} after ({change:+.4f})"
            lines.append(f"accuracy     {both}, on {self.pairs} pairs of the same crops")
        return "\n".join(lines)


@checked
def fit_projection(vectors: Float32Array, size: int) -> Projection:
    """Return the projection to `size` numbers that keeps the cosines between `vectors` best.

    Parameters
    ----------
    vectors : Float32Array
        (n, D), one per crop, n of at least `size`; normalised to unit length here.

    Raises
    ------
    ConvertError
        If there are too few crops, or `size` is not below D.
    """
    count, width = vectors.shape
    if not 1 <= size < width:
        raise ConvertError(f"the model makes {width} numbers; --embedding-size has to be from 1 to {width - 1}")
    if count < size:
        raise ConvertError(
            f"{count} crops are too few to fit {size} numbers: give at least {size}, better ten times that"
        )
    unit = _unit(vectors.astype(np.float64))
    matrix = np.linalg.eigh(unit.T @ unit)[1][:, ::-1][:, :size].T
    matrix = matrix * np.where(matrix.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)  # a direction has no sign of its own
    centred = unit - unit.mean(axis=0)
    total = float(np.sum(centred**2))
    spread = float(np.sum((centred @ matrix.T) ** 2)) / total if total else 1.0
    return Projection(matrix, float(np.sum((unit @ matrix.T) ** 2)) / count, spread, count)


@checked
def project(net: Net, output: str, projection: Projection) -> Net:
    """Fold a projection into the product that makes the vector `output`.

    Before   x -> InnerProduct (D) [-> BatchNorm -> Scale] -> unit length (D) -> output
    After    x -> InnerProduct (K) -> unit length (K) -> output

    Raises
    ------
    ConvertError
        If the net ends differently, or its vectors have another size.
    """
    net = fold_head(net, output)
    head = find_head(net, output)
    size, wanted = int(head.linear.option("num_output")), projection.matrix.shape[1]
    if size != wanted:
        raise ConvertError(f"net '{net.name}' makes {size} numbers, the projection takes {wanted}")
    smaller = len(projection.matrix)
    net = resize_unit(net, head.unit, size, smaller)
    return change_linear(net, head.linear, projection.matrix, np.zeros(smaller))


def report_projection(
    projection: Projection, vectors: Float32Array, labels: Sequence[str] | None = None
) -> ProjectionReport:
    """Measure what the projection costs on the vectors (n, D) that it was fitted on."""
    before, after = _unit(vectors.astype(np.float64)), projection.apply(vectors).astype(np.float64)
    rows = np.linspace(0, len(before) - 1, min(len(before), 2000)).astype(int)
    error = np.abs(before[rows] @ before[rows].T - after[rows] @ after[rows].T).max()
    size, width = projection.matrix.shape
    report = ProjectionReport(width, size, len(vectors), projection.variance, projection.spread, float(error))
    pairs = sample_pairs(labels) if labels is not None else None
    if pairs is None:
        return report
    first, second, same = pairs
    accuracies = [_pair_accuracy(np.sum((x[first] - x[second]) ** 2, axis=1), same) for x in (before, after)]
    return ProjectionReport(
        **{**report.to_json(), "pairs": len(same), "accuracy_before": accuracies[0], "accuracy_after": accuracies[1]}
    )


def sample_pairs(labels: Sequence[str], *, limit: int = 20_000, seed: int = 0) -> tuple[Array, Array, Array] | None:
    """Sample pairs of crops of one person, and as many pairs of two people.

    At most `limit` of each; drawn by `seed`.
    """
    names = np.unique(np.asarray(labels), return_inverse=True)[1]
    random = np.random.default_rng(seed)
    counts = np.bincount(names)
    ends = np.cumsum(counts * (counts - 1) // 2)  # pairs of one person are numbered, person by person
    if len(counts) < 2 or not ends[-1]:
        return None
    same = _numbered_pairs(names, counts, ends, _draw(random, int(ends[-1]), limit))
    other = random.integers(0, len(names), (len(same) * 20, 2))
    other = other[names[other[:, 0]] != names[other[:, 1]]][: len(same)]
    pairs = np.concatenate([same, other])
    return pairs[:, 0], pairs[:, 1], np.arange(len(pairs)) < len(same)


def _draw(random: np.random.Generator, total: int, limit: int) -> Array:
    """Return at most `limit` different numbers below `total`, without a list of all where these are many."""
    if total <= 4 * limit:
        return random.permutation(total)[:limit]
    return np.unique(random.integers(0, total, limit))


def _numbered_pairs(names: Array, counts: Array, ends: Array, numbers: Array) -> Array:
    """Return the pairs (n, 2) of crops with the given numbers."""
    people = np.searchsorted(ends, numbers, "right")
    own = numbers - (ends - counts * (counts - 1) // 2)[people]
    second = ((1 + np.sqrt(1 + 8 * own)) / 2).astype(int)
    first = own - second * (second - 1) // 2
    order, starts = np.argsort(names, kind="stable"), np.cumsum(counts) - counts
    return np.stack([order[starts[people] + first], order[starts[people] + second]], axis=1)


def _pair_accuracy(distances: Array, same: Array) -> float:
    """Return the mean of the shares of same and of different pairs that the best threshold gets right."""
    thresholds = np.linspace(0, 4, _STEPS + 1)
    kept = np.searchsorted(np.sort(distances[same]), thresholds, "right") / same.sum()
    wrong = np.searchsorted(np.sort(distances[~same]), thresholds, "right") / max((~same).sum(), 1)
    return float(np.max((kept + 1 - wrong) / 2))


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-10))

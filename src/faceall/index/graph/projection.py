"""Shorten vectors to the directions in which they differ, so that a graph of them needs less memory.

The embeddings of a model often lie near a subspace: those of FaceNet (512 dimensions) differ in some 100 directions. A
graph of their coordinates there finds the same neighbours. The distances of the candidates that it finds are then
computed from the vectors in the database, so results are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from faceall.index.graph.hnsw_elements import Head
from faceall.index.storage import rows, stored
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.index.storage.schema import Settings
from faceall.types import Float32Array

SHARE = 4
"""A projected vector has a quarter of the dimensions."""

LEAST_DIMENSION = 256
"""Dimension from which vectors are projected: the links of a shorter one take most of the memory."""

SAMPLE = 10_000
"""Vectors that the axes are computed from."""

_KEPT = 0.99  # share of the variance from which a graph is built of projected vectors at once
_CHUNK = 1 << 13  # elements that are converted at a time
_BYTES = 4 << 20  # that are copied at a time


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear map that nearly keeps distances, if the vectors lie near a subspace.

    Attributes
    ----------
    axes : (dimension, reduced) float32
        Orthonormal columns, the principal axes of the vectors.

    References
    ----------
    Jolliffe: Principal Component Analysis. Springer 2002, chapter 2.
    """

    axes: Float32Array

    @classmethod
    def principal(cls, vectors: Float32Array, reduced: int) -> Projection:
        """Return the projection to the principal axes of a sample (n, dimension), n > 1."""
        values = np.asarray(vectors, np.float64)
        axes = np.linalg.eigh(np.cov(values.T))[1][:, : -reduced - 1 : -1]  # eigenvalues ascend
        return cls(np.ascontiguousarray(axes, np.float32))

    def kept(self, vectors: Float32Array) -> float:
        """Return the share of the variance of vectors (n, dimension) that their projections have, 0 to 1."""
        whole = float(vectors.var(axis=0, dtype=np.float64).sum())
        return float(self(vectors).var(axis=0, dtype=np.float64).sum()) / whole if whole else 0.0

    @classmethod
    def unpack(cls, data: bytes, dimension: int, reduced: int) -> Projection | None:
        """Return the projection that `pack` wrote; None if it has another size or values that are not finite."""
        if len(data) != 4 * dimension * reduced:
            return None
        axes = np.frombuffer(data, "<f4").reshape(dimension, reduced).astype(np.float32)
        return cls(axes) if np.isfinite(axes).all() else None

    def pack(self) -> bytes:
        """Return the axes as bytes."""
        return self.axes.astype("<f4", copy=False).tobytes()

    @property
    def reduced(self) -> int:
        """Number of dimensions of a projected vector."""
        return int(self.axes.shape[1])

    def __call__(self, vectors: Float32Array) -> Float32Array:
        """Project vectors (n, dimension) to (n, reduced) float32."""
        return np.asarray(vectors @ self.axes, np.float32)


def principal_axes(storage: Storage, settings: Settings) -> Projection | None:
    """Return the projection for a graph of the vectors in the database; None if it does not keep nearly all of them."""
    if settings.dimension is None:
        return None
    with storage.reading() as connection:
        keys = rows.keys(connection)
    random = np.random.default_rng(0)
    chosen = np.sort(random.choice(keys, min(SAMPLE, len(keys)), replace=False))
    sample = Block.joined([Block.empty(settings.dimension), *stored.chosen(storage, settings, chosen)]).vectors
    half = len(sample) // 2  # the axes of one half must fit the other, too
    if half <= settings.dimension // SHARE:
        return None
    mixed = sample[random.permutation(len(sample))]
    projection = Projection.principal(mixed[:half], settings.dimension // SHARE)
    return projection if projection.kept(mixed[half:]) >= _KEPT else None


def project_graph(source: BinaryIO, target: BinaryIO, projection: Projection) -> bool:
    """Write a graph of hnswlib with projected vectors and the same links.

    Before   links, vector (dimension,), label per element
    After    links, vector (reduced,), label per element

    Parameters
    ----------
    source : BinaryIO
        An open file that hnswlib wrote.
    target : BinaryIO
        Receives the graph.
    projection : Projection
        The projection.

    Returns
    -------
    bool
        False if the layout of the file is unknown; `target` has to be discarded then.
    """
    source.seek(0)
    head = Head.read(source)
    dimension, reduced = projection.axes.shape
    if head is None or not head.fits(dimension):
        return False
    target.write(head.with_dimension(reduced).pack())
    for start in range(0, head.elements, _CHUNK):
        number = min(_CHUNK, head.elements - start)
        data = source.read(number * head.element)
        if len(data) < number * head.element:
            return False
        old = np.frombuffer(data, np.uint8).reshape(number, head.element)
        vectors = np.ascontiguousarray(old[:, head.data_offset : head.label_offset]).view(np.float32)
        shorter = np.ascontiguousarray(projection(vectors)).view(np.uint8)
        target.write(np.hstack((old[:, : head.data_offset], shorter, old[:, head.label_offset :])).tobytes())
    while part := source.read(_BYTES):
        target.write(part)
    target.flush()
    return True

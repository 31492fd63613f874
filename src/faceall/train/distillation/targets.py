"""Targets, batches and measures of a distillation (Hinton et al. 2015; Park et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from faceall.convert import Projection, fit_projection
from faceall.errors import TrainError
from faceall.train.data.augmentation import NO_AUGMENTATION, Augmentation, augment
from faceall.train.data.loader import members
from faceall.train.data.shards import Faces
from faceall.train.losses import distillation_loss
from faceall.types import Array, Float32Array

FITTED = 20_000
"""Largest number of faces on which the projection of the teacher's vectors is fitted."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The vectors that the student learns to reproduce.

    Attributes
    ----------
    teacher : str
        Name of the teacher.
    projection : Projection or None
        From the teacher's vectors to the student's; None keeps them.
    second : str or None
        A second teacher. The vectors of both are concatenated, each centred on its mean.
    middles : (D + E,) float or None
        With two teachers, the means of their unit vectors, which are subtracted. Cosines between strangers are then
        around 0 for both; dlib's uncentred ones are around 0.85.
    """

    teacher: str
    projection: Projection | None = None
    second: str | None = None
    middles: Array | None = None

    def of(self, faces: Faces, numbers: Array, mirrored: Array) -> tuple[Float32Array, Float32Array]:
        """Return the target vectors of faces.

        Parameters
        ----------
        faces : Faces
            The faces.
        numbers : (n,) int
            Which of them.
        mirrored : (n,) bool
            Whether the mirror image is wanted.

        Returns
        -------
        (n, D) float32
            Unit vectors to reproduce.
        (n, E) float32
            Unit vectors whose cosines are to be reproduced. With two teachers, the cosine of two rows is the mean of
            the cosines of both teachers.
        """
        vectors = self.seen(faces, numbers, mirrored)
        wanted = self.projection.apply(vectors) if self.projection else vectors
        return wanted, wanted if self.second is None else vectors

    def seen(self, faces: Faces, numbers: Array, mirrored: Array) -> Float32Array:
        """Return the teachers' unit vectors before the projection.

        Parameters
        ----------
        faces : Faces
            The faces.
        numbers : (n,) int
            Which of them.
        mirrored : (n,) bool
            Whether the mirror image is wanted.

        Returns
        -------
        (n, E) float32
            Unit vectors.
        """
        vectors = faces.vectors(numbers, mirrored, self.teacher)
        if self.second is None or self.middles is None:
            return vectors
        return _joined([vectors, faces.vectors(numbers, mirrored, self.second)], self.middles)


def _joined(vectors: Sequence[Array], middles: Array) -> Float32Array:
    """Concatenate the teachers' vectors, each centred and of unit length: cosines of rows are mean cosines."""
    ends = np.cumsum([part.shape[1] for part in vectors])[:-1]
    parts = [_unit(_unit(part) - middle) for part, middle in zip(vectors, np.split(middles, ends), strict=True)]
    return np.asarray(np.concatenate(parts, axis=1) / np.sqrt(len(parts)), np.float32)


def _unit(vectors: Array) -> Array:
    """Scale rows to unit length."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def fit_targets(
    faces: Faces, teacher: str, size: int, *, second: str | None = None, like: Targets | None = None
) -> Targets:
    """Fit targets: the first principal directions of the teachers' vectors.

    The directions are rotated, which changes no cosine: without `like`, by a fixed random rotation, so that all
    dimensions have about the same variance as those of the student's last normalisation layer.

    Parameters
    ----------
    faces : Faces
        The faces on which the directions are fitted.
    teacher : str
        Name of the teacher.
    size : int
        Number of dimensions.
    second : str, optional
        A second teacher with equal weight.
    like : Targets, optional
        What a student has learned already. The directions are rotated to agree with it as well as possible, so that
        the student keeps what it learned.

    Returns
    -------
    Targets
        The targets.

    Raises
    ------
    TrainError
        If the teachers' vectors have fewer dimensions.

    References
    ----------
    Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    """
    numbers = np.linspace(0, len(faces) - 1, min(len(faces), FITTED)).astype(int)
    unchanged = np.zeros(len(numbers), bool)
    whole = Targets(teacher, None, second, _middles(faces, numbers, [teacher, second]) if second else None)
    vectors = whole.seen(faces, numbers, unchanged)
    if vectors.shape[1] < size:
        raise TrainError(f"the teacher '{teacher}' has {vectors.shape[1]} dimensions, fewer than the student's {size}")
    if vectors.shape[1] == size:
        return whole
    fitted = fit_projection(vectors, size)
    if like is None:
        turn = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    else:
        turn = _turn(fitted.apply(vectors), like.of(faces, numbers, unchanged)[0])
    return replace(whole, projection=replace(fitted, matrix=turn @ fitted.matrix))


def _middles(faces: Faces, numbers: Array, teachers: Sequence[str]) -> Array:
    """Concatenate the means of several teachers' unit vectors."""
    unchanged = np.zeros(len(numbers), bool)
    return np.concatenate([_unit(faces.vectors(numbers, unchanged, name)).mean(axis=0) for name in teachers])


def _turn(vectors: Float32Array, wanted: Float32Array) -> Array:
    """Return the rotation (D, D) that brings vectors (n, D) closest to the wanted ones (n, D)."""
    left, _, right = np.linalg.svd(wanted.astype(np.float64).T @ vectors)
    return np.asarray(left @ right)


@dataclass(frozen=True, kw_only=True, eq=False)
class DistillationBatches:
    """Batches of faces with their targets; a batch depends only on its number.

    Attributes
    ----------
    faces : Faces
        The training set.
    targets : Targets
        The vectors to reproduce.
    batch : int
        Faces per batch.
    size : int
        Side in pixels of the student's images.
    inner : int
        Side in pixels of the middle of a crop that the net sees.
    how : Augmentation
        Changes to the crops.
    seed : int
        Determines order and changes.
    first : int
        Number of the first batch of these faces, where their order starts.
    """

    faces: Faces
    targets: Targets
    batch: int
    size: int
    inner: int
    how: Augmentation
    seed: int
    first: int = 0

    def __call__(self, step: int) -> tuple[Float32Array, dict[str, Float32Array]]:
        """Create a batch.

        Parameters
        ----------
        step : int
            Number of the batch.

        Returns
        -------
        (batch, size, size, 3) float32
            Standardised images.
        dict of str to array
            The targets: "vectors" (batch, D) and "relations" (batch, E).
        """
        place = step - self.first
        numbers = members(place, count=len(self.faces), batch=self.batch, seed=self.seed)
        images = np.empty((self.batch, self.size, self.size, 3), np.uint8)
        mirrored = np.zeros(self.batch, bool)
        for row, number in enumerate(numbers):
            random = np.random.default_rng([self.seed, step, row])
            crop = self.faces.crop(int(number))
            images[row], mirrored[row] = augment(crop, self.how, random, inner=self.inner, size=self.size)
        own, relations = self.targets.of(self.faces, numbers, mirrored)
        return standardised(images), {"vectors": own, "relations": relations}


def standardised(images: Array) -> Float32Array:
    """Standardise images as the student's manifest states: (x - 127.5) / 128.

    Parameters
    ----------
    images : (n, H, W, 3) uint8
        RGB.

    Returns
    -------
    (n, H, W, 3) float32
        Standardised images.
    """
    return (images.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)


def held_out_images(faces: Faces, *, inner: int, size: int) -> Float32Array:
    """Cut out the middles of all crops and standardise them, without random changes.

    Parameters
    ----------
    faces : Faces
        The faces.
    inner, size : int
        Side in pixels of the middle, and of the result.

    Returns
    -------
    (n, size, size, 3) float32
        Standardised images.
    """
    random = np.random.default_rng(0)
    crops = [augment(faces.crop(i), NO_AUGMENTATION, random, inner=inner, size=size)[0] for i in range(len(faces))]
    return standardised(np.stack(crops))


def agreement(student: Float32Array, wanted: Float32Array) -> dict[str, float]:
    """Measure how well a student's vectors agree with the teacher's.

    Parameters
    ----------
    student, wanted : (n, D) float32
        Unit vectors of the same faces.

    Returns
    -------
    dict of str to float
        "cosine": mean cosine of the two vectors of a face. "relations": root of the mean squared difference of the
        cosines between faces. "ranks": Spearman's correlation of these cosines. "matches": area under the ROC curve
        with which the student's cosines separate the pairs that match for the teacher (squared distance below 1);
        absent if there are none.
    """
    pairs = np.triu_indices(len(wanted), 1)
    own, theirs = (student @ student.T)[pairs], (wanted @ wanted.T)[pairs]
    ranks = [np.argsort(np.argsort(values)).astype(np.float64) for values in (own, theirs)]
    found = {
        "cosine": float(np.mean(np.sum(student * wanted, axis=1))),
        "relations": float(np.sqrt(np.mean((own - theirs) ** 2))),
        "ranks": float(np.corrcoef(ranks[0], ranks[1])[0, 1]),
    }
    same = theirs > 0.5
    if same.any() and not same.all():
        positions = ranks[0][same] + 1
        count, others = int(same.sum()), int((~same).sum())
        found["matches"] = float((positions.sum() - count * (count + 1) / 2) / (count * others))
    return found


class DistillationObjective:
    """The loss of a batch.

    Parameters
    ----------
    relations : float
        Weight of the cosines between the faces of a batch.
    """

    def __init__(self, relations: float) -> None:
        self.relations = relations

    def __call__(self, wanted: Mapping[str, Any], embeddings: Any) -> Any:
        """Compute the loss of embeddings (N, D), given the targets of `DistillationBatches`."""
        return distillation_loss(wanted["vectors"], embeddings, relations=wanted["relations"], weight=self.relations)

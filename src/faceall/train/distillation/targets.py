"""A student learns the vectors of a teacher from faces without names (Hinton et al. 2015; Park et al. 2019)."""

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
"""How many faces the projection of the teacher's vectors is fitted on at most."""


@dataclass(frozen=True, eq=False)
class Targets:
    """What the student is to make of a face.

    teacher     the teacher whose vectors it learns, and
    projection  the directions of them that it keeps; None for all
    second      another teacher: what is learnt are the vectors of both side by side, each taken from its middle
    middles     the means (D + E,) of the two teachers' unit vectors, taken away where there are two. What is left are
                cosines around 0 between strangers for both: dlib's, as they come, are around 0.85
    """

    teacher: str
    projection: Projection | None = None
    second: str | None = None
    middles: Array | None = None

    def of(self, faces: Faces, numbers: Array, mirrored: Array) -> tuple[Float32Array, Float32Array]:
        """The vectors to learn (n, D), and those whose cosines are to learn (n, E), all of unit length.

        With two teachers the cosine of two rows of the latter is the mean of the cosines that both see.
        """
        vectors = self.seen(faces, numbers, mirrored)
        wanted = self.projection.apply(vectors) if self.projection else vectors
        return wanted, wanted if self.second is None else vectors

    def seen(self, faces: Faces, numbers: Array, mirrored: Array) -> Float32Array:
        """What the teachers see, before the projection: vectors (n, E) float32 of unit length."""
        vectors = faces.vectors(numbers, mirrored, self.teacher)
        if self.second is None or self.middles is None:
            return vectors
        return _joined([vectors, faces.vectors(numbers, mirrored, self.second)], self.middles)


def _joined(vectors: Sequence[Array], middles: Array) -> Float32Array:
    """Teachers' vectors side by side, each of unit length around its middle: cosines of rows are mean cosines."""
    ends = np.cumsum([part.shape[1] for part in vectors])[:-1]
    parts = [_unit(_unit(part) - middle) for part, middle in zip(vectors, np.split(middles, ends), strict=True)]
    return np.asarray(np.concatenate(parts, axis=1) / np.sqrt(len(parts)), np.float32)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def fit_targets(
    faces: Faces, teacher: str, size: int, *, second: str | None = None, like: Targets | None = None
) -> Targets:
    """Targets of `size` numbers: the first principal directions of the teachers' vectors, of `faces`.

    second  another teacher, with as much say as the first
    like    what a student has learnt already: the directions are turned to agree with it as well as they can, so that
            it need not begin anew (the orthogonal Procrustes problem, Schönemann 1966)

    Without `like` they are turned so that all numbers vary about as much: the student's last normalisation makes them
    so, and could not follow a teacher whose first number varies most. A turn changes no cosine.

    Raises TrainError where the teachers' vectors are shorter.
    """
    numbers = np.linspace(0, len(faces) - 1, min(len(faces), FITTED)).astype(int)
    unchanged = np.zeros(len(numbers), bool)
    whole = Targets(teacher, None, second, _middles(faces, numbers, [teacher, second]) if second else None)
    vectors = whole.seen(faces, numbers, unchanged)
    if vectors.shape[1] < size:
        raise TrainError(f"the teacher '{teacher}' makes {vectors.shape[1]} numbers, fewer than the student's {size}")
    if vectors.shape[1] == size:
        return whole
    fitted = fit_projection(vectors, size)
    if like is None:
        turn = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    else:
        turn = _turn(fitted.apply(vectors), like.of(faces, numbers, unchanged)[0])
    return replace(whole, projection=replace(fitted, matrix=turn @ fitted.matrix))


def _middles(faces: Faces, numbers: Array, teachers: Sequence[str]) -> Array:
    """The means of several teachers' unit vectors, one behind the other."""
    unchanged = np.zeros(len(numbers), bool)
    return np.concatenate([_unit(faces.vectors(numbers, unchanged, name)).mean(axis=0) for name in teachers])


def _turn(vectors: Float32Array, wanted: Float32Array) -> Array:
    """The turn (D, D) that brings vectors (n, D) as near as it can to what is wanted of them (n, D)."""
    left, _, right = np.linalg.svd(wanted.astype(np.float64).T @ vectors)
    return np.asarray(left @ right)


@dataclass(frozen=True, kw_only=True, eq=False)
class DistillationBatches:
    """Batches of faces with what is wanted of them; batch number i is the same whenever it is asked for.

    faces    what is learnt from
    targets  what is wanted
    batch    faces in a batch
    size     rows and columns of the student's pictures
    inner    rows and columns of the middle of a crop that a net sees
    how      changes to the crops
    seed     of order and changes
    first    the number of the first batch of these faces: the order begins there
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
        """Pictures (batch, size, size, 3) float32, standardised, and the vectors wanted."""
        place = step - self.first
        numbers = members(place, count=len(self.faces), batch=self.batch, seed=self.seed)
        pictures = np.empty((self.batch, self.size, self.size, 3), np.uint8)
        mirrored = np.zeros(self.batch, bool)
        for row, number in enumerate(numbers):
            random = np.random.default_rng([self.seed, step, row])
            crop = self.faces.crop(int(number))
            pictures[row], mirrored[row] = augment(crop, self.how, random, inner=self.inner, size=self.size)
        own, relations = self.targets.of(self.faces, numbers, mirrored)
        return standardised(pictures), {"vectors": own, "relations": relations}


def standardised(pictures: Array) -> Float32Array:
    """(x - 127.5) / 128 of uint8 pictures, as the student's manifest says it."""
    return (pictures.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)


def held_out_pictures(faces: Faces, *, inner: int, size: int) -> Float32Array:
    """The middles of all crops (n, size, size, 3) float32, standardised, unchanged otherwise."""
    random = np.random.default_rng(0)
    crops = [augment(faces.crop(i), NO_AUGMENTATION, random, inner=inner, size=size)[0] for i in range(len(faces))]
    return standardised(np.stack(crops))


def agreement(student: Float32Array, wanted: Float32Array) -> dict[str, float]:
    """How well a student's vectors (n, D) agree with the teacher's (n, D), of the same faces.

    cosine     the mean cosine between a face's two vectors
    relations  the root of the mean squared difference of the cosines between faces
    ranks      Spearman's correlation of the cosines between faces
    matches    of the pairs that the teacher takes for one person (squared distance below 1), how surely the student
               sees them closer than others: the area under the ROC curve; absent where there are none
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
    """The loss of a batch, from the vectors wanted and the embeddings."""

    def __init__(self, relations: float) -> None:
        self.relations = relations

    def __call__(self, wanted: Mapping[str, Any], embeddings: Any) -> Any:
        return distillation_loss(wanted["vectors"], embeddings, relations=wanted["relations"], weight=self.relations)

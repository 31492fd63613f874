"""A student learns the vectors of a teacher from faces without names (Hinton et al. 2015; Park et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from faceall.convert import Projection, fit_projection
from faceall.errors import TrainError
from faceall.train.augmentation import NO_AUGMENTATION, Augmentation, augment
from faceall.train.loader import members
from faceall.train.losses import distillation_loss
from faceall.train.shards import Faces
from faceall.types import Array, Float32Array

FITTED = 20_000
"""How many faces the projection of the teacher's vectors is fitted on at most."""


@dataclass(frozen=True, eq=False)
class Targets:
    """What the student is to make of a face.

    teacher     the teacher whose vectors it learns, and
    projection  the directions of them that it keeps; None for all
    second      another teacher, whose cosines count as much as the first's between faces; None for none
    """

    teacher: str
    projection: Projection | None = None
    second: str | None = None

    def of(self, faces: Faces, numbers: Array, mirrored: Array) -> tuple[Float32Array, Float32Array]:
        """The vectors to learn (n, D), and those whose cosines are to learn (n, E), all of unit length.

        The cosine of two rows of the second is the mean of the cosines that the teachers see.
        """
        vectors = faces.vectors(numbers, mirrored, self.teacher)
        wanted = self.projection.apply(vectors) if self.projection else vectors
        if self.second is None:
            return wanted, wanted
        other = faces.vectors(numbers, mirrored, self.second)
        other /= np.linalg.norm(other, axis=1, keepdims=True)
        return wanted, np.concatenate([wanted, other], axis=1) * np.float32(np.sqrt(0.5))


def fit_targets(faces: Faces, teacher: str, size: int, *, second: str | None = None) -> Targets:
    """Targets of `size` numbers: the first principal directions of the teacher's vectors, of `faces`.

    The directions are turned among themselves, which changes no cosine, so that all numbers vary about as much: the
    student's last normalisation makes them so, and could not follow a teacher whose first number varies most.

    Raises TrainError where the teacher's vectors are shorter.
    """
    numbers = np.linspace(0, len(faces) - 1, min(len(faces), FITTED)).astype(int)
    vectors = faces.vectors(numbers, np.zeros(len(numbers), bool), teacher)
    if vectors.shape[1] < size:
        raise TrainError(f"the teacher '{teacher}' makes {vectors.shape[1]} numbers, fewer than the student's {size}")
    if vectors.shape[1] == size:
        return Targets(teacher, None, second)
    fitted = fit_projection(vectors, size)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    return Targets(teacher, replace(fitted, matrix=turn @ fitted.matrix), second)


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

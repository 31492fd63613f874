"""What a net is to learn, as Keras layers that turn (what is wanted, embeddings) into a number to make small.

All run on any backend of Keras. Keras is imported inside the functions that make the layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeAlias, get_args

from faceall.errors import TrainError
from faceall.train.backend import import_keras

Tensor: TypeAlias = Any
Objective: TypeAlias = Callable[[Any, Tensor], Tensor]
LossName = Literal["softmax", "center", "arcface", "triplet", "semi-hard"]

RELATIONS = 4.0
"""How much the cosines between the faces of a batch count beside each face's own target."""


def make_loss(
    name: LossName,
    *,
    classes: int,
    size: int,
    margin: float | None = None,
    scale: float = 64.0,
    center_factor: float = 1e-2,
    center_rate: float = 0.05,
) -> Objective:
    """The loss called `name`; it takes labels (N,) int and embeddings (N, D) of unit length.

    "triplet" takes the triplets that `classification.choose_triplets` chose in place of the labels.

    classes        how many people there are
    size           D
    margin         of "arcface" in radians, default 0.5; of "triplet" and "semi-hard" in squared distance, default 0.2
    scale          what cosines are multiplied with, of "softmax", "center" and "arcface"
    center_factor  how much the distance to the centres counts beside the softmax
    center_rate    the share of the way that a centre goes towards its faces in a step (facenet's 1 - alfa)

    Raises TrainError for an unknown name or values that make no loss.
    """
    if name not in get_args(LossName):
        raise TrainError(f"unknown loss '{name}'; known: {', '.join(get_args(LossName))}")
    if name in ("triplet", "semi-hard"):
        return _layers()["Triplet"](0.2 if margin is None else margin, chosen=name == "triplet")  # type: ignore[no-any-return]
    if classes < 2:
        raise TrainError(f"there are {classes} people, '{name}' needs at least two to tell apart")
    if name == "arcface":
        return _layers()["ArcFace"](classes, size, 0.5 if margin is None else margin, scale)  # type: ignore[no-any-return]
    if name == "center":
        return _layers()["Center"](classes, size, scale, center_factor, center_rate)  # type: ignore[no-any-return]
    return _layers()["Softmax"](classes, size, scale)  # type: ignore[no-any-return]


def distillation_loss(
    targets: Tensor, embeddings: Tensor, *, relations: Tensor | None = None, weight: float = RELATIONS
) -> Tensor:
    """How far a student is from its teacher: the mean of 1 - cosine, and the squared differences of all cosines.

    targets     (N, D) the teacher's vectors, of unit length
    embeddings  (N, D) the student's vectors, of unit length
    relations   (N, E) vectors whose cosines are wanted; `targets` where absent
    weight      of the second part (relational distillation, after Park et al. 2019)
    returns     a number
    """
    ops = import_keras().ops
    embeddings = ops.cast(embeddings, "float32")
    targets = ops.convert_to_tensor(targets)
    own = ops.mean(1.0 - ops.sum(targets * embeddings, axis=-1))
    return own + weight * relation_loss(targets if relations is None else relations, embeddings)


def relation_loss(targets: Tensor, embeddings: Tensor) -> Tensor:
    """The mean squared difference of the cosines between the faces of a batch; the two sizes may differ.

    targets     (N, D) vectors of unit length
    embeddings  (N, E) vectors of unit length
    """
    ops = import_keras().ops
    targets = ops.convert_to_tensor(targets)
    wanted = ops.matmul(targets, ops.transpose(targets))
    return ops.mean(ops.square(ops.matmul(embeddings, ops.transpose(embeddings)) - wanted))


def arcface_logits(cosines: Tensor, labels: Tensor, *, margin: float, scale: float) -> Tensor:
    """ArcFace's logits: the angle to the own class is made larger by `margin` (Deng et al. 2019).

    cosines  (N, classes) of the embeddings to the classes' directions
    labels   (N,) int
    returns  (N, classes)

    Past pi - margin the angle would turn back; there the cosine falls on in a straight line instead.
    """
    ops = import_keras().ops
    cosines = ops.clip(cosines, -1.0 + 1e-6, 1.0 - 1e-6)
    sines = ops.sqrt(1.0 - ops.square(cosines))
    moved = cosines * math.cos(margin) - sines * math.sin(margin)
    moved = ops.where(cosines > math.cos(math.pi - margin), moved, cosines - math.sin(margin) * margin)
    own = ops.one_hot(ops.cast(labels, "int32"), cosines.shape[-1], dtype=cosines.dtype)
    return scale * (own * moved + (1.0 - own) * cosines)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross entropy of logits (N, classes) and labels (N,) int."""
    ops = import_keras().ops
    return ops.mean(ops.sparse_categorical_crossentropy(ops.cast(labels, "int32"), logits, from_logits=True))


def semi_hard_loss(embeddings: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """The mean of |a - p|^2 - |a - n|^2 + margin over the semi-hard triplets of a batch (Schroff et al. 2015).

    embeddings  (N, D) of unit length
    labels      (N,) int
    returns     a number; 0 where there is none whose negative is farther than the positive, by less than the margin
    """
    ops = import_keras().ops
    embeddings = ops.cast(embeddings, "float32")
    distances = 2.0 - 2.0 * ops.matmul(embeddings, ops.transpose(embeddings))
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    same = ops.equal(labels[:, None], labels[None, :])
    gap = distances[:, :, None] - distances[:, None, :]  # anchor, positive, negative
    valid = ops.logical_and(same[:, :, None], ops.logical_not(same)[:, None, :])
    valid = ops.logical_and(valid, ops.logical_and(gap < 0, gap + margin > 0))
    itself = ops.equal(ops.arange(ops.shape(labels)[0])[:, None], ops.arange(ops.shape(labels)[0])[None, :])
    chosen = ops.cast(ops.logical_and(valid, ops.logical_not(itself)[:, :, None]), "float32")
    return ops.sum(chosen * (gap + margin)) / ops.maximum(ops.sum(chosen), 1.0)


def chosen_triplet_loss(embeddings: Tensor, triplets: Tensor, weights: Tensor, *, margin: float) -> Tensor:
    """The mean over triplets of max(0, |a - p|^2 - |a - n|^2 + margin), of those chosen before.

    embeddings  (N, D) of unit length
    triplets    (T, 3) int: rows of anchor, positive and negative
    weights     (T,) float, 0 for rows that do not count
    """
    ops = import_keras().ops
    embeddings = ops.cast(embeddings, "float32")
    triplets, weights = ops.convert_to_tensor(triplets), ops.convert_to_tensor(weights)
    anchor, positive, negative = (ops.take(embeddings, triplets[:, column], axis=0) for column in range(3))
    gap = ops.sum(ops.square(anchor - positive), axis=-1) - ops.sum(ops.square(anchor - negative), axis=-1)
    return ops.sum(weights * ops.maximum(gap + margin, 0.0)) / ops.maximum(ops.sum(weights), 1.0)


@cache
def _layers() -> dict[str, Any]:
    """The losses that learn something themselves, or keep something, as Keras layers."""
    keras = import_keras()
    ops = keras.ops

    class Softmax(keras.layers.Layer):  # type: ignore[name-defined, misc]
        """A direction for each person; the cosines to them, scaled, are the logits."""

        def __init__(self, classes: int, size: int, scale: float) -> None:
            super().__init__(name="softmax_loss", dtype="float32")
            self.scale = scale
            self.directions = self.add_weight(shape=(size, classes), initializer="glorot_uniform", name="directions")
            self.built = True

        def cosines(self, embeddings: Tensor) -> Tensor:
            return ops.matmul(ops.cast(embeddings, "float32"), ops.normalize(self.directions, axis=0))

        def call(self, labels: Tensor, embeddings: Tensor) -> Tensor:
            return cross_entropy(self.scale * self.cosines(embeddings), labels)

    class ArcFace(Softmax):
        """As Softmax, with a margin between the angles."""

        def __init__(self, classes: int, size: int, margin: float, scale: float) -> None:
            super().__init__(classes, size, scale)
            self.margin = margin

        def call(self, labels: Tensor, embeddings: Tensor) -> Tensor:
            logits = arcface_logits(self.cosines(embeddings), labels, margin=self.margin, scale=self.scale)
            return cross_entropy(logits, labels)

    class Center(Softmax):
        """As Softmax, and the squared distance to each person's centre, which follows the faces (Wen et al. 2016)."""

        def __init__(self, classes: int, size: int, scale: float, factor: float, rate: float) -> None:
            super().__init__(classes, size, scale)
            self.factor, self.rate = factor, rate
            self.centers = self.add_weight(shape=(classes, size), initializer="zeros", trainable=False, name="centers")

        def call(self, labels: Tensor, embeddings: Tensor) -> Tensor:
            embeddings = ops.cast(embeddings, "float32")
            own = ops.one_hot(ops.cast(labels, "int32"), self.centers.shape[0], dtype="float32")
            old = ops.matmul(own, self.centers)
            steps = ops.matmul(ops.transpose(own), ops.stop_gradient(old - embeddings))
            self.centers.assign(self.centers - self.rate * steps)
            distance = ops.mean(ops.square(embeddings - ops.stop_gradient(old)))
            return super().call(labels, embeddings) + self.factor * distance

    class Triplet(keras.layers.Layer):  # type: ignore[name-defined, misc]
        """Triplets that were chosen before, or the semi-hard ones of the batch."""

        def __init__(self, margin: float, *, chosen: bool) -> None:
            super().__init__(name="triplet_loss", dtype="float32")
            self.margin, self.chosen = margin, chosen
            self.built = True

        def call(self, wanted: Any, embeddings: Tensor) -> Tensor:
            if self.chosen:
                return chosen_triplet_loss(embeddings, wanted["triplets"], wanted["weights"], margin=self.margin)
            return semi_hard_loss(embeddings, wanted, margin=self.margin)

    return {"Softmax": Softmax, "ArcFace": ArcFace, "Center": Center, "Triplet": Triplet}

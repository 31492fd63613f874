"""Losses as Keras layers: from the targets of a batch and its embeddings to a number to minimise.

All run on any backend of Keras, which is imported by the functions that create the layers.
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
"""Default weight of the cosines between the faces of a batch, relative to each face's own target."""


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
    """Create a loss by name.

    It takes labels (N,) int and unit vectors (N, D). "triplet" takes the triplets of `choose_triplets` in place of the
    labels.

    Parameters
    ----------
    name : {"softmax", "center", "arcface", "triplet", "semi-hard"}
        The loss.
    classes : int
        Number of people.
    size : int
        Number of dimensions D.
    margin : float, optional
        For "arcface" in radians, default 0.5; for "triplet" and "semi-hard" in squared distance, default 0.2.
    scale : float
        Factor of the cosines, for "softmax", "center" and "arcface".
    center_factor : float
        Weight of the distance to the centres, relative to the softmax.
    center_rate : float
        Share of the way that a centre moves towards its faces in a step (facenet's 1 - alfa).

    Returns
    -------
    keras.layers.Layer
        The loss.

    Raises
    ------
    TrainError
        If the name is unknown or there are fewer than two people.
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
    """Compute the distillation loss: the mean of 1 - cosine, and the squared differences of all cosines.

    Parameters
    ----------
    targets : (N, D) float
        The teacher's unit vectors.
    embeddings : (N, D) float
        The student's unit vectors.
    relations : (N, E) float, optional
        Unit vectors whose cosines are the targets of the second part; by default `targets`.
    weight : float
        Weight of the second part.

    Returns
    -------
    scalar tensor
        The loss.

    References
    ----------
    Park et al. 2019, "Relational Knowledge Distillation".
    """
    ops = import_keras().ops
    embeddings = ops.cast(embeddings, "float32")
    targets = ops.convert_to_tensor(targets)
    own = ops.mean(1.0 - ops.sum(targets * embeddings, axis=-1))
    return own + weight * relation_loss(targets if relations is None else relations, embeddings)


def relation_loss(targets: Tensor, embeddings: Tensor) -> Tensor:
    """Compute the mean squared difference of the cosines between the faces of a batch.

    Parameters
    ----------
    targets : (N, D) float
        The teacher's unit vectors.
    embeddings : (N, E) float
        The student's unit vectors; the number of dimensions may differ.

    Returns
    -------
    scalar tensor
        The loss.
    """
    ops = import_keras().ops
    targets = ops.convert_to_tensor(targets)
    wanted = ops.matmul(targets, ops.transpose(targets))
    return ops.mean(ops.square(ops.matmul(embeddings, ops.transpose(embeddings)) - wanted))


def arcface_logits(cosines: Tensor, labels: Tensor, *, margin: float, scale: float) -> Tensor:
    """Compute ArcFace's logits: a margin is added to the angle to the face's own class.

    Beyond pi - margin, where the cosine would rise again, it continues to fall linearly.

    Parameters
    ----------
    cosines : (N, classes) float
        Cosines of the embeddings and the directions of the classes.
    labels : (N,) int
        The classes.
    margin : float
        Margin in radians.
    scale : float
        Factor of the cosines.

    Returns
    -------
    (N, classes) tensor
        The logits.

    References
    ----------
    Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition".
    """
    ops = import_keras().ops
    cosines = ops.clip(cosines, -1.0 + 1e-6, 1.0 - 1e-6)
    sines = ops.sqrt(1.0 - ops.square(cosines))
    moved = cosines * math.cos(margin) - sines * math.sin(margin)
    moved = ops.where(cosines > math.cos(math.pi - margin), moved, cosines - math.sin(margin) * margin)
    own = ops.one_hot(ops.cast(labels, "int32"), cosines.shape[-1], dtype=cosines.dtype)
    return scale * (own * moved + (1.0 - own) * cosines)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean cross entropy of logits (N, classes) and labels (N,) int."""
    ops = import_keras().ops
    return ops.mean(ops.sparse_categorical_crossentropy(ops.cast(labels, "int32"), logits, from_logits=True))


def semi_hard_loss(embeddings: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Compute the triplet loss over the semi-hard triplets of a batch.

    The mean of |a - p|^2 - |a - n|^2 + margin over the triplets whose negative is farther than the positive, by less
    than the margin.

    Parameters
    ----------
    embeddings : (N, D) float
        Unit vectors.
    labels : (N,) int
        The people.
    margin : float
        Margin in squared distance.

    Returns
    -------
    scalar tensor
        The loss; 0 if there is no such triplet.

    References
    ----------
    Schroff, Kalenichenko and Philbin 2015, "FaceNet: A Unified Embedding for Face Recognition and Clustering".
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
    """Compute the mean of max(0, |a - p|^2 - |a - n|^2 + margin) over given triplets.

    Parameters
    ----------
    embeddings : (N, D) float
        Unit vectors.
    triplets : (T, 3) int
        Indices of anchor, positive and negative.
    weights : (T,) float
        0 for rows that do not count.
    margin : float
        Margin in squared distance.

    Returns
    -------
    scalar tensor
        The loss.
    """
    ops = import_keras().ops
    embeddings = ops.cast(embeddings, "float32")
    triplets, weights = ops.convert_to_tensor(triplets), ops.convert_to_tensor(weights)
    anchor, positive, negative = (ops.take(embeddings, triplets[:, column], axis=0) for column in range(3))
    gap = ops.sum(ops.square(anchor - positive), axis=-1) - ops.sum(ops.square(anchor - negative), axis=-1)
    return ops.sum(weights * ops.maximum(gap + margin, 0.0)) / ops.maximum(ops.sum(weights), 1.0)


@cache
def _layers() -> dict[str, Any]:
    """Create the classes of the losses with weights or state of their own, as Keras layers."""
    keras = import_keras()
    softmax = _softmax_layer(keras)
    return {
        "Softmax": softmax,
        "ArcFace": _arcface_layer(softmax),
        "Center": _center_layer(keras.ops, softmax),
        "Triplet": _triplet_layer(keras),
    }


def _softmax_layer(keras: Any) -> Any:
    ops = keras.ops

    class Softmax(keras.layers.Layer):  # type: ignore[misc]
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

    return Softmax


def _arcface_layer(softmax: Any) -> Any:
    class ArcFace(softmax):  # type: ignore[misc]
        """Softmax with a margin between the angles."""

        def __init__(self, classes: int, size: int, margin: float, scale: float) -> None:
            super().__init__(classes, size, scale)
            self.margin = margin

        def call(self, labels: Tensor, embeddings: Tensor) -> Tensor:
            logits = arcface_logits(self.cosines(embeddings), labels, margin=self.margin, scale=self.scale)
            return cross_entropy(logits, labels)

    return ArcFace


def _center_layer(ops: Any, softmax: Any) -> Any:
    class Center(softmax):  # type: ignore[misc]
        """Softmax and the squared distance to each person's centre, which follows its faces (Wen et al. 2016)."""

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

    return Center


def _triplet_layer(keras: Any) -> Any:
    class Triplet(keras.layers.Layer):  # type: ignore[misc]
        """Given triplets, or the semi-hard ones of the batch."""

        def __init__(self, margin: float, *, chosen: bool) -> None:
            super().__init__(name="triplet_loss", dtype="float32")
            self.margin, self.chosen = margin, chosen
            self.built = True

        def call(self, wanted: Any, embeddings: Tensor) -> Tensor:
            if self.chosen:
                return chosen_triplet_loss(embeddings, wanted["triplets"], wanted["weights"], margin=self.margin)
            return semi_hard_loss(embeddings, wanted, margin=self.margin)

    return Triplet

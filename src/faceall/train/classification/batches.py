"""A net learns to tell known people apart: softmax, center loss, ArcFace, or triplets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from faceall.errors import ImageError, TrainError
from faceall.images import read_image, resize
from faceall.train.data.augmentation import NO_AUGMENTATION, Augmentation, augment
from faceall.train.data.people import DatasetRules, People, epoch, people_batch, vgg_triplets
from faceall.train.distillation.targets import standardised
from faceall.types import Array, Float32Array


class Pictures:
    """The pictures of people, brought to one size and kept in memory.

    people  whose pictures
    side    rows and columns of the crops that are kept
    """

    def __init__(self, people: People, side: int, progress: Callable[[], None] = lambda: None) -> None:
        self.labels = people.labels
        self.crops = np.empty((len(people), side, side, 3), np.uint8)
        for number, file in enumerate(people.files):
            try:
                picture = read_image(file)
            except ImageError as error:
                raise TrainError(f"{error}; mend or remove it, and begin again") from error
            self.crops[number] = resize(picture, (side, side))
            progress()


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationBatches:
    """Batches of pictures with the numbers of their people; batch number i is the same whenever it is asked for.

    pictures  what is learnt from
    rules     how much each person counts
    batch     pictures in a batch
    people    how many people are in a batch, for losses that compare its faces; 0 to draw pictures one by one
    size      rows and columns of the net's pictures
    inner     rows and columns of the middle of a crop that the net sees
    how       changes to the crops
    seed      of order and changes
    """

    pictures: Pictures
    rules: DatasetRules
    batch: int
    people: int
    size: int
    inner: int
    how: Augmentation
    seed: int

    def __post_init__(self) -> None:
        if self.people and self.batch % self.people:
            raise TrainError(f"a batch of {self.batch} pictures cannot hold as many of each of {self.people} people")

    def __call__(self, step: int) -> tuple[Float32Array, Array]:
        """Pictures (batch, size, size, 3) float32, standardised, and labels (batch,) int64."""
        numbers = self._numbers(step)
        crops = np.empty((self.batch, self.size, self.size, 3), np.uint8)
        for row, number in enumerate(numbers):
            random = np.random.default_rng([self.seed, step, row])
            crops[row] = augment(self.pictures.crops[number], self.how, random, inner=self.inner, size=self.size)[0]
        return standardised(crops), self.pictures.labels[numbers]

    def _numbers(self, step: int) -> Array:
        labels = self.pictures.labels
        if self.people:
            each = self.batch // self.people
            return people_batch(labels, self.people, each, np.random.default_rng([self.seed, step]))
        length = len(epoch(labels, self.rules, np.random.default_rng(0)))
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        rounds = places // length
        orders = [epoch(labels, self.rules, np.random.default_rng([self.seed, int(one)])) for one in np.unique(rounds)]
        parts = zip(np.unique(rounds), orders, strict=True)
        return np.concatenate([order[places[rounds == one] % length] for one, order in parts])


def choose_triplets(
    embed: Callable[[Array], Array], pictures: Float32Array, labels: Array, *, margin: float, seed: int, step: int
) -> dict[str, npt.NDArray[Any]]:
    """facenet's triplets of a batch: those of the net as it stands that break the margin, each pair once.

    returns  "triplets" (N * N, 3) int32, filled up with zeros, and "weights" (N * N,) float32, 1 for real ones: every
             batch has the same shapes, so that the step is compiled once
    """
    embeddings = embed(pictures)
    distances = np.maximum(2 - 2 * embeddings @ embeddings.T, 0)
    chosen = vgg_triplets(distances, labels, margin, np.random.default_rng([seed, step]))
    triplets = np.zeros((len(labels) ** 2, 3), np.int32)
    weights = np.zeros(len(triplets), np.float32)
    triplets[: len(chosen)], weights[: len(chosen)] = chosen, 1
    return {"triplets": triplets, "weights": weights}


def nearest_accuracy(embeddings: Float32Array, labels: Array) -> float:
    """Of the pictures of people with at least two, the share whose nearest other picture shows the same person.

    embeddings  (n, D) of unit length
    labels      (n,)
    """
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -np.inf)
    several = np.bincount(labels)[labels] > 1
    if not several.any():
        return float("nan")
    return float(np.mean(labels[cosines.argmax(axis=1)][several] == labels[several]))


def measure_people(
    pictures: Pictures, held_out: Pictures, *, inner: int, size: int, most: int = 2000
) -> Callable[..., Mapping[str, float]]:
    """What measures how well pictures are told apart, on at most `most` of each kind, evenly drawn from all.

    nearest   of the pictures that are learnt from, the share whose nearest other one shows the same person
    held_out  of those held out, the share whose nearest one of these shows the same person; absent where there is none
    """
    faces, labels = _unchanged(pictures, inner, size, most)
    new, new_labels = _unchanged(held_out, inner, size, most)

    def measure(embed: Callable[[Array], Array]) -> Mapping[str, float]:
        known = np.asarray(embed(faces), np.float32)
        found = {"nearest": nearest_accuracy(known, labels)}
        if len(new):
            nearest = (np.asarray(embed(new), np.float32) @ known.T).argmax(axis=1)
            found["held_out"] = float(np.mean(labels[nearest] == new_labels))
        return found

    return measure


def _unchanged(pictures: Pictures, inner: int, size: int, most: int) -> tuple[Float32Array, Array]:
    """At most `most` of the pictures as the net sees them when in use (n, size, size, 3), and their labels (n,)."""
    numbers = np.linspace(0, len(pictures.labels) - 1, min(most, len(pictures.labels))).astype(int)
    random = np.random.default_rng(0)
    crops = np.empty((len(numbers), size, size, 3), np.uint8)
    for row, number in enumerate(numbers):
        crops[row] = augment(pictures.crops[number], NO_AUGMENTATION, random, inner=inner, size=size)[0]
    return standardised(crops), pictures.labels[numbers]

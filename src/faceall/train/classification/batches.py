"""Batches, triplets and measures of a classification training."""

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


class LabelledImages:
    """Images of people, resized and kept in memory.

    Parameters
    ----------
    people : People
        The images and their people.
    side : int
        Side in pixels of the crops in memory.
    progress : callable
        Called after each image.

    Raises
    ------
    TrainError
        If an image cannot be read.
    """

    def __init__(self, people: People, side: int, progress: Callable[[], None] = lambda: None) -> None:
        self.labels = people.labels
        self.crops = np.empty((len(people), side, side, 3), np.uint8)
        for number, file in enumerate(people.files):
            try:
                image = read_image(file)
            except ImageError as error:
                raise TrainError(f"{error}; fix or remove it and start again") from error
            self.crops[number] = resize(image, (side, side))
            progress()


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationBatches:
    """Batches of images with the numbers of their people; a batch depends only on its number.

    Attributes
    ----------
    images : LabelledImages
        The training set.
    rules : DatasetRules
        How often each person is used.
    batch : int
        Images per batch.
    people : int
        People per batch, for losses that compare its faces; 0 to draw images one by one.
    size : int
        Side in pixels of the net's images.
    inner : int
        Side in pixels of the middle of a crop that the net sees.
    how : Augmentation
        Changes to the crops.
    seed : int
        Determines order and changes.

    Raises
    ------
    TrainError
        If `batch` is not a multiple of `people`.
    """

    images: LabelledImages
    rules: DatasetRules
    batch: int
    people: int
    size: int
    inner: int
    how: Augmentation
    seed: int

    def __post_init__(self) -> None:
        if self.people and self.batch % self.people:
            raise TrainError(f"a batch of {self.batch} images cannot have equally many of {self.people} people")

    def __call__(self, step: int) -> tuple[Float32Array, Array]:
        """Create a batch.

        Parameters
        ----------
        step : int
            Number of the batch.

        Returns
        -------
        (batch, size, size, 3) float32
            Standardised images.
        (batch,) int64
            The people.
        """
        numbers = self._numbers(step)
        crops = np.empty((self.batch, self.size, self.size, 3), np.uint8)
        for row, number in enumerate(numbers):
            random = np.random.default_rng([self.seed, step, row])
            crops[row] = augment(self.images.crops[number], self.how, random, inner=self.inner, size=self.size)[0]
        return standardised(crops), self.images.labels[numbers]

    def _numbers(self, step: int) -> Array:
        """Return the indices of the images of a batch."""
        labels = self.images.labels
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
    embed: Callable[[Array], Array], images: Float32Array, labels: Array, *, margin: float, seed: int, step: int
) -> dict[str, npt.NDArray[Any]]:
    """Choose the triplets of a batch with the current net, as facenet does.

    Parameters
    ----------
    embed : callable
        The net: standardised images to unit vectors.
    images : (N, H, W, 3) float32
        Standardised images.
    labels : (N,) int
        The people.
    margin : float
        Margin in squared distance.
    seed, step : int
        Determine the random choice.

    Returns
    -------
    dict of str to array
        "triplets" (N * N, 3) int32, padded with zeros, and "weights" (N * N,) float32, 1 for real ones. Every batch has
        the same shapes, so that the step is compiled once.
    """
    embeddings = embed(images)
    distances = np.maximum(2 - 2 * embeddings @ embeddings.T, 0)
    chosen = vgg_triplets(distances, labels, margin, np.random.default_rng([seed, step]))
    triplets = np.zeros((len(labels) ** 2, 3), np.int32)
    weights = np.zeros(len(triplets), np.float32)
    triplets[: len(chosen)], weights[: len(chosen)] = chosen, 1
    return {"triplets": triplets, "weights": weights}


def nearest_accuracy(embeddings: Float32Array, labels: Array) -> float:
    """Compute the share of images whose nearest other image shows the same person.

    Parameters
    ----------
    embeddings : (n, D) float32
        Unit vectors.
    labels : (n,) int
        The people.

    Returns
    -------
    float
        Over the images of people with at least two; NaN if there are none.
    """
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -np.inf)
    several = np.bincount(labels)[labels] > 1
    if not several.any():
        return float("nan")
    return float(np.mean(labels[cosines.argmax(axis=1)][several] == labels[several]))


def measure_people(
    images: LabelledImages, held_out: LabelledImages, *, inner: int, size: int, most: int = 2000
) -> Callable[..., Mapping[str, float]]:
    """Create a function that measures how well a net distinguishes people.

    It returns "nearest", the share of training images whose nearest other one shows the same person, and, if there are
    held-out images, "held_out", the share of those whose nearest training image shows the same person.

    Parameters
    ----------
    images, held_out : LabelledImages
        Training and held-out set.
    inner, size : int
        Side in pixels of the middle of a crop, and of the net's images.
    most : int
        Largest number of images of each set, evenly spaced.

    Returns
    -------
    callable
        From an embedding function to figures by name.
    """
    faces, labels = _unchanged(images, inner, size, most)
    new, new_labels = _unchanged(held_out, inner, size, most)

    def measure(embed: Callable[[Array], Array]) -> Mapping[str, float]:
        known = np.asarray(embed(faces), np.float32)
        found = {"nearest": nearest_accuracy(known, labels)}
        if len(new):
            nearest = (np.asarray(embed(new), np.float32) @ known.T).argmax(axis=1)
            found["held_out"] = float(np.mean(labels[nearest] == new_labels))
        return found

    return measure


def _unchanged(images: LabelledImages, inner: int, size: int, most: int) -> tuple[Float32Array, Array]:
    """Return at most `most` images without random changes (n, size, size, 3), and their labels (n,)."""
    numbers = np.linspace(0, len(images.labels) - 1, min(most, len(images.labels))).astype(int)
    random = np.random.default_rng(0)
    crops = np.empty((len(numbers), size, size, 3), np.uint8)
    for row, number in enumerate(numbers):
        crops[row] = augment(images.crops[number], NO_AUGMENTATION, random, inner=inner, size=size)[0]
    return standardised(crops), images.labels[numbers]

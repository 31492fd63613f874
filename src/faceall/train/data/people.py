"""Images of known people, and how often a training uses each. Pure arithmetic except for listing a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from faceall.arguments import checked
from faceall.errors import TrainError
from faceall.images import find_images
from faceall.train.align.options import OPTIONS, AlignOptions, read_options
from faceall.types import Array

FEWEST_LEARNT = 2
"""Smallest number of images of a person that stay in the training set, if there are as many."""

Balance = Literal["none", "people", "repeat"]


@dataclass(frozen=True, kw_only=True)
class DatasetRules:
    """Which people are used, and how often.

    Attributes
    ----------
    minimum : int
        People with fewer images are left out.
    maximum : int or None
        Of people with more images, this many are drawn at random.
    balance : {"none", "people", "repeat"}
        "none": every image once per epoch; "people": every person as often as the one with the most images; "repeat":
        images of people with few images several times, according to `repeats`.
    repeats : tuple of (int, int)
        Rows (images, times) in rising order: a person with at most this many images has each image repeated this
        often; the first row that fits applies. The default, with a minimum of 31 and a maximum of 350, is the one of
        MobileFaceNet-Keras.

    Raises
    ------
    TrainError
        If the values contradict each other.
    """

    minimum: int = 1
    maximum: int | None = None
    balance: Balance = "none"
    repeats: tuple[tuple[int, int], ...] = ((90, 4), (200, 2))

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise TrainError(f"the smallest number of images of a person is {self.minimum}, expected at least 1")
        if self.maximum is not None and self.maximum < self.minimum:
            raise TrainError(f"at most {self.maximum} images of a person contradict at least {self.minimum}")
        limits = [limit for limit, _ in self.repeats]
        if limits != sorted(set(limits)) or any(times < 1 for _, times in self.repeats):
            raise TrainError(
                "repeats must be rows (images, times) with rising numbers of images and at least one repetition"
            )

    def times(self, images: int) -> int:
        """Return how often each image of a person with this many images is used with "repeat"."""
        return next((times for limit, times in self.repeats if images <= limit), 1)


@dataclass(frozen=True)
class People:
    """Images with the people they show.

    Attributes
    ----------
    names : tuple of str
        Names of the people, sorted.
    files : tuple of Path
        The images.
    labels : (n,) int64
        For each image, the number of its person.
    """

    names: tuple[str, ...]
    files: tuple[Path, ...]
    labels: Array

    def __len__(self) -> int:
        return len(self.files)

    def some(self, chosen: Array) -> People:
        """Return the images that are `chosen` (n,) bool; the numbers of the people stay."""
        numbers = np.flatnonzero(chosen)
        return People(self.names, tuple(self.files[number] for number in numbers), self.labels[numbers])

    def to_json(self) -> dict[str, Any]:
        """Describe the data for run.json."""
        listed = [[f"{file.parent.name}/{file.name}", file.stat().st_size] for file in self.files]
        digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        return {"people": len(self.names), "images": len(self.files), "sha256": digest}


def find_people(folder: Path, rules: DatasetRules, *, seed: int) -> People:
    """List the images in FOLDER/NAME/ according to the rules.

    Parameters
    ----------
    folder : Path
        Contains a folder of images per person.
    rules : DatasetRules
        Which people and how many images are used.
    seed : int
        Determines which images are drawn.

    Returns
    -------
    People
        The images, sorted by person and file.

    Raises
    ------
    TrainError
        If fewer than two people are left.
    """
    if not folder.is_dir():
        raise TrainError(f"{folder}: is not a folder; expected one with a folder of images per person")
    names: list[str] = []
    files: list[Path] = []
    labels: list[int] = []
    few = 0
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        images = find_images(place)
        if len(images) < rules.minimum:
            few += 1
            continue
        if rules.maximum is not None and len(images) > rules.maximum:
            random = np.random.default_rng([seed, *place.name.encode()])
            chosen = np.sort(random.choice(len(images), rules.maximum, replace=False))
            images = [images[number] for number in chosen]
        files += images
        labels += [len(names)] * len(images)
        names.append(place.name)
    if len(names) < 2:
        left_out = f" ({few} have fewer than {rules.minimum} images)" if few else ""
        raise TrainError(
            f"{folder}: contains images of {len(names)} people{left_out}; expected at least two, one folder each"
        )
    return People(tuple(names), tuple(files), np.asarray(labels, np.int64))


@checked
def crop_sizes(folder: Path) -> tuple[int, int]:
    """Return the sizes of the crops in a folder.

    Without align.json the defaults of `faceall align` are assumed.

    Parameters
    ----------
    folder : Path
        The folder of crops.

    Returns
    -------
    int
        Side in pixels of the part that the model sees.
    int
        Side in pixels of the whole crops.

    Raises
    ------
    AlignError
        If align.json is damaged.
    """
    options = read_options(folder) if (folder / OPTIONS).exists() else AlignOptions()
    return options.size, options.side


def hold_out(people: People, share: float, *, seed: int) -> tuple[People, People]:
    """Split the images into a training and a held-out set.

    At least two images of each person stay in the training set. The choice depends only on the names of person and
    image and on the seed.

    Parameters
    ----------
    people : People
        The images.
    share : float
        Share of all images to hold out.
    seed : int
        Determines the choice.

    Returns
    -------
    People
        The training set.
    People
        The held-out set.
    """
    keys = [
        hashlib.sha256(f"{seed}/{file.parent.name}/{file.name}".encode("utf-8", "surrogateescape")).digest()
        for file in people.files
    ]
    left = np.bincount(people.labels, minlength=len(people.names))
    held = np.zeros(len(people), bool)
    for number in sorted(range(len(people)), key=keys.__getitem__):
        if held.sum() >= round(share * len(people)):
            break
        if left[people.labels[number]] > FEWEST_LEARNT:
            held[number] = True
            left[people.labels[number]] -= 1
    return people.some(~held), people.some(held)


def epoch(labels: Array, rules: DatasetRules, random: np.random.Generator) -> Array:
    """Draw the order of the images of one epoch.

    Parameters
    ----------
    labels : (n,) int64
        The person of each image.
    rules : DatasetRules
        How often each image is used.
    random : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    (m,) int64
        Indices of the images.
    """
    counts = np.bincount(labels)
    if rules.balance == "repeat":
        times = np.array([rules.times(int(count)) for count in counts])
        return random.permutation(np.repeat(np.arange(len(labels)), times[labels]))
    if rules.balance == "people":
        most = int(counts.max())
        parts = [_fill(np.flatnonzero(labels == person), most, random) for person in np.flatnonzero(counts)]
        return random.permutation(np.concatenate(parts))
    return random.permutation(len(labels))


def people_batch(labels: Array, people: int, images: int, random: np.random.Generator) -> Array:
    """Draw people, and images of each, for losses that compare the faces of a batch.

    People with a single image are drawn last, because they form no pair.

    Parameters
    ----------
    labels : (n,) int64
        The person of each image.
    people : int
        Number of people.
    images : int
        Number of images per person; repeated if a person has fewer.
    random : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    (people * images,) int64
        Indices of the images.

    Raises
    ------
    TrainError
        If there are too few people.
    """
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    if len(present) < people:
        raise TrainError(f"a batch needs {people} people, there are {len(present)}")
    shuffled = random.permutation(present)
    drawn = shuffled[np.argsort(counts[shuffled] < 2, kind="stable")][:people]
    return np.concatenate([_fill(np.flatnonzero(labels == person), images, random) for person in drawn])


def _fill(places: Array, count: int, random: np.random.Generator) -> Array:
    """Draw `count` places in random order, using all before one is repeated."""
    rounds = -(-count // len(places))
    return np.concatenate([random.permutation(places) for _ in range(rounds)])[:count]


def vgg_triplets(distances: Array, labels: Sequence[int] | Array, margin: float, random: np.random.Generator) -> Array:
    """Choose triplets as facenet does: for each pair of one person, a random negative within the margin.

    Parameters
    ----------
    distances : (N, N) float
        Squared distances of the embeddings.
    labels : (N,) int
        The person of each.
    margin : float
        A negative qualifies if its squared distance to the anchor exceeds that of the positive by less than this.
    random : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    (T, 3) int64
        Indices of anchor, positive and negative.

    References
    ----------
    Parkhi, Vedaldi and Zisserman 2015, "Deep Face Recognition".
    """
    labels = np.asarray(labels)
    chosen = []
    for anchor in range(len(labels)):
        for positive in np.flatnonzero(labels == labels[anchor]):
            if positive <= anchor:
                continue
            breaking = (distances[anchor] - distances[anchor, positive] < margin) & (labels != labels[anchor])
            candidates = np.flatnonzero(breaking)
            if len(candidates):
                chosen.append((anchor, positive, random.choice(candidates)))
    return np.asarray(chosen, np.int64).reshape(-1, 3)

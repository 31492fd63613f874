"""Pictures of known people, and which of them a training sees how often. Pure arithmetic but for listing a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from faceall.errors import TrainError
from faceall.images import find_images
from faceall.train.align.options import OPTIONS, AlignOptions, read_options
from faceall.types import Array

FEWEST_LEARNT = 2
"""Pictures of a person that are learnt from at least, where there are so many."""

Balance = Literal["none", "people", "repeat"]


@dataclass(frozen=True, kw_only=True)
class DatasetRules:
    """Which people count, and how much.

    minimum   who has fewer pictures is left out
    maximum   of who has more, so many are drawn; None for no limit
    balance   "none", every picture once an epoch; "people", every person as often as the one with most pictures;
              "repeat", the pictures of people with few of them several times, as `repeats` says
    repeats   (pictures, times): people with at most so many pictures have each of them so many times; the first row
              that fits counts. With a minimum of 31 and a maximum of 350 the default is what MobileFaceNet-Keras lists

    Raises TrainError where these contradict each other.
    """

    minimum: int = 1
    maximum: int | None = None
    balance: Balance = "none"
    repeats: tuple[tuple[int, int], ...] = ((90, 4), (200, 2))

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise TrainError(f"the smallest number of pictures of a person is {self.minimum}, expected at least 1")
        if self.maximum is not None and self.maximum < self.minimum:
            raise TrainError(f"at most {self.maximum} pictures of a person contradict at least {self.minimum}")
        limits = [limit for limit, _ in self.repeats]
        if limits != sorted(set(limits)) or any(times < 1 for _, times in self.repeats):
            raise TrainError("repeats are rows of rising numbers of pictures, each with how many times they count")

    def times(self, pictures: int) -> int:
        """How often each picture of a person with so many counts under "repeat"."""
        return next((times for limit, times in self.repeats if pictures <= limit), 1)


@dataclass(frozen=True)
class People:
    """Pictures with the people in them.

    names   of the people, sorted
    files   the pictures
    labels  (n,) int64, for each picture the number of its person
    """

    names: tuple[str, ...]
    files: tuple[Path, ...]
    labels: Array

    def __len__(self) -> int:
        return len(self.files)

    def some(self, chosen: Array) -> People:
        """The pictures that are `chosen` (n,) bool; the numbers of the people stay."""
        numbers = np.flatnonzero(chosen)
        return People(self.names, tuple(self.files[number] for number in numbers), self.labels[numbers])

    def to_json(self) -> dict[str, Any]:
        """What the run folder says of the data."""
        listed = [[f"{file.parent.name}/{file.name}", file.stat().st_size] for file in self.files]
        digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        return {"people": len(self.names), "pictures": len(self.files), "sha256": digest}


def find_people(folder: Path, rules: DatasetRules, *, seed: int) -> People:
    """The pictures in FOLDER/NAME/, after the rules on how many each has.

    Raises TrainError where fewer than two people are left.
    """
    if not folder.is_dir():
        raise TrainError(f"{folder}: is no folder; expected one with a folder of pictures for each person")
    names: list[str] = []
    files: list[Path] = []
    labels: list[int] = []
    few = 0
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        pictures = find_images(place)
        if len(pictures) < rules.minimum:
            few += 1
            continue
        if rules.maximum is not None and len(pictures) > rules.maximum:
            random = np.random.default_rng([seed, *place.name.encode()])
            chosen = np.sort(random.choice(len(pictures), rules.maximum, replace=False))
            pictures = [pictures[number] for number in chosen]
        files += pictures
        labels += [len(names)] * len(pictures)
        names.append(place.name)
    if len(names) < 2:
        left_out = f" ({few} have fewer than {rules.minimum} pictures)" if few else ""
        raise TrainError(
            f"{folder}: holds pictures of {len(names)} people{left_out}; expected at least two, a folder each"
        )
    return People(tuple(names), tuple(files), np.asarray(labels, np.int64))


def crop_sizes(folder: Path) -> tuple[int, int]:
    """Rows and columns of the face in the crops in a folder, and of the whole crops.

    As its align.json says, or as `faceall align` makes them by default where there is none. Raises AlignError.
    """
    options = read_options(folder) if (folder / OPTIONS).exists() else AlignOptions()
    return options.size, options.side


def hold_out(people: People, share: float, *, seed: int) -> tuple[People, People]:
    """The pictures to learn from, and those held out: a share of all, but two of each person are always learnt from.

    Which they are hangs on the names of person and picture and on the seed alone; the numbers of the people stay.
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
    """The numbers of the pictures of one epoch, in a random order, each as often as the rules say.

    labels   (n,) the person of each picture
    returns  (m,) int64
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


def people_batch(labels: Array, people: int, pictures: int, random: np.random.Generator) -> Array:
    """`people` people at random, and `pictures` pictures of each, for losses that compare faces in a batch.

    labels   (n,) the person of each picture
    returns  (people * pictures,) int64; a person with fewer pictures has some of them twice

    People with a single picture are drawn last of all, as they give no pair. Raises TrainError for too few people.
    """
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    if len(present) < people:
        raise TrainError(f"a batch is to hold {people} people, there are {len(present)}")
    shuffled = random.permutation(present)
    drawn = shuffled[np.argsort(counts[shuffled] < 2, kind="stable")][:people]
    return np.concatenate([_fill(np.flatnonzero(labels == person), pictures, random) for person in drawn])


def _fill(places: Array, count: int, random: np.random.Generator) -> Array:
    """`count` of the places in a random order, all of them before one comes again."""
    rounds = -(-count // len(places))
    return np.concatenate([random.permutation(places) for _ in range(rounds)])[:count]


def vgg_triplets(distances: Array, labels: Sequence[int] | Array, margin: float, random: np.random.Generator) -> Array:
    """facenet's choice of triplets, after the VGG face paper: for each pair of one person, one that breaks the margin.

    distances  (N, N) squared distances of the embeddings
    labels     (N,) the person of each
    returns    (T, 3) int64: anchor, positive, negative; one at random of those with |a - n|^2 - |a - p|^2 < margin
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

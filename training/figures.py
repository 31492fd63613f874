"""How well vectors separate held-out people."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


def validation_rate(vectors: Vectors, people: npt.NDArray, false_accepts: float = 1e-3) -> float:
    """Return the share of pairs of one person above the cosine that a share of the pairs of two people exceeds."""
    first, second = np.triu_indices(len(vectors), 1)
    cosines, same = (vectors @ vectors.T)[first, second], people[first] == people[second]
    return float((cosines[same] > np.quantile(cosines[~same], 1 - false_accepts)).mean())


def missed_in_search(vectors: Vectors, people: npt.NDArray, known: int, false_positives: float = 0.01) -> float:
    """Return the share of searches for known people that are missed or wrong (FNIR).

    The first photo of each of the first `known` people is enrolled, their others are searched; the photos of all others
    set the threshold at which a share of strangers would be named.
    """
    names = list(dict.fromkeys(people.tolist()))
    rows = {name: np.flatnonzero(people == name) for name in names}
    enrolled = np.array([rows[name][0] for name in names[:known]])
    searched = np.concatenate([rows[name][1:] for name in names[:known]])
    strangers = np.concatenate([rows[name] for name in names[known:]])
    threshold = np.quantile((vectors[strangers] @ vectors[enrolled].T).max(axis=1), 1 - false_positives)
    cosines = vectors[searched] @ vectors[enrolled].T
    right = people[enrolled][cosines.argmax(axis=1)] == people[searched]
    return float(1 - (right & (cosines.max(axis=1) > threshold)).mean())


def measure(vectors: Vectors, sets: npt.NDArray, people: npt.NDArray) -> dict[str, float]:
    """Return the figures of the learning curve: held-out people of CelebA's test part, and of pins.

    Seven in ten of CelebA's people are enrolled, the others are strangers; the mean of 20 random choices.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    celeba, pins = sets == "celeba_test", sets == "pins"
    names = np.unique(people[celeba])
    missed = []
    for seed in range(20):
        order = np.argsort(np.random.default_rng(seed).permutation(len(names)))
        rows = np.argsort(order[np.searchsorted(names, people[celeba])], kind="stable")
        missed.append(missed_in_search(unit[celeba][rows], people[celeba][rows], known=round(0.7 * len(names))))
    figures = {
        "validation_rate": validation_rate(unit[celeba], people[celeba]),
        "missed": float(np.mean(missed)),
        "validation_rate_pins": validation_rate(unit[pins], people[pins]),
    }
    return {name: round(value, 4) for name, value in figures.items()}

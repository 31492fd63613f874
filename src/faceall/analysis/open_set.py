"""Open-set identification: the score distribution of strangers, and thresholds for a false-positive rate.

A search compares a face with every face of the gallery and returns the nearest. The similarity of a stranger to the
nearest of N faces is a maximum of N values. The upper tail of the cosine similarities of two people is somewhat heavier
than that of a normal distribution: its quantiles are `mean + deviation * (x + bend * x**2)` at the quantile x > 0 of a
standard normal one, so

    P(similarity to the nearest of N faces <= mean + deviation * (x + bend * x**2)) = Phi(x) ** N

Three numbers therefore give the false-positive identification rate (FPIR) of every threshold and every size of the
gallery. `bend` is a property of the model, measured on many people (`fit_model`). `mean` and `deviation` also depend on
the photos: they are fitted to the results of leave-one-person-out searches, in which every person of the gallery is a
stranger to the others. The faces of one person are similar, so they count less than as many people (`comparisons`).

The estimate of a threshold errs in both directions, and an FPIR of three times the target is worse than one of a third
of it. Searches therefore use the threshold that keeps to the target with a confidence of 80 %
(`StrangerScores.cautious_threshold`).

References
----------
ISO/IEC 19795-1:2021, Biometric performance testing and reporting (FPIR, FNIR, FMR).
G. Blom: Statistical Estimates and Transformed Beta-Variables. Wiley (1958), for the probability plot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.models import Manifest, known_scores
from faceall.types import Array, Float32Array, Int64Array

Decision: TypeAlias = Literal["match", "possible", "unknown"]
"""match: within the target FPIR; possible: within ten times that rate, or ambiguous; unknown: neither."""

FPIR = 0.01
"""Default false-positive identification rate: one wrong name in a hundred searches of strangers."""

POSSIBLE_FACTOR = 10
"""A possible match lies within the threshold of this multiple of the target FPIR."""

PAIR_RATE = 1e-3
"""False match rate per comparison of a pair threshold that follows from the scores of a model."""

PRIOR_PEOPLE = 100
"""Weight of the model's distribution, as a number of people, when that of a gallery is estimated."""

BEND = 0.06
"""Bend of the tail where that of the model is not known: the mean of two embedders on 300 people of CelebA."""

REPEATED = 0.45
"""n faces of one person offer a stranger n to this power comparisons, measured on 195 people of CelebA."""

CONFIDENCE = 0.8
"""Probability that a cautious threshold is not beyond the true one; chosen on people of CelebA."""

FEWEST = 3
"""Number of people from which a gallery's own scores are used."""

_ROUNDS = 200
_MAX_RATE = 0.5
_FEWEST_IN_TAIL = 8  # smallest number of values to fit; of more than twice as many, the upper half
_FEWEST_PAIRS = 2000
_TAIL_PAIRS = 20  # the quantiles of a model reach as far as this many pairs
_NORMAL = NormalDist()
_SPREAD, _REACH = (
    0.6,
    1.5,
)  # standard error of an estimated quantile: by simulation, within 10 % for FPIRs of 0.1 to 0.001


@dataclass(frozen=True)
class StrangerScores:
    """The distribution of the cosine similarity of a stranger to one person of a gallery, in its upper tail.

    Attributes
    ----------
    mean, deviation : float
        Parameters of the normal distribution.
    people : int
        Number of people it was estimated on; 0 if it was derived from the model.
    bend : float
        Curvature of the tail; 0 for a normal distribution.
    support : float
        How many people the estimate is worth, those of the model included.
    """

    mean: float
    deviation: float
    people: int = 0
    bend: float = 0.0
    support: float = PRIOR_PEOPLE

    def threshold(self, fpir: float, compared: float) -> float:
        """Return the squared L2 distance up to which strangers get a name with probability `fpir`.

        Parameters
        ----------
        fpir : float
            False-positive identification rate, above 0; rates above 0.5 count as 0.5.
        compared : float
            Number of independent comparisons of a search: people with one face each, or `comparisons` of them.
        """
        return float(min(max(2 - 2 * self.similarity(fpir, compared), 0.0), 4.0))

    def cautious_threshold(self, fpir: float, compared: float, *, confidence: float = CONFIDENCE) -> float:
        """Return the squared L2 distance up to which strangers get a name with a probability of at most `fpir`.

        Parameters
        ----------
        fpir, compared : float
            As of `threshold`.
        confidence : float
            Probability that the estimate of the threshold is not too lenient; 0.5 gives `threshold`.
        """
        strict = _NORMAL.inv_cdf(confidence) * self.deviation * self._standard_error(fpir, compared)
        return float(min(max(2 - 2 * (self.similarity(fpir, compared) + strict), 0.0), 4.0))

    def _standard_error(self, fpir: float, compared: float) -> float:
        """Return the standard error of the similarity at a rate, in deviations; it grows towards the tail."""
        low, high, upper, limit = (
            _bent(_quantile(share, compared), self.bend) for share in (0.1587, 0.8413, 0.75, 1 - min(fpir, _MAX_RATE))
        )
        reach = _SPREAD * (high - low) / 2 + _REACH * max(limit - upper, 0.0)
        return reach / math.sqrt(max(self.support, 1.0))

    def similarity(self, fpir: float, compared: float) -> float:
        """Return the similarity from which strangers get a name with probability `fpir`; see `threshold`."""
        return self.mean + self.deviation * _bent(_quantile(1 - min(fpir, _MAX_RATE), compared), self.bend)

    def fpir(self, distance: float, compared: float) -> float:
        """Return the false-positive identification rate of a threshold (squared L2 distance)."""
        above = _NORMAL.cdf(-_straightened((1 - distance / 2 - self.mean) / self.deviation, self.bend))
        return float(-math.expm1(max(compared, 1.0) * math.log1p(-min(above, 1 - 1e-12))))


def comparisons(people: int, faces: int) -> float:
    """Return how many independent comparisons a search makes with so many people who have so many faces together."""
    return people * max(faces / people, 1.0) ** REPEATED if people else 0.0


def fit_model(vectors: Float32Array, people: Int64Array) -> StrangerScores:
    """Fit the distribution of a model to all pairs of faces of two people, from the nearest tenth outwards.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors of faces.
    people : (n,) int64
        The person of each face.

    Returns
    -------
    StrangerScores

    Raises
    ------
    ValueError
        If there are fewer than 2,000 pairs of two people.
    """
    first, second = np.triu_indices(len(vectors), 1)
    two = people[first] != people[second]
    similarities = (vectors @ vectors.T)[first[two], second[two]].astype(np.float64)
    if len(similarities) < _FEWEST_PAIRS:
        raise ValueError(f"{len(similarities)} pairs of two people, expected at least {_FEWEST_PAIRS:,}")
    rates = np.geomspace(0.1, _TAIL_PAIRS / len(similarities), 25)
    normal = np.array([-_NORMAL.inv_cdf(float(rate)) for rate in rates])
    quantiles = np.quantile(similarities, 1 - rates)
    mean, deviation, square = np.polynomial.polynomial.polyfit(normal, quantiles, 2)
    if square < 0:  # a tail that is lighter than the normal one: the straight line is the cautious choice
        mean, deviation = np.polynomial.polynomial.polyfit(normal, quantiles, 1)
    count = len(set(people.tolist()))
    return StrangerScores(float(mean), float(deviation), count, max(0.0, float(square / deviation)))


def _bent(normal: float, bend: float) -> float:
    """Bend the upper half of the axis of a normal distribution."""
    return normal + bend * max(normal, 0.0) ** 2


def _straightened(bent: float, bend: float) -> float:
    """Invert `_bent`."""
    return (math.sqrt(1 + 4 * bend * bent) - 1) / (2 * bend) if bend > 0 and bent > 0 else bent


def scores_of_model(pair_threshold: float, false_match_rate: float) -> StrangerScores:
    """Derive the distribution of a model from its pair threshold, assuming a mean similarity of zero.

    Parameters
    ----------
    pair_threshold : float
        Squared L2 distance.
    false_match_rate : float
        The rate of pairs of two people (per comparison) within it.

    Returns
    -------
    StrangerScores
    """
    deviations = _bent(_NORMAL.inv_cdf(1 - false_match_rate), BEND)
    return StrangerScores(0.0, max((1 - pair_threshold / 2) / deviations, 1e-3), 0, BEND)


def pair_threshold_of(manifest: Manifest) -> tuple[float, float | None] | None:
    """Return the distance up to which two faces match, and its false match rate per comparison.

    Parameters
    ----------
    manifest : Manifest
        The manifest of an embedder.

    Returns
    -------
    (float, float or None) or None
        As the manifest states it, or for a rate of 0.001 from the known scores of the model; None without either.
    """
    if manifest.match_threshold is not None:
        return float(manifest.match_threshold), manifest.match_threshold_false_accept_rate
    scores = known_scores(manifest)
    if scores is None:
        return None
    return StrangerScores(scores.mean, scores.deviation, 0, scores.bend).threshold(PAIR_RATE, 1), PAIR_RATE


def person_similarities(queries: Float32Array, vectors: Float32Array, people: Int64Array) -> Float32Array:
    """Compare faces with people: the mean of the cosine to their nearest face and of that to their template.

    The template is the mean of a person's vectors, scaled to unit length. Of the rules that were measured this one
    misses the fewest known people (see the explanation of thresholds).

    Parameters
    ----------
    queries : (q, D) float32
        Unit vectors of faces.
    vectors : (n, D) float32
        Unit vectors of the faces of people.
    people : (n,) int64
        The person of each face, ascending.

    Returns
    -------
    (q, p) float32
        One column per person.
    """
    first = _first_faces(people)
    templates = np.add.reduceat(vectors, first, axis=0)
    templates /= np.maximum(np.linalg.norm(templates, axis=1, keepdims=True), np.float32(1e-6))
    nearest = np.maximum.reduceat(queries @ vectors.T, first, axis=1)
    return np.asarray((nearest + queries @ templates.T) / 2, np.float32)


def _first_faces(people: Int64Array) -> Int64Array:
    """Return the row of the first face of every person."""
    return np.asarray(np.flatnonzero(np.diff(people, prepend=people[:1] - 1)), np.int64)


def nearest_others(vectors: Float32Array, people: Int64Array) -> Array:
    """Search every person, left out of the gallery, among all others.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors of faces.
    people : (n,) int64
        The person of each face, ascending.

    Returns
    -------
    (p,) float64
        For the first face of every person, the similarity to the most similar other person (`person_similarities`).
    """
    first = _first_faces(people)
    found = np.empty(len(first))
    for start in range(0, len(first), 256):
        rows = first[start : start + 256]
        similarities = person_similarities(vectors[rows], vectors, people)
        similarities[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
        found[start : start + 256] = similarities.max(axis=1)
    return found


def fit_scores(maxima: Array, compared: float, prior: StrangerScores | None, *, bend: float = BEND) -> StrangerScores:
    """Fit the distribution of strangers to the results of leave-one-person-out searches.

    Mean and deviation are estimated by regression on the upper half of a probability plot and averaged with those of
    the model, which count like `PRIOR_PEOPLE` people: a small gallery relies on the model, a large one on itself.

    Parameters
    ----------
    maxima : (p,) float64
        Cosine similarity of every person to the nearest other person.
    compared : float
        Number of independent comparisons of each search (`comparisons`).
    prior : StrangerScores or None
        The distribution of the model, if it is known; its bend is kept.
    bend : float
        The bend without a prior.

    Returns
    -------
    StrangerScores

    Raises
    ------
    ValueError
        If there are fewer than `FEWEST` values and no prior.
    """
    count = len(maxima)
    if count < FEWEST or compared < 1:
        if prior is None:
            raise ValueError(f"{count} values, expected at least {FEWEST} or a prior")
        return prior
    bend = bend if prior is None else prior.bend
    mean, deviation = _fit(maxima, compared, None if prior is None else (prior.mean, prior.deviation), bend)
    support = count if prior is None else count + PRIOR_PEOPLE
    return StrangerScores(float(mean), float(deviation), count, bend, support)


def _fit(
    maxima: Array, compared: float, prior: tuple[npt.ArrayLike, npt.ArrayLike] | None, bend: float
) -> tuple[Array, Array]:
    """Return means and deviations (...,) of fits to maxima (..., p), with those of the model as `prior`."""
    count = maxima.shape[-1]
    used = slice(min(count // 2, max(count - _FEWEST_IN_TAIL, 0)), None)
    ordered = np.sort(np.asarray(maxima, np.float64), axis=-1)[..., used]
    normal = _plot_positions(count, round(compared, 3), bend)[used]
    middle, average = normal.mean(), ordered.mean(axis=-1)
    centred = normal - middle
    deviation = np.maximum(ordered @ centred / (centred @ centred), 1e-4)
    if prior is None:
        return average - deviation * middle, deviation
    of_model, share = [np.asarray(value, np.float64) for value in prior], count / (count + PRIOR_PEOPLE)
    mixed = share * deviation + (1 - share) * of_model[1]
    typical = share * average + (1 - share) * (of_model[0] + of_model[1] * middle)
    return typical - mixed * middle, mixed


def _quantile(probability: float, compared: float) -> float:
    """Return the quantile of the maximum of `compared` standard normal values."""
    upper = -math.expm1(math.log(probability) / max(compared, 1.0))  # accurate near 1
    return -_NORMAL.inv_cdf(min(max(upper, 1e-300), 1 - 1e-12))


@lru_cache(maxsize=16)
def _plot_positions(count: int, compared: float, bend: float) -> Array:
    """Return the expected order statistics of `count` maxima of standard values (Blom's formula)."""
    shares = [(number - 0.375) / (count + 0.25) for number in range(1, count + 1)]
    return np.array([_bent(_quantile(share, compared), bend) for share in shares])


def interval(
    maxima: Array, compared: float, prior: StrangerScores | None, value: Callable[[StrangerScores], float]
) -> tuple[float, float]:
    """Compute the 95 % interval of a function of the fitted distribution (bootstrap).

    The people are resampled. The distribution of the model is as uncertain as its weight says: in every round it is
    estimated again on `PRIOR_PEOPLE` simulated searches of strangers.

    Raises
    ------
    ValueError
        If there are fewer than `FEWEST` values and no prior.
    """
    random = np.random.default_rng(0)
    count, size = len(maxima), max(compared, 1.0)
    if count < FEWEST and prior is None:
        raise ValueError(f"{count} values, expected at least {FEWEST} or a prior")
    normal = None if prior is None else _quantiles(round(size, 3), prior.bend)
    simulated, drawn = [], []
    for _ in range(_ROUNDS):
        if normal is not None:
            simulated.append(normal[random.integers(0, len(normal), PRIOR_PEOPLE)])
        drawn.append(maxima[random.integers(0, count, count)] if count else maxima)
    bend, fitted, support = BEND, None, 0
    if prior is not None:
        searches = prior.mean + prior.deviation * np.array(simulated)
        bend, fitted, support = prior.bend, _fit(searches, size, None, prior.bend), PRIOR_PEOPLE
    if fitted is None or (count >= FEWEST and compared >= 1):
        fitted, support = _fit(np.array(drawn), compared, fitted, bend), support + count
    pairs = zip(fitted[0].tolist(), fitted[1].tolist(), strict=True)
    values = sorted(value(StrangerScores(mean, deviation, count, bend, support)) for mean, deviation in pairs)
    # as np.percentile, which would load numpy.ma
    low, high = np.interp(np.array([0.025, 0.975]) * (_ROUNDS - 1), np.arange(_ROUNDS), values)
    return float(low), float(high)


@lru_cache(maxsize=16)
def _quantiles(compared: float, bend: float) -> Array:
    """Return evenly spaced quantiles of the maximum of `compared` standard values."""
    return np.array([_bent(_quantile((number + 0.5) / 1000, compared), bend) for number in range(1000)])

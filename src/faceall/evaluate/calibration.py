"""Choose a match threshold for a false match rate per comparison, on the people of a gallery."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceall.analysis.open_set import BEND, StrangerScores, comparisons, nearest_others
from faceall.arguments import checked
from faceall.errors import EvaluationError, ModelNotFoundError
from faceall.evaluate.curves import Float64Array, Interval, percentiles
from faceall.gallery import Calibration, Gallery, NamedVectors
from faceall.gallery.decisions import prior_of
from faceall.types import Float32Array, Int64Array

MOST_PEOPLE = 1000
MOST_FACES = 5
"""Sample size for larger galleries: number of people, number of faces of each."""

ROUNDS = 500
_STEP = 1e-4  # thresholds are rounded down to multiples
_TAIL = 4  # a bootstrap round first uses the nearest comparisons, this multiple of the rate
_MIN_TAIL = 1000  # comparisons
_SHOWN = 3  # pairs of people
_ROUNDING = 1e-12  # relative rounding error of shares
_FEWEST_NAMES = 20  # below which nothing is concluded from how many people resemble another one
_MAX_LOOKALIKES = 0.2  # share of people with a lookalike above which the names are not those of different people
_MAX_ESTIMATED = (
    0.4  # the same where the model's similarities are estimated: up to 0.25 of different people in four models
)
_EXPECTED = 0.01  # FPIR at which a lookalike begins
_DEVIATIONS = 1.4826  # the standard deviation of normal values in units of their median absolute deviation


@dataclass(frozen=True)
class NearPeople:
    """Two people of the gallery and the distance of their nearest faces (squared L2)."""

    first: str
    second: str
    distance: float


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration with information to check it.

    Attributes
    ----------
    calibration : Calibration
        The threshold with its rates and intervals.
    nearest : tuple of NearPeople
        The most similar pairs of people; each may be one person under two names.
    sampled : bool
        Whether the gallery has more people or faces than were compared.
    """

    calibration: Calibration
    nearest: tuple[NearPeople, ...]
    sampled: bool


@dataclass(frozen=True, eq=False)
class Comparisons:
    """The distances of each face, left out of the gallery, to all people.

    Attributes
    ----------
    people : (n,) int64
        The person of each face.
    impostor : (n, p) float32
        Squared L2 distance to the nearest face of each person; inf for the face's own person.
    genuine : (n,) float32
        Squared L2 distance to the nearest other face of the same person; nan if there is none.
    """

    people: Int64Array
    impostor: Float32Array
    genuine: Float32Array


@checked
def calibrate(gallery: Gallery, *, false_accept_rate: float = 1e-3, rounds: int = ROUNDS) -> CalibrationReport:
    """Choose the threshold for a false-accept rate on the people of a gallery; nothing is stored.

    Every face is left out in turn and compared with the nearest face of every person. Each ordered pair of people has
    the same weight, regardless of the number of faces. A rate needs at least 1 / rate pairs of people.

    Parameters
    ----------
    gallery : Gallery
        The gallery.
    false_accept_rate : float
        Share of comparisons of two people that may be accepted, above 0 and below 1.
    rounds : int
        Number of bootstrap samples (of people) for the 95 % intervals.

    Returns
    -------
    CalibrationReport

    Raises
    ------
    EvaluationError
        The rate is out of range, or the gallery has too few people for it (the message says which rate it supports),
        or one person or the same photos under several names.
    """
    if not 0 < false_accept_rate < 1:
        raise EvaluationError(f"the false-accept rate is {false_accept_rate:g}, expected above 0 and below 1")
    named = gallery.people.named_vectors(most_people=MOST_PEOPLE, most_faces=MOST_FACES)
    refuse_too_few_people(len(named.names), false_accept_rate)
    refuse_people_under_several_names(named, _scores_of(gallery))
    compared = compare_people(named)
    threshold, interval, reject, reject_interval = choose_threshold(compared, false_accept_rate, rounds=rounds)
    calibration = Calibration(
        threshold=threshold,
        interval=interval,
        false_accept_rate=false_accept_rate,
        false_reject_rate=reject,
        false_reject_interval=reject_interval,
        people=len(named.names),
        faces=len(named.people),
        model=gallery.model or "",
    )
    known = sum(person.faces for person in gallery.people if person.named)
    return CalibrationReport(calibration, _nearest(compared, named.names), known > len(named.people))


def refuse_too_few_people(people: int, rate: float) -> None:
    """Raise EvaluationError if `people` form fewer than 1 / rate pairs."""
    pairs = people * (people - 1) // 2
    if pairs >= 1 / rate * (1 - 1e-9):
        return
    needed = math.ceil((1 + math.sqrt(1 + 8 / rate)) / 2 - 1e-9)
    who = f"{people} {'person' if people == 1 else 'people'} with a name"
    supported = f"which supports a false-accept rate of {_rounded_up(1 / pairs):g} at best; " if pairs > 1 else ""
    counted = f"{pairs:,} {'pair' if pairs == 1 else 'pairs'} of people"
    raise EvaluationError(f"the gallery has {who}, {counted}, {supported}{rate:g} needs {needed:,} people")


def refuse_people_under_several_names(named: NamedVectors, scores: StrangerScores | None) -> None:
    """Raise EvaluationError if far more people than expected have a lookalike: their names are not of people.

    Parameters
    ----------
    named : NamedVectors
        The people.
    scores : StrangerScores or None
        The similarities of two people, if they are known of the model; otherwise they are estimated from the middle of
        those of all people, which a person under several names hardly changes.
    """
    count = len(named.names)
    if count < _FEWEST_NAMES:
        return
    distances = 2 - 2 * nearest_others(named.vectors, named.people)
    limit = (scores or _central_scores(named)).threshold(_EXPECTED, comparisons(count, len(named.people)))
    lookalike = distances <= limit
    if lookalike.mean() <= (_MAX_ESTIMATED if scores is None else _MAX_LOOKALIKES):
        return
    example = named.names[int(np.argmin(distances))]
    raise EvaluationError(
        f"{int(lookalike.sum())} of {count} people resemble another person in the gallery ({example} "
        "most), so the names do not seem to be those of different people: merge them first, see faceall people"
    )


def _scores_of(gallery: Gallery) -> StrangerScores | None:
    """Return the similarities of two people of the gallery's model, if it is installed and they are known."""
    try:
        return prior_of(gallery.installed_manifest)
    except ModelNotFoundError:
        return None


def _central_scores(named: NamedVectors) -> StrangerScores:
    """Estimate the similarities of two people from median and median absolute deviation of the first faces."""
    first = named.vectors[np.flatnonzero(np.diff(named.people, prepend=-1))]
    similarities = (first @ first.T)[np.triu_indices(len(first), 1)].astype(np.float64)
    middle = float(np.median(similarities))
    deviation = _DEVIATIONS * float(np.median(np.abs(similarities - middle)))
    return StrangerScores(middle, max(deviation, 1e-4), 0, BEND)


def _rounded_up(rate: float) -> float:
    """Round a rate up to two significant digits."""
    power = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return math.ceil(rate / power - 1e-9) * power


def compare_people(named: NamedVectors) -> Comparisons:
    """Compute the distances of every face to every person."""
    count, vectors = len(named.names), named.vectors
    starts = np.searchsorted(named.people, np.arange(count))
    squares = (vectors**2).sum(axis=1)
    impostor = np.empty((len(vectors), count), np.float32)
    genuine = np.full(len(vectors), np.nan, np.float32)
    for person in range(count):
        own = slice(starts[person], starts[person + 1] if person + 1 < count else len(vectors))
        distances = squares[own, None] + squares[None] - 2 * (vectors[own] @ vectors.T)
        np.maximum(distances, 0, out=distances)
        within = distances[:, own] + np.where(np.eye(len(distances), dtype=bool), np.float32(np.inf), 0)
        nearest = within.min(axis=1)
        genuine[own] = np.where(np.isinf(nearest), np.nan, nearest)
        impostor[own] = np.minimum.reduceat(distances, starts, axis=1)
        impostor[own, person] = np.inf
    return Comparisons(named.people, impostor, genuine)


def choose_threshold(
    compared: Comparisons, rate: float, *, rounds: int = ROUNDS, seed: int = 0
) -> tuple[float, Interval, float | None, Interval | None]:
    """Choose the threshold for a false-accept rate.

    Parameters
    ----------
    compared : Comparisons
        The distances.
    rate : float
        Share of comparisons of two people that may be accepted.
    rounds : int
        Number of bootstrap samples of people; the intervals are percentiles.
    seed : int
        Seed of the random generator.

    Returns
    -------
    threshold : float
        Squared L2 distance.
    interval : (float, float)
        Its 95 % interval.
    false_reject_rate : float or None
        Share of faces that it rejects, averaged over people; None if no person has two faces.
    false_reject_interval : (float, float) or None
        Its 95 % interval.

    Raises
    ------
    EvaluationError
        Even a threshold of 0 accepts more than the rate.
    """
    ranked = _Ranked(compared)
    random = np.random.default_rng(seed)
    count = compared.impostor.shape[1]
    threshold = _rounded_down(ranked.limit(np.ones(count), rate))
    if threshold < 0:
        raise EvaluationError(
            f"more than {rate:g} of the comparisons of two people are at distance 0: the same photos belong to"
            " several names; merge these people, or remove one"
        )
    draws = random.multinomial(count, np.full(count, 1 / count), size=rounds).astype(np.float64)
    limits = [max(0.0, _rounded_down(ranked.limit(draw, rate))) for draw in draws if np.count_nonzero(draw) > 1]
    rejected = _rejected(compared, threshold)
    with_two = ~np.isnan(rejected)
    if not with_two.any():
        return threshold, percentiles(limits), None, None
    weights = draws[:, with_two][draws[:, with_two].sum(axis=1) > 0]
    shares = (weights @ rejected[with_two]) / weights.sum(axis=1)
    return threshold, percentiles(limits), float(rejected[with_two].mean()), percentiles(shares.tolist())


def _rejected(compared: Comparisons, threshold: float) -> Float64Array:
    """Return the share of rejected faces per person, (p,) float64; nan for people with one face."""
    usable = ~np.isnan(compared.genuine)
    people, count = compared.people[usable], compared.impostor.shape[1]
    far = np.bincount(people, compared.genuine[usable] > threshold, count)
    faces = np.bincount(people, minlength=count)
    return np.where(faces > 0, far / np.maximum(faces, 1), np.nan)


class _Ranked:
    """The comparisons of two people, in ascending order of distance."""

    def __init__(self, compared: Comparisons) -> None:
        faces, count = compared.impostor.shape
        keep = np.isfinite(compared.impostor).reshape(-1)
        distances = compared.impostor.reshape(-1)[keep]
        order = np.argsort(distances, kind="stable")
        self._distances = distances[order].astype(np.float64)
        self._first = np.repeat(compared.people, count)[keep][order]
        self._second = np.tile(np.arange(count), faces)[keep][order]
        self._share = 1 / np.bincount(compared.people, minlength=count)[self._first]

    def limit(self, people: npt.NDArray[np.float64], rate: float) -> float:
        """Return the smallest distance at which more than the rate is accepted; above 4 if there is none.

        `people` (p,) is how often each person is in the sample.
        """
        allowed = rate * (people.sum() ** 2 - (people**2).sum())
        tail = min(len(self._distances), max(_MIN_TAIL, math.ceil(_TAIL * rate * len(self._distances))))
        for length in (tail, len(self._distances)):
            first, second = self._first[:length], self._second[:length]
            passed = np.cumsum(people[first] * people[second] * self._share[:length])
            beyond = int(np.searchsorted(passed, allowed * (1 + _ROUNDING), side="right"))
            if beyond < length:
                return float(self._distances[beyond])
        return 4.0 + _STEP


def _rounded_down(distance: float) -> float:
    """Return the largest number with four decimals that is below the distance."""
    return round((math.ceil(distance / _STEP) - 1) * _STEP, 4)


def _nearest(compared: Comparisons, names: tuple[str, ...]) -> tuple[NearPeople, ...]:
    """Return the pairs of people with the smallest distances."""
    count = len(names)
    starts = np.searchsorted(compared.people, np.arange(count))
    between = np.minimum.reduceat(compared.impostor, starts, axis=0)  # (p, p)
    rows, columns = np.triu_indices(count, 1)
    values = between[rows, columns]
    chosen = np.argsort(values, kind="stable")[:_SHOWN]
    return tuple(NearPeople(names[rows[place]], names[columns[place]], float(values[place])) for place in chosen)

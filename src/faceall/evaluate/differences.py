"""Add to an evaluation: error rates by group and by properties of the faces, and comparisons with earlier results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.curves import Float64Array
from faceall.evaluate.evaluation import Evaluation, ModelResult
from faceall.evaluate.verification.comparison import StoredResult, compare_models
from faceall.evaluate.verification.groups import (
    Comparisons,
    PartedRates,
    compare_all,
    rates_by_group,
    rates_by_value,
)
from faceall.evaluate.verification.images import Factor, factor_values, groups_of, pair_values
from faceall.types import Int64Array

_SUPPORTING = 5  # falsely accepted comparisons that a rate needs at least
_RATES = (1e-3, 1e-2, 0.1)


@checked
def add_groups(found: Evaluation, groups: Mapping[str, str], *, folder: Path | None = None) -> Evaluation:
    """Measure FMR and FNMR per group at one threshold.

    Where the list of pairs names the people, every image is compared with every other one; otherwise the listed pairs
    are compared.

    Parameters
    ----------
    found : Evaluation
        The evaluation.
    groups : mapping of str to str
        The group of each path or person (`read_groups`).
    folder : Path, optional
        The folder that paths may be relative to.

    Returns
    -------
    Evaluation
        With the rates in the `parts` of the results.

    Raises
    ------
    EvaluationError
        If no two people with a group are compared.
    """
    known = _Images.of(found)
    labels = groups_of(known.paths, known.names, groups, folder)
    results = []
    for result in found.results:
        compared = known.compare(result)
        part = rates_by_group(compared, known.people, labels, _rate(compared, known.people))
        results.append(replace(result, parts=(*result.parts, part)))
    return replace(found, results=tuple(results))


@dataclass(frozen=True, eq=False)
class _Images:
    """The images of an evaluation: their paths, people, names of people if known, listed comparisons, and rows."""

    paths: list[Path]
    people: Int64Array
    names: list[str | None]
    listed: Int64Array
    rows: Int64Array

    @classmethod
    def of(cls, found: Evaluation) -> _Images:
        """Collect them from the pairs."""
        paths = list(found.faces)
        rows = {path: row for row, path in enumerate(paths)}
        listed = np.array([[rows[pair.first], rows[pair.second]] for pair in found.pairs], np.int64)
        people = np.zeros(len(paths), np.int64)
        people[listed.reshape(-1)] = found.people.reshape(-1)
        names: list[str | None] = [None] * len(paths)
        for pair, (first, second) in zip(found.pairs, listed.tolist(), strict=True):
            if pair.people is not None:
                names[first], names[second] = pair.people
        used = np.unique(listed)  # an image all of whose pairs were left out has no person
        some = [paths[row] for row in used], people[used], [names[row] for row in used]
        return cls(*some, np.searchsorted(used, listed), used)

    def compare(self, result: ModelResult) -> Comparisons:
        """Compare every image with every other one if the people are known, otherwise as listed."""
        if all(name is not None for name in self.names):
            return compare_all(result.vectors[self.rows])
        return Comparisons(self.listed, result.distances, False)


def _rate(compared: Comparisons, people: Int64Array) -> float:
    """Return the lowest false match rate that the comparisons of two people can tell."""
    count = int((people[compared.images[:, 0]] != people[compared.images[:, 1]]).sum())
    return next((rate for rate in _RATES if count * rate >= _SUPPORTING), _RATES[-1])


@checked
def add_factors(found: Evaluation, factors: Sequence[Factor]) -> Evaluation:
    """Measure FMR and FNMR by properties of the images, at one threshold; comparisons as in `add_groups`.

    Parameters
    ----------
    found : Evaluation
        The evaluation.
    factors : sequence of Factor
        age-gap, size, pose or blur.

    Returns
    -------
    Evaluation
        With the rates in the `parts` of the results.

    Raises
    ------
    EvaluationError
        If a factor is not known of any pair.
    """
    known = _Images.of(found)
    faces = [found.faces[path] for path in known.paths]
    for factor in dict.fromkeys(factors):
        of_image = factor_values(factor, known.paths, faces, found.read)
        parts = [_by_value(known, result, factor, of_image) for result in found.results]
        merged = zip(found.results, parts, strict=True)
        found = replace(found, results=tuple(replace(result, parts=(*result.parts, part)) for result, part in merged))
    return found


def _by_value(known: _Images, result: ModelResult, factor: Factor, of_image: Float64Array) -> PartedRates:
    """Measure the comparisons of one model."""
    compared = known.compare(result)
    values = pair_values(factor, of_image[compared.images[:, 0]], of_image[compared.images[:, 1]])
    mated = known.people[compared.images[:, 0]] == known.people[compared.images[:, 1]]
    if not np.isfinite(values[mated]).any():
        raise EvaluationError(f"{factor}: not known of any pair; the age gap needs photos with their date in EXIF")
    return rates_by_value(factor, values, compared, known.people, _rate(compared, known.people))


@checked
def add_comparisons(found: Evaluation, stored: Sequence[StoredResult]) -> Evaluation:
    """Compare every model with the results of an earlier report, on the pairs that both have.

    Parameters
    ----------
    found : Evaluation
        The evaluation.
    stored : sequence of StoredResult
        The earlier results (`read_report`).

    Returns
    -------
    Evaluation
        With the comparisons in the results.

    Raises
    ------
    EvaluationError
        If too few pairs are common.
    """
    results = []
    for result in found.results:
        made = [compare_models(result.name, result.distances, found.pairs, found.people, other) for other in stored]
        results.append(replace(result, comparisons=(*result.comparisons, *made)))
    return replace(found, results=tuple(results))

"""Add to an open-set evaluation: error rates by group of people, and by what is known of the faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.curves import Float64Array
from faceall.evaluate.identification_results import Identification, IdentificationResult
from faceall.evaluate.search_comparison import SearchOutcomes
from faceall.evaluate.search_parts import rates_of_searches
from faceall.evaluate.verification.groups import quarters
from faceall.evaluate.verification.images import Factor, factor_values, groups_of, pair_values
from faceall.images import read_image
from faceall.types import Face, Int64Array


@checked
def add_search_groups(
    found: Identification, groups: Mapping[str, str], *, folder: Path | None = None
) -> Identification:
    """Measure FNIR and FPIR per group at one threshold.

    A search counts for the group of the image that is searched: by its path, otherwise by its person.

    Parameters
    ----------
    found : Identification
        The evaluation.
    groups : mapping of str to str
        The group of each path or person (`read_groups`).
    folder : Path, optional
        The folder that paths may be relative to.

    Returns
    -------
    Identification
        With the rates in the `parts` of the results.

    Raises
    ------
    EvaluationError
        If no person who is searched has a group.
    """
    names = sorted(set(groups.values()))
    people = list(found.searched)
    known, strangers = (
        _numbers([found.searched[person][place] for person in people], people, groups, folder, names)
        for place in (1, 0)
    )
    if (known < 0).all() and (strangers < 0).all():
        raise EvaluationError("no person who is searched has a group: does the file name the images or people of DIR?")
    results = [
        replace(result, parts=(*result.parts, rates_of_searches("group", _searches(result), names, known, strangers)))
        for result in found.results
    ]
    return replace(found, results=tuple(results))


def _numbers(
    images: Sequence[Path | None],
    people: Sequence[str],
    groups: Mapping[str, str],
    folder: Path | None,
    names: Sequence[str],
) -> Int64Array:
    """Return the number of each image's group, -1 if it is not known."""
    paths = [Path() if image is None else image for image in images]
    labels = groups_of(paths, people, groups, folder)
    return np.array([-1 if label is None else names.index(label) for label in labels], np.int64)


@checked
def add_search_factors(found: Identification, factors: Sequence[Factor]) -> Identification:
    """Measure FNIR and FPIR by properties of the images, at one threshold.

    Searches of known people are divided by the poorer of the enrolled and the searched face, or by the time between
    both; those of strangers by the searched face.

    Parameters
    ----------
    found : Identification
        The evaluation.
    factors : sequence of Factor
        age-gap, size, pose or blur.

    Returns
    -------
    Identification
        With the rates in the `parts` of the results.

    Raises
    ------
    EvaluationError
        If a factor is not known of any search of a known person.
    """
    for factor in dict.fromkeys(factors):
        first, second = (_measured(found, factor, place) for place in (0, 1))
        known = pair_values(factor, first, second)
        strangers = np.full_like(first, np.nan) if factor == "age-gap" else first
        if not np.isfinite(known).any():
            raise EvaluationError(
                f"{factor}: not known of any search; the age gap needs photos with their date in EXIF"
            )
        edges = quarters(known[np.isfinite(known)])
        names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
        labels = [_quarter(values, edges) for values in (known, strangers)]
        parts = [rates_of_searches(factor, _searches(result), names, *labels) for result in found.results]
        merged = zip(found.results, parts, strict=True)
        found = replace(found, results=tuple(replace(result, parts=(*result.parts, part)) for result, part in merged))
    return found


def _searches(result: IdentificationResult) -> SearchOutcomes:
    """Return the searches of a result."""
    assert result.outcomes is not None
    return result.outcomes


def _measured(found: Identification, factor: Factor, place: int) -> Float64Array:
    """Measure a factor on the first or second image of every person; nan where it is not known."""
    values = np.full(len(found.searched), np.nan)
    rows, paths, faces = [], [], []
    for row, images in enumerate(found.searched.values()):
        image = images[place]
        face: Face | None = None if image is None else found.faces.get(image)
        if image is not None and face is not None:
            rows.append(row)
            paths.append(image)
            faces.append(face)
    values[rows] = factor_values(factor, paths, faces, read_image)
    return values


def _quarter(values: Float64Array, edges: Sequence[float]) -> Int64Array:
    """Return the part of each value, -1 for nan; values beyond the edges are in the first and the last part."""
    places = np.clip(np.searchsorted(edges[1:-1], values, side="right"), 0, max(len(edges) - 2, 0))
    return np.where(np.isfinite(values), places, -1).astype(np.int64)

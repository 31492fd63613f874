"""Rates of searches by group and by properties of the faces agree with manual counts, at one threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceall.errors import EvaluationError
from faceall.evaluate import add_search_factors, add_search_groups
from faceall.evaluate.identification_results import Identification, IdentificationResult
from faceall.evaluate.search_comparison import SearchOutcomes
from faceall.evaluate.search_parts import rates_of_searches
from faceall.types import Face

SIZE, PEOPLE = 60, 120


def searches(own: np.ndarray, strangers: np.ndarray) -> SearchOutcomes:
    """Make the outcomes of the searches in one gallery of the first 60 of 120 people."""
    names = tuple(f"p{number:03}" for number in range(PEOPLE))
    return SearchOutcomes(names, np.arange(SIZE)[None], own[None], np.ones((1, SIZE), bool), strangers[None])


def halves() -> tuple[np.ndarray, np.ndarray]:
    """Return the groups of people: even ones are in group 0, odd ones in group 1."""
    return np.arange(PEOPLE) % 2, np.arange(PEOPLE) % 2


def test_groups_share_one_threshold() -> None:
    """The six strangers named at an FPIR of 10 % are all odd, and so are the ten known people who are missed."""
    own, strangers = np.full(SIZE, 0.9), np.linspace(0.0, 0.2, SIZE)
    own[1:21:2] = 0.3
    strangers[1:13:2] = 0.5 + 0.01 * np.arange(6)
    strangers[20] = 0.4
    found = rates_of_searches("group", searches(own, strangers), ["even", "odd"], *halves(), rounds=100)
    even, odd = found.parts
    assert found.fpir == 0.1
    assert found.threshold == pytest.approx(2 - 2 * 0.4)
    assert (even.known, even.strangers, odd.known, odd.strangers) == (30, 30, 30, 30)
    assert (even.fnir, even.fpir) == (0, 0)
    assert (odd.fnir, odd.fpir) == (pytest.approx(10 / 30), pytest.approx(6 / 30))
    assert odd.fnir_interval is not None
    assert odd.fnir_interval[0] < 10 / 30 < odd.fnir_interval[1]
    assert [(ratio.rate, ratio.worst, ratio.best, ratio.value) for ratio in found.ratios] == [
        ("FNIR", "odd", "even", None),
        ("FPIR", "odd", "even", None),
    ]


def test_the_ratio_has_an_interval() -> None:
    """A group that is missed twice as often has a ratio of two, inside its interval."""
    own = np.full(SIZE, 0.9)
    own[1:41:2] = own[0:20:2] = 0.1
    found = rates_of_searches("group", searches(own, np.linspace(0.1, 0.3, SIZE)), ["even", "odd"], *halves())
    ratio = found.ratios[0]
    assert (ratio.rate, ratio.worst, ratio.value) == ("FNIR", "odd", pytest.approx(2))
    assert ratio.interval[1] is not None
    assert 1 <= ratio.interval[0] < 2 < ratio.interval[1]


def test_people_without_a_group_are_not_counted() -> None:
    """People without a group do not count, neither for the threshold nor in a part."""
    strangers = np.concatenate([np.full(10, 0.8), np.linspace(0, 0.2, SIZE - 10)])
    known, others = halves()
    others[SIZE : SIZE + 10] = -1
    found = rates_of_searches("group", searches(np.full(SIZE, 0.9), strangers), ["even", "odd"], known, others)
    assert found.threshold > 2 - 2 * 0.2
    assert sum(part.strangers for part in found.parts) == SIZE - 10
    known[SIZE : SIZE + 10] = -1
    assert rates_of_searches("group", searches(np.full(SIZE, 0.9), strangers), ["a", "b"], known, others).unknown == 10


def test_a_missing_face_is_a_miss_and_never_a_name() -> None:
    """If all strangers failed to be acquired, none is named; known people without a face are missed."""
    own = np.where(np.arange(SIZE) < 30, -2.0, 0.9)
    found = rates_of_searches("group", searches(own, np.full(SIZE, -2.0)), ["even", "odd"], *halves(), rounds=20)
    assert [part.fpir for part in found.parts] == [0, 0]
    assert [part.fnir for part in found.parts] == [0.5, 0.5]


def evaluated() -> Identification:
    """Make an evaluation of 120 people, whose faces grow and whose misses are those of small faces."""
    own = np.where(np.arange(SIZE) < 15, 0.05, 0.9)
    outcomes = searches(own, np.linspace(0.1, 0.3, SIZE))
    result = IdentificationResult("tiny", "", "float32", (), (1.0,), np.ones(1), np.ones(1), outcomes=outcomes)
    pairs = {name: (Path(f"{name}/0.png"), Path(f"{name}/1.png")) for name in outcomes.people}
    faces = {
        path: Face(np.array([0, 0, 20 + number, 20 + number], np.float32), 1.0, np.ones((5, 2), np.float32))
        for number, both in enumerate(pairs.values())
        for path in both
    }
    return Identification(SIZE, PEOPLE - SIZE, 1, (), 2 * PEOPLE, (result,), faces, pairs)


def test_factors_are_quarters_of_the_known_searches() -> None:
    """Half of the quarter with the smallest faces is missed; known people are in two quarters, strangers in two."""
    ((part,),) = (result.parts for result in add_search_factors(evaluated(), ["size"]).results)
    assert part.by == "size"
    assert [one.fnir for one in part.parts] == [0.5, 0.0, None, None]
    assert [one.strangers for one in part.parts] == [0, 0, 30, 30]
    assert part.ratios == ()


def test_a_factor_that_is_not_known_is_refused() -> None:
    """The time between two photos needs their dates."""
    with pytest.raises(EvaluationError, match="age-gap: not known of any search"):
        add_search_factors(evaluated(), ["age-gap"])


def test_groups_by_person_or_path() -> None:
    """The path of the searched image has priority over the person; groups of other names are refused."""
    found = evaluated()
    groups = dict.fromkeys(found.searched, "old") | {"folder/p000/1.png": "young"}
    moved = {name: tuple(Path("folder") / image for image in both if image) for name, both in found.searched.items()}
    found = replace(found, searched={name: (both[0], both[1]) for name, both in moved.items()})
    (result,) = add_search_groups(found, groups, folder=Path()).results
    assert [(part.name, part.known) for part in result.parts[0].parts] == [("old", SIZE - 1), ("young", 1)]
    with pytest.raises(EvaluationError, match="no person who is searched has a group"):
        add_search_groups(found, {"x": "a", "y": "b"})

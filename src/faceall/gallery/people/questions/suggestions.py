"""Questions to a user: is this the same person? Those whose answers correct most faces come first.

Every person, unnamed group and face without a person is compared with the people and groups nearest to it; and the
faces of every person and group with the part of them that fits worst (`doubts`). The certainty that two sets of faces
show one person is a logistic regression on their mean distance, relative to the threshold of the gallery's searches, on
their sizes, and on how often a suggestion of the person was declined. It starts from fixed weights and is fitted again
to the answers. The effect of a question is the probability that something is wrong now, times a number of faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceall.gallery.people.questions.answering import Node, read_answers, text_of
from faceall.gallery.people.questions.certainty import Float64Array, features, fitted, sigmoid, size_of
from faceall.gallery.people.questions.doubts import Fit, find_doubts, fit_of_faces
from faceall.gallery.store import Store
from faceall.types import Float32Array

MOST = 20_000
"""The largest number of people, groups and faces that are compared; larger groups first."""

_NEAREST = 3  # candidates of each
_LEAST = 0.005  # probability that the answer changes something
_BLOCK = 2048


@dataclass(frozen=True)
class Suggestion:
    """Two sets of faces that may be one person, or a part of a person's faces that may be another one.

    Attributes
    ----------
    id : str
        For the answer.
    effect : float
        The expected effect of the answer, in faces.
    certainty : float
        Estimated probability that they are the same person, 0..1.
    distance : float
        Mean squared L2 distance between a face of one and a face of the other, 0..4.
    subject, target : tuple of (str, int)
        ("p", person id) or ("f", face id). A face that belongs to the target stands for the part that may not.
    faces : tuple of (int, int)
        A face of each that shows them well.
    names : tuple of (str or None, str or None)
        What they are called; None for a face without a person, and for a part of a person's faces.
    counts : tuple of (int, int)
        The number of faces of each.
    within : bool
        Whether both belong to the target now: the question is whether it has to be divided.
    """

    id: str
    effect: float
    certainty: float
    distance: float
    subject: Node
    target: Node
    faces: tuple[int, int]
    names: tuple[str | None, str | None]
    counts: tuple[int, int] = (1, 1)
    within: bool = False


@dataclass(frozen=True, eq=False)
class _Nodes:
    """What is compared: sums of unit vectors (n, D), numbers of faces (n,), photos, faces, and how these fit."""

    nodes: list[Node]
    sums: Float32Array
    counts: Float64Array
    photos: list[set[int]]
    members: list[list[int]]
    fits: dict[int, Fit]


@dataclass(frozen=True)
class _Question:
    """Two sets of faces, their features, and how many faces the answer is about."""

    subject: Node
    target: Node
    faces: tuple[int, int]
    counts: tuple[int, int]
    features: list[float]
    distance: float
    doubt: bool = False


def suggest(store: Store, *, limit: float, most: int) -> list[Suggestion]:
    """Return the suggestions with the largest effect that were not answered.

    Parameters
    ----------
    store : Store
        The gallery.
    limit : float
        Distance up to which a search matches.
    most : int
        How many.
    """
    with store.reading():
        nodes = _read_nodes(store)
        answers = read_answers(store)
        questions = _pairs(store, nodes, answers, limit) + _doubts(store, nodes, limit)
        if not questions:
            return []
        rows = np.array([one.features for one in questions])
        certainty = sigmoid(rows @ fitted(answers))
        wrong = [1 - sure if one.doubt else sure for one, sure in zip(questions, certainty.tolist(), strict=True)]
        effects = [chance * size_of(*one.counts) for one, chance in zip(questions, wrong, strict=True)]
        skipped = answers.get("skipped", {})
        order = sorted(
            (place for place in range(len(questions)) if wrong[place] >= _LEAST),
            key=lambda place: (skipped.get(_id_of(questions[place]), 0), -effects[place]),
        )
        names = store.people.names([node[1] for node in nodes.nodes if node[0] == "p"])
        return [_suggestion(questions[place], effects[place], float(certainty[place]), names) for place in order[:most]]


def _read_nodes(store: Store) -> _Nodes:
    """Read the vectors of all people and faces that are not hidden, the largest groups first."""
    hidden, hidden_faces = store.people.hidden(), store.faces.hidden()
    groups: dict[tuple[str, int], tuple[list[int], set[int]]] = {}
    of_videos = store.faces.of_videos()
    for key, photo, person in store.faces.assignments():
        if person in hidden or key in hidden_faces:
            continue
        node = ("f", key) if person is None else ("p", person)
        members = groups.setdefault(node, ([], set()))
        members[0].append(key)
        members[1].add(-key if key in of_videos else photo)  # a video may show a person often
    nodes = sorted(groups, key=lambda node: (-len(groups[node][0]), node))[:MOST]
    sums, fits = [], {}
    for node in nodes:
        vectors = store.faces.vectors(groups[node][0])
        sums.append(vectors.sum(axis=0))
        if fit := fit_of_faces(vectors):
            fits[node[1]] = fit
    counts = np.array([len(groups[node][0]) for node in nodes], np.float64)
    stacked = np.stack(sums) if sums else np.zeros((0, 1), np.float32)
    photos, faces = [groups[node][1] for node in nodes], [groups[node][0] for node in nodes]
    return _Nodes(nodes, stacked, counts, photos, faces, fits)


def _pairs(store: Store, nodes: _Nodes, answers: Mapping[str, Any], limit: float) -> list[_Question]:
    """Return the questions whether two people, groups or faces are one person."""
    if len(nodes.nodes) < 2:
        return []
    declined = answers.get("declined", {})
    found = []
    for one, other, distance in _candidates(store, nodes):
        row = features(distance, nodes.counts[[one, other]], limit)
        row[-1] = float(np.log1p(declined.get(text_of(nodes.nodes[other]), 0)))
        faces = nodes.members[one][0], nodes.members[other][0]
        counts = int(nodes.counts[one]), int(nodes.counts[other])
        found.append(_Question(nodes.nodes[one], nodes.nodes[other], faces, counts, row, distance))
    return found


def _doubts(store: Store, nodes: _Nodes, limit: float) -> list[_Question]:
    """Return the questions whether a part of a person's faces is another person."""
    members = {row: keys for (kind, row), keys in zip(nodes.nodes, nodes.members, strict=True) if kind == "p"}
    found = []
    for one in find_doubts(store, members, nodes.fits, frozenset(_named(store))):
        counts = len(one.part), len(one.rest)
        row, faces = features(one.distance, counts, limit), (one.part[0], one.rest[0])
        found.append(_Question(("f", one.part[0]), ("p", one.person), faces, counts, row, one.distance, doubt=True))
    return found


def _candidates(store: Store, nodes: _Nodes) -> list[tuple[int, int, float]]:
    """Return the nearest pairs (subject, target, distance) that nothing forbids; each pair once."""
    refused, distinct, named = store.people.rejections(), store.people.distinct(), _named(store)
    unborn = _unborn(store, nodes)
    means = nodes.sums / nodes.counts[:, None].astype(np.float32)
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(means), _BLOCK):
        near = means[start : start + _BLOCK] @ means.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf
        count = min(4 * _NEAREST, near.shape[1] - 1)
        for row, best in enumerate(np.argpartition(-near, count - 1, axis=1)[:, :count], start):
            kept = 0
            for other in sorted(best.tolist(), key=lambda column: -near[row - start, column]):
                if kept == _NEAREST or near[row - start, other] == -np.inf:
                    break
                pair = _ordered(nodes, row, other, named)
                before_birth = pair[0] in unborn.get(pair[1], ()) or pair[1] in unborn.get(pair[0], ())
                if pair in found or (not before_birth and _may_be_same(nodes, *pair, refused, distinct)):
                    found[pair] = 2 - 2 * float(near[row - start, other])
                    kept += 1
    return [(*pair, distance) for pair, distance in found.items()]


def _unborn(store: Store, nodes: _Nodes) -> dict[int, set[int]]:
    """Return, by the number of a person with a birth date, the nodes with a photo that was taken before it."""
    born = {
        number: date
        for number, (kind, row) in enumerate(nodes.nodes)
        if kind == "p" and (date := store.people.details(row).born)
    }
    if not born:
        return {}
    taken = store.photos.taken()
    first = [min((taken[photo][:10] for photo in photos if photo in taken), default="9999") for photos in nodes.photos]
    return {number: {other for other, day in enumerate(first) if day < date} for number, date in born.items()}


def _named(store: Store) -> set[int]:
    return set(store.people.with_faces()) - store.people.clusters()


def _ordered(nodes: _Nodes, one: int, other: int, named: set[int]) -> tuple[int, int]:
    """Return subject and target: the target has a name, or is a group, or is larger."""

    def rank(number: int) -> tuple[bool, bool, float, int]:
        kind, row = nodes.nodes[number]
        return kind == "p" and row in named, kind == "p", nodes.counts[number], -number

    return (one, other) if rank(one) < rank(other) else (other, one)


def _may_be_same(
    nodes: _Nodes, one: int, other: int, refused: Mapping[int, set[int]], distinct: set[tuple[int, int]]
) -> bool:
    """Return whether no answer, and no photo that shows both, says that two nodes are different people."""
    if not nodes.photos[one].isdisjoint(nodes.photos[other]):
        return False
    (kind, row), (kind_other, row_other) = nodes.nodes[one], nodes.nodes[other]
    if kind == kind_other == "p" and (min(row, row_other), max(row, row_other)) in distinct:
        return False
    for (a, b), members in (((kind_other, row_other), nodes.members[one]), ((kind, row), nodes.members[other])):
        if a == "p" and any(b in refused.get(face, ()) for face in members):
            return False
    return True


def _id_of(question: _Question) -> str:
    return f"{text_of(question.subject)}-{text_of(question.target)}"


def _suggestion(one: _Question, effect: float, certainty: float, names: Mapping[int, str]) -> Suggestion:
    first, second = (names.get(node[1]) if node[0] == "p" else None for node in (one.subject, one.target))
    return Suggestion(
        _id_of(one),
        effect,
        certainty,
        one.distance,
        one.subject,
        one.target,
        one.faces,
        (first, second),
        one.counts,
        one.doubt,
    )

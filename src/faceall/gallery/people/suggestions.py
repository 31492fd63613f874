"""Questions to a user: is this the same person? The most certain ones come first, and answers improve the order.

Every person, unnamed group and face without a person is compared with the people and groups nearest to it. The
certainty is a logistic regression on the mean distance between two sets of faces, relative to the threshold of the
gallery's searches (`decisions`), on their sizes, and on how often a suggestion of the person was declined. It starts
from fixed weights and is fitted again to the answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.errors import ArgumentError, UnknownPersonError
from faceall.gallery.people.aliases import add_alias
from faceall.gallery.people.names import unknown_face
from faceall.gallery.people.recording import recording
from faceall.gallery.records import Said
from faceall.gallery.store import Store
from faceall.types import Float32Array

MOST = 20_000
"""The largest number of people, groups and faces that are compared; larger groups first."""

_KEY = "answers"
_KEPT = 2000  # answers
_NEAREST = 3  # candidates of each
_LEAST = 0.005  # certainty of a suggestion
_BLOCK = 2048
_ID = re.compile(r"([fp])([0-9]{1,18})-([fp])([0-9]{1,18})")
_START = np.array([0.0, 8.0, 0.3, 0.2, -0.5])
_PRECISION = np.array([0.2, 0.05, 1.0, 1.0, 1.0])  # of the weights at the start

Float64Array: TypeAlias = npt.NDArray[np.float64]

Node = tuple[str, int]
"""("p", row of a person or group) or ("f", key of a face without a person)."""


@dataclass(frozen=True)
class Suggestion:
    """Two sets of faces that may be one person.

    Attributes
    ----------
    id : str
        For the answer.
    certainty : float
        Estimated probability that they are the same person, 0..1.
    distance : float
        Mean squared L2 distance between a face of one and a face of the other, 0..4.
    subject, target : tuple of (str, int)
        ("p", person id) or ("f", face id).
    faces : tuple of (int, int)
        A face of each that shows them well.
    names : tuple of (str or None, str or None)
        What they are called; None for a face without a person.
    """

    id: str
    certainty: float
    distance: float
    subject: Node
    target: Node
    faces: tuple[int, int]
    names: tuple[str | None, str | None]


@dataclass(frozen=True, eq=False)
class _Nodes:
    """What is compared: sums of unit vectors (n, D), numbers of faces (n,), photos and first faces."""

    nodes: list[Node]
    sums: Float32Array
    counts: Float64Array
    photos: list[set[int]]
    members: list[list[int]]


def suggest(store: Store, *, limit: float, most: int) -> list[Suggestion]:
    """Return the most certain suggestions that were not answered.

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
        if len(nodes.nodes) < 2:
            return []
        answers = read_answers(store)
        pairs = _candidates(store, nodes, limit)
        features = np.array([pair[2] for pair in pairs]).reshape(-1, len(_START))
        declined = answers.get("declined", {})
        for row, (_, target, _) in zip(features, pairs, strict=True):
            row[-1] = np.log1p(declined.get(_text(nodes.nodes[target]), 0))
        certainty = _sigmoid(features @ fitted(answers))
        skipped = answers.get("skipped", {})
        order = sorted(
            range(len(pairs)), key=lambda number: (_times(skipped, nodes, pairs[number]), -certainty[number])
        )
        chosen = [number for number in order if certainty[number] >= _LEAST][:most]
        names = store.people.names([node[1] for node in nodes.nodes if node[0] == "p"])
        return [_suggestion(nodes, pairs[number], float(certainty[number]), limit, names) for number in chosen]


def answer(store: Store, suggestion: str, said: Said, *, limit: float) -> None:
    """Answer a suggestion: merge or assign for yes, remember for no, ask later for skip.

    Raises
    ------
    ArgumentError
        The id or the answer is not one.
    UnknownPersonError, UnknownFaceError
        One of them is gone; it was merged or assigned meanwhile.
    """
    found = _ID.fullmatch(suggestion)
    if found is None:
        raise ArgumentError(f"suggestion is {suggestion[:40]!r}, expected the id of a suggestion, such as 'p3-p1'")
    if said not in ("yes", "no", "skip"):
        raise ArgumentError(f"answer is {said!r}, expected yes, no or skip")
    subject, target = (found[1], int(found[2])), (found[3], int(found[4]))
    with recording(store, "same" if said == "yes" else "different") as details:
        _check(store, subject)
        _check(store, target)
        _learn(store, suggestion, subject, target, said, limit)
        if said == "skip":
            return
        if target[0] == "f":
            target = _as_group(store, target[1])
        (_accept if said == "yes" else _decline)(store, subject, target, details)


def read_answers(store: Store) -> dict[str, Any]:
    """Return the answers so far: features and answers, how often a person was declined, what was skipped."""
    values = store.setting(_KEY)
    return values if isinstance(values, dict) else {}


def fitted(answers: Mapping[str, Any]) -> Float64Array:
    """Fit the weights to the answers: the maximum a posteriori by Newton's method, (5,) float64."""
    rows = np.array([row[:-1] for row in answers.get("said", [])], np.float64).reshape(-1, len(_START))
    said = np.array([row[-1] for row in answers.get("said", [])], np.float64)
    weights = _START.copy()
    for _ in range(12):
        expected = _sigmoid(rows @ weights)
        gradient = rows.T @ (said - expected) - _PRECISION * (weights - _START)
        curvature = (rows * (expected * (1 - expected))[:, None]).T @ rows + np.diag(_PRECISION)
        weights = weights + np.clip(np.linalg.solve(curvature, gradient), -3, 3)
    return weights


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
    sums = [store.faces.vectors(groups[node][0]).sum(axis=0) for node in nodes]
    counts = np.array([len(groups[node][0]) for node in nodes], np.float64)
    stacked = np.stack(sums) if sums else np.zeros((0, 1), np.float32)
    return _Nodes(nodes, stacked, counts, [groups[node][1] for node in nodes], [groups[node][0] for node in nodes])


def _candidates(store: Store, nodes: _Nodes, limit: float) -> list[tuple[int, int, list[float]]]:
    """Return the nearest pairs (subject, target, features) that nothing forbids; each pair once."""
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
    return [(*pair, features(distance, nodes.counts[list(pair)], limit)) for pair, distance in found.items()]


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


def features(distance: float, counts: Sequence[float] | Float64Array, limit: float) -> list[float]:
    """Return what the certainty depends on; the last one, how often the target was declined, is 0."""
    return [1.0, 1 - distance / limit, float(np.log(min(counts))), float(np.log(max(counts))), 0.0]


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


def _times(skipped: Mapping[str, int], nodes: _Nodes, pair: tuple[int, int, list[float]]) -> int:
    return skipped.get(f"{_text(nodes.nodes[pair[0]])}-{_text(nodes.nodes[pair[1]])}", 0)


def _suggestion(
    nodes: _Nodes, pair: tuple[int, int, list[float]], certainty: float, limit: float, names: Mapping[int, str]
) -> Suggestion:
    one, other = nodes.nodes[pair[0]], nodes.nodes[pair[1]]
    faces = tuple(_typical(nodes, number) for number in pair[:2])
    called = tuple(names.get(node[1]) if node[0] == "p" else None for node in (one, other))
    distance = (1 - pair[2][1]) * limit
    return Suggestion(f"{_text(one)}-{_text(other)}", certainty, distance, one, other, faces, called)  # type: ignore[arg-type]


def _typical(nodes: _Nodes, number: int) -> int:
    return nodes.members[number][0]


def _text(node: Node) -> str:
    return f"{node[0]}{node[1]}"


def _sigmoid(values: Float64Array) -> Float64Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float64)


def _check(store: Store, node: Node) -> None:
    """Refuse a node that is gone, or a face that belongs to a person by now."""
    kind, row = node
    if kind == "p" and row not in store.people.names([row]):
        raise UnknownPersonError(f"no one in the gallery has the id {row}")
    if kind == "f" and store.faces.owners([row]).get(row, 0) is not None:
        raise (
            unknown_face(store, row)
            if row not in store.faces
            else UnknownPersonError(f"face {row} was assigned to a person meanwhile")
        )


def _learn(store: Store, suggestion: str, subject: Node, target: Node, said: Said, limit: float) -> None:
    """Keep an answer with its features."""
    answers = read_answers(store)
    if said == "skip":
        skipped = answers.setdefault("skipped", {})
        skipped[suggestion] = skipped.get(suggestion, 0) + 1
    else:
        declined = answers.setdefault("declined", {})
        sums = [store.faces.vectors(_members(store, node)) for node in (subject, target)]
        mean = float(sums[0].mean(axis=0) @ sums[1].mean(axis=0))
        row = features(2 - 2 * mean, [len(one) for one in sums], limit)
        row[-1] = float(np.log1p(declined.get(_text(target), 0)))
        answers["said"] = [*answers.get("said", []), [*row, int(said == "yes")]][-_KEPT:]
        if said == "no":
            declined[_text(target)] = declined.get(_text(target), 0) + 1
    store.put_setting(_KEY, answers)


def _members(store: Store, node: Node) -> list[int]:
    return store.people.faces(node[1]) if node[0] == "p" else [node[1]]


def _as_group(store: Store, face: int) -> Node:
    """Make a group of one face, so that an answer about it can be kept."""
    row = store.people.open_cluster()
    store.faces.assign([face], row)
    return "p", row


def _accept(store: Store, subject: Node, target: Node, details: dict[str, Any]) -> None:
    person = store.people.names([target[1]])[target[1]]
    faces = _members(store, subject)
    details.update(person=person, faces=len(faces), who="show" if len(faces) > 1 else "shows")
    if subject[0] == "f":
        store.people.confirm(faces, target[1])
        store.faces.assign(faces, target[1])
        return
    old = store.people.names([subject[1]])[subject[1]]
    if subject[1] not in store.people.clusters() and old != person:
        add_alias(store, old, person)
    store.people.merge(subject[1], target[1])


def _decline(store: Store, subject: Node, target: Node, details: dict[str, Any]) -> None:
    names = store.people.names([node[1] for node in (subject, target) if node[0] == "p"])
    details["second"] = names[target[1]]
    if subject[0] == "f":
        details["first"] = f"face {subject[1]}"
        store.people.reject({subject[1]: target[1]})
    else:
        details["first"] = names[subject[1]]
        store.people.tell_apart(subject[1], target[1])

"""Answers to suggestions: what they change, and what is learnt from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from faceall.errors import ArgumentError, UnknownPersonError
from faceall.gallery.people.aliases import add_alias
from faceall.gallery.people.names import unknown_face
from faceall.gallery.people.questions.certainty import features
from faceall.gallery.people.questions.doubts import Doubt, divided
from faceall.gallery.people.recording import recording
from faceall.gallery.records import Said
from faceall.gallery.store import Store

_KEY = "answers"
_KEPT = 2000  # answers
_ID = re.compile(r"([fp])([0-9]{1,18})-([fp])([0-9]{1,18})")

Node: TypeAlias = tuple[str, int]
"""("p", row of a person or group) or ("f", key of a face)."""


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
        _check(store, target)
        doubt = _doubt_of(store, subject, target)
        if doubt is None:
            _check(store, subject)
        sets: tuple[Sequence[int], Sequence[int]] = (
            (_members(store, subject), _members(store, target)) if doubt is None else (doubt.part, doubt.rest)
        )
        _learn(store, suggestion, target, sets, said, limit)
        if said == "skip":
            return
        if doubt is not None:
            (_keep if said == "yes" else _move_out)(store, doubt, details)
            return
        if target[0] == "f":
            target = _as_group(store, target[1])
        (_accept if said == "yes" else _decline)(store, subject, target, details)


def read_answers(store: Store) -> dict[str, Any]:
    """Return the answers so far: features and answers, how often a person was declined, what was skipped."""
    values = store.setting(_KEY)
    return values if isinstance(values, dict) else {}


def text_of(node: Node) -> str:
    """Return a node as it is written in the id of a suggestion."""
    return f"{node[0]}{node[1]}"


def _doubt_of(store: Store, subject: Node, target: Node) -> Doubt | None:
    """Return the part of a person that a question is about; None if the subject does not belong to the target."""
    if (subject[0], target[0]) != ("f", "p") or store.faces.owners([subject[1]]).get(subject[1]) != target[1]:
        return None
    hidden = store.faces.hidden()
    keys = [key for key in store.people.faces(target[1]) if key not in hidden]
    if len(keys) < 2:
        return None
    found = divided(store, target[1], keys)
    if subject[1] in found.part:
        return found
    return Doubt(target[1], (subject[1],), tuple(key for key in keys if key != subject[1]), found.distance)


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


def _learn(
    store: Store, suggestion: str, target: Node, sets: Sequence[Sequence[int]], said: Said, limit: float
) -> None:
    """Keep an answer with its features."""
    answers = read_answers(store)
    if said == "skip":
        skipped = answers.setdefault("skipped", {})
        skipped[suggestion] = skipped.get(suggestion, 0) + 1
    else:
        declined = answers.setdefault("declined", {})
        sums = [store.faces.vectors(keys) for keys in sets]
        mean = float(sums[0].mean(axis=0) @ sums[1].mean(axis=0))
        row = features(2 - 2 * mean, [len(one) for one in sums], limit)
        row[-1] = float(np.log1p(declined.get(text_of(target), 0)))
        answers["said"] = [*answers.get("said", []), [*row, int(said == "yes")]][-_KEPT:]
        if said == "no":
            declined[text_of(target)] = declined.get(text_of(target), 0) + 1
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


def _keep(store: Store, doubt: Doubt, details: dict[str, Any]) -> None:
    """Remember that a part of a person's faces belongs to the person."""
    person = store.people.names([doubt.person])[doubt.person]
    details.update(person=person, faces=len(doubt.part), who="show" if len(doubt.part) > 1 else "shows")
    store.people.confirm(doubt.part, doubt.person)


def _move_out(store: Store, doubt: Doubt, details: dict[str, Any]) -> None:
    """Move a part of a person's faces to a group of its own, or leave one face without a person."""
    several = len(doubt.part) > 1
    details["first"] = f"{len(doubt.part)} faces" if several else f"face {doubt.part[0]}"
    details["second"] = store.people.names([doubt.person])[doubt.person]
    store.people.reject(dict.fromkeys(doubt.part, doubt.person))
    group = store.people.open_cluster() if several else None
    store.faces.assign(list(doubt.part), group)
    if group is not None:
        store.people.tell_apart(group, doubt.person)


def _decline(store: Store, subject: Node, target: Node, details: dict[str, Any]) -> None:
    names = store.people.names([node[1] for node in (subject, target) if node[0] == "p"])
    details["second"] = names[target[1]]
    if subject[0] == "f":
        details["first"] = f"face {subject[1]}"
        store.people.reject({subject[1]: target[1]})
    else:
        details["first"] = names[subject[1]]
        store.people.tell_apart(subject[1], target[1])

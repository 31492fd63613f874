"""What users said in a gallery in Milvus: notes whose keys name a face (key) and a person (row), or two people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from faceall.gallery.milvus.identity import condition_begins
from faceall.gallery.milvus.work import Work

REFUSED = "refusal/"
CONFIRMED = "confirmed/"
DISTINCT = "distinct/"
KINDS = (REFUSED, CONFIRMED, DISTINCT)
"""Prefixes of the keys: a face does not show a person, it shows them, two people (the smaller row first) differ."""

_FACES = 50  # faces per request


def pairs(work: Work, kind: str) -> Iterator[tuple[int, int]]:
    """Yield face and person, or two people, of the notes of a kind."""
    for row in work.notes.where(condition_begins("key", kind), lambda row: str(row["key"]).startswith(kind)):
        _, first, second = str(row["key"]).split("/")
        yield int(first), int(second)


def read_said(work: Work, faces: Iterable[int]) -> None:
    """Read what users said of some faces into a unit of work that only reads, in few requests."""
    fresh = [face for face in faces if face not in work.said]
    for start in range(0, len(fresh), _FACES):
        group = fresh[start : start + _FACES]
        begins = [f"{kind}{face}/" for kind in (REFUSED, CONFIRMED) for face in group]
        condition = " or ".join(f"({condition_begins('key', begin)})" for begin in begins)
        found: dict[int, dict[str, set[int]]] = {face: {REFUSED: set(), CONFIRMED: set()} for face in group}
        for row in work.notes.where(condition, lambda _: False):
            kind, face, person = str(row["key"]).split("/")
            found[int(face)][f"{kind}/"].add(int(person))
        work.said |= found


def say(work: Work, kind: str, first: int, second: int) -> None:
    """Note something of a face and a person, or of two people."""
    work.notes.put({"key": f"{kind}{first}/{second}", "value": {}})


def merge_people(work: Work, source: int, target: int) -> None:
    """Let what was said of one person count for the one they are merged into."""
    for kind in KINDS:
        for first, second in list(pairs(work, kind)):
            if source not in ((first, second) if kind == DISTINCT else (second,)):
                continue
            work.notes.drop(f"{kind}{first}/{second}")
            new = (target if kind == DISTINCT and first == source else first, target if second == source else second)
            if kind == DISTINCT:
                new = (min(new), max(new))
            if kind != DISTINCT or new[0] != new[1]:
                say(work, kind, *new)

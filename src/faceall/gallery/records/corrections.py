"""corrections.json of a bundle: what users said about faces and people, and the history of changes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from faceall.gallery.records.bundles import UUID, as_json
from faceall.gallery.records.checks import TIME, expect, matching, text

CORRECTIONS = "corrections.json"
"""The entry; a bundle without judgements and history has none."""

_TIMES = "a time like 2026-01-31T12:00:00Z"
_KIND = re.compile(r"[a-z-]{1,40}", re.ASCII)
_MOST_DETAILS = 100_000


@dataclass(frozen=True)
class Corrections:
    """Judgements (subject, person, same, made) and changes (id, kind, made, author, details), as JSON values."""

    judgements: tuple[dict[str, Any], ...] = ()
    history: tuple[dict[str, Any], ...] = ()

    def limited(self, ids: Collection[str]) -> Corrections:
        """Return only the judgements about faces and people with some ids, without the history."""
        kept = (one for one in self.judgements if one["subject"] in ids and one["person"] in ids)
        return Corrections(tuple(kept))

    def to_bytes(self) -> bytes:
        """Return the text of the entry; empty if there is nothing to write."""
        if not self.judgements and not self.history:
            return b""
        return as_json({"judgements": list(self.judgements), "history": list(self.history)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Corrections:
        """Read the entry, field by field. Raises FlawError."""
        try:
            values = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError):
            values = None
        expect(isinstance(values, dict), "the entry", type(values).__name__, "a JSON object")
        lists = [values.get("judgements"), values.get("history")]
        expect(all(isinstance(one, list) for one in lists), "judgements and history", lists, "lists")
        return cls(tuple(map(_judgement, lists[0])), tuple(map(_change, lists[1])))


def _judgement(values: Any) -> dict[str, Any]:
    expect(isinstance(values, dict), "a judgement", values, "an object")
    same = values.get("same")
    expect(isinstance(same, bool), "same", same, "true or false")
    ids = {name: matching(values, name, UUID, "a UUID in lower case") for name in ("subject", "person")}
    return {**ids, "same": same, "made": matching(values, "made", TIME, _TIMES)}


def _change(values: Any) -> dict[str, Any]:
    expect(isinstance(values, dict), "a change", values, "an object")
    details, author = values.get("details"), values.get("author")
    expect(isinstance(details, dict) and len(as_json(details)) <= _MOST_DETAILS, "details", details, "an object")
    return {
        "id": matching(values, "id", UUID, "a UUID in lower case"),
        "kind": matching(values, "kind", _KIND, "a word"),
        "made": matching(values, "made", TIME, _TIMES),
        "author": text(values, "author", 1000) if author else "",
        "details": details,
    }

"""The words of the pages: one JSON file per language in `texts/`, with the same keys in each.

A text may hold values in braces, `{name}`; one that depends on a number is an object with the plural forms of the
language, `{"one": ..., "other": ...}` in English and `{"other": ...}` in Chinese.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from faceall.errors import FaceallError

LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}
"""The languages that ship, each by its own name; the first is the one for everybody else."""


@dataclass(frozen=True)
class Texts:
    """The texts of one language; call it with a key such as "people.title" and the values of its braces."""

    language: str
    entries: Mapping[str, Any]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key. Raises FaceallError for a key that is not there or that needs a number."""
        text = self._find(key)
        if not isinstance(text, str):
            raise FaceallError(f"texts/{self.language}.json: {key!r} has plural forms; it needs a number")
        return text.format(**values)

    def count(self, key: str, number: int, **values: object) -> str:
        """The plural form of a key that fits a number, which is its value `count`. Raises as a call does."""
        forms = self._find(key)
        if not isinstance(forms, Mapping) or not isinstance(forms.get("other"), str):
            raise FaceallError(f"texts/{self.language}.json: {key!r} has no plural forms")
        form: str = forms["one"] if number == 1 and "one" in forms else forms["other"]
        return form.format(count=number, **values)

    def has(self, key: str) -> bool:
        """Whether there is such a text, for keys that are made from what the server says."""
        return _look_up(self.entries, key) is not None

    def for_scripts(self) -> dict[str, Any]:
        """The texts that the pages' scripts show: what happened to a picture, what went wrong, and progress."""
        return {room: self.entries[room] for room in ("common", "outcome", "problems", "script")}

    def _find(self, key: str) -> object:
        found = _look_up(self.entries, key)
        if found is None:
            raise FaceallError(f"texts/{self.language}.json has no text {key!r}")
        return found


@cache
def load_texts(language: str) -> Texts:
    """Read the texts of one language of `LANGUAGES`. Raises FaceallError for another."""
    if language not in LANGUAGES:
        raise FaceallError(f"no texts in {language!r}; there are {', '.join(LANGUAGES)}")
    content = files("faceall.web").joinpath("texts", f"{language}.json").read_text(encoding="utf-8")
    return Texts(language, json.loads(content))


def _look_up(entries: Mapping[str, Any], key: str) -> object:
    found: object = entries
    for name in key.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found

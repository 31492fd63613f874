"""`Texts`: the translations of the pages, one JSON file per language in `texts/` with the same keys.

A text may contain placeholders, `{name}`. A text that depends on a number is an object with the plural forms of the
language, `{"one": ..., "other": ...}` in English and `{"other": ...}` in Chinese.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from faceall.errors import FaceallError

LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}
"""The languages and their own names; the first is the default."""


_URL = re.compile(r"^https?://\S+: ")  # of a download that failed


@dataclass(frozen=True)
class Texts:
    """The texts of one language; call it with a key such as "people.title" and the values of its placeholders."""

    language: str
    entries: Mapping[str, Any]

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of a key.

        Raises
        ------
        FaceallError
            If there is no such text, or it has plural forms.
        """
        text = self._find(key)
        if not isinstance(text, str):
            raise FaceallError(f"texts/{self.language}.json: {key!r} has plural forms; it needs a number")
        return text.format(**values)

    def count(self, key: str, number: int, **values: object) -> str:
        """Return the plural form of a key for a number, which is the placeholder `count`.

        Raises
        ------
        FaceallError
            If there is no such text, or it has no plural forms.
        """
        forms = self._find(key)
        if not isinstance(forms, Mapping) or not isinstance(forms.get("other"), str):
            raise FaceallError(f"texts/{self.language}.json: {key!r} has no plural forms")
        form: str = forms["one"] if number == 1 and "one" in forms else forms["other"]
        return form.format(count=number, **values)

    def remark(self, message: str) -> str | None:
        """Return an English message of the server in this language; None if it is not known."""
        said = _URL.sub("", message)
        for pattern, name in _remarks():
            if found := re.search(pattern.replace("(?<", "(?P<"), said):
                return self(f"remarks.{name}", **{key: value or "" for key, value in found.groupdict().items()})
        return None

    def has(self, key: str) -> bool:
        """Return whether a text exists, for keys that are made from data."""
        return _look_up(self.entries, key) is not None

    def for_scripts(self) -> dict[str, Any]:
        """Return the texts that scripts need."""
        return {
            section: self.entries[section]
            for section in ("changes", "common", "notes", "outcome", "problems", "remarks", "script")
        } | ({} if self.language == "en" else {"patterns": _remarks()})

    def _find(self, key: str) -> object:
        found = _look_up(self.entries, key)
        if found is None:
            raise FaceallError(f"texts/{self.language}.json has no text {key!r}")
        return found


@cache
def _remarks() -> list[list[str]]:
    """Read the patterns of messages: regular expressions (of JavaScript), and the keys of their texts."""
    content = files("faceall.web").joinpath("texts", "remarks.json").read_text(encoding="utf-8")
    found: list[list[str]] = json.loads(content)
    return found


@cache
def load_texts(language: str) -> Texts:
    """Read the texts of one of `LANGUAGES`.

    Raises
    ------
    FaceallError
        For another language.
    """
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

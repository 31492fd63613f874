"""The words of replaced_words.md do not come back; docs/glossary.md has those that are used."""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from places import ROOT

REPLACED = ROOT / "tests" / "replaced_words.md"
FOLDERS = ("src", "cli", "docs", "examples", "benchmarks", "scripts", "ios_export")
SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".json", ".swift", ".toml", ""}


def _table(heading: str) -> list[list[str]]:
    """Rows of the table below a heading, without header and ruler."""
    section = REPLACED.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


RULES = {row[0]: row[1].strip("`") for row in _table("Replaced words")}
EXCEPTIONS = [(row[0].strip("`"), row[1].strip("`")) for row in _table("Exceptions")]


def _plain(text: str) -> str:
    """Text with identifiers taken apart: `PictureHeader`, `_read_picture` become separate words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text.replace("_", " "))


def _pattern(rule: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{rule})(?![A-Za-z0-9])", re.IGNORECASE)


@cache
def _texts() -> dict[str, list[tuple[str, int]]]:
    """The lines of every file that is checked, as `_joined` gives them."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if not path.is_file() or path.suffix not in SUFFIXES or "/." in f"/{name}":
                continue
            if "__pycache__" in name or "node_modules" in name:
                continue
            try:
                found[name] = _joined(path)
            except UnicodeDecodeError:
                continue
    found["README.md"] = _joined(ROOT / "README.md")
    return found


def _joined(path: Path) -> list[tuple[str, int]]:
    """Each line with the first words of the next, and how long the line itself is."""
    lines = [_plain(line).rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    nexts = [" ".join(line.lstrip(" #/*\"'-").split()[:2]) for line in [*lines, ""][1:]]
    return [(f"{line} {after}", len(line)) for line, after in zip(lines, nexts, strict=True)]


def _find(pattern: re.Pattern[str], line: tuple[str, int]) -> str | None:
    """The first match that begins in the line itself."""
    text, length = line
    return next((match[0] for match in pattern.finditer(text) if match.start() < length), None)


def _excused(name: str, word: str) -> bool:
    return any(fnmatch(name, pattern) and one in (word, "all") for pattern, one in EXCEPTIONS)


def _found(word: str) -> list[str]:
    """Every place of a word as PATH:LINE: MATCH, without those that an exception allows."""
    pattern = _pattern(RULES[word])
    return [
        f"{name}:{number}: {match}"
        for name, lines in _texts().items()
        if not _excused(name, word)
        for number, line in enumerate(lines, 1)
        if (match := _find(pattern, line))
    ]


@pytest.mark.parametrize("word", RULES)
def test_replaced_word_does_not_come_back(word: str) -> None:
    """No file has a replaced word, unless an exception gives the reason."""
    if not (ROOT / "src").is_dir():
        pytest.skip("needs the source tree")
    found = _found(word)
    assert not found, f"{len(found)} times; see tests/replaced_words.md:\n" + "\n".join(found[:40])


def test_patterns_see_identifiers_and_line_breaks(tmp_path: Path) -> None:
    """A word is found in snake case, in camel case and across a line break, not inside another word."""
    file = tmp_path / "text.py"
    file.write_text("def read_picture(): ...\nclass PictureHeader: ...\n# we take\n#   up photos\ndepictures\n")
    lines = _joined(file)
    assert [bool(_find(_pattern("pictures?"), line)) for line in lines] == [True, True, False, False, False]
    assert [bool(_find(_pattern("take up"), line)) for line in lines] == [False, False, True, False, False]


def test_exceptions_are_needed() -> None:
    """Every exception names a word of the table and files that exist."""
    if not (ROOT / "src").is_dir():
        pytest.skip("needs the source tree")
    for files, word in EXCEPTIONS:
        assert word in RULES or word == "all", word
        assert any(ROOT.glob(files)), files


if __name__ == "__main__":
    for rule in RULES:
        print(
            *(f"{place}    [{rule}]" for place in _found(rule) if place.startswith(tuple(sys.argv[1:]) or "")), sep="\n"
        )

"""Guess whether the name of a file or folder is that of a person."""

from __future__ import annotations

import os
import re

from faceall.arguments import checked
from faceall.gallery.naming.form import fitting_name
from faceall.gallery.naming.words import COLLECTION_WORDS, COUNTRIES, EVENT_WORDS, MONTH_NAMES, PROGRAM_WORDS

_MAX_WORDS = 5  # in the name of a person's folder

_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?!\d)"  # 2024
    r"|(?<!\d)(?:19|20)\d{6}(?!\d)"  # 20240115
    r"|(?<!\d)\d{1,2}[.\-]\d{1,2}[.\-]\d{2,4}(?!\d)"  # 15.1.2024
)

_JOINED = re.compile(r"\s+(?:and|und|et|og|och|en|with|mit)\s+|\s*[&+＆＋]\s*|\s+[和与與]\s+", re.IGNORECASE)

_DCF_FOLDER = re.compile(r"\d{3}[A-Z0-9_]{5}")  # 100APPLE, 101_PANA (the DCF standard of cameras)

_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)

_HASH = re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE)

_WORD = r"(?<![^\W\d_])"  # not the end of a longer word, as in "Kemp"

# What follows a name in a file: copies, edits, dates, times, counters. Removed from the end until nothing changes.
_ENDINGS = tuple(re.compile(rf"[\s_.\-~]*(?:{ending})$", re.IGNORECASE) for ending in (
    rf"[(\[]?(?:{_WORD}(?:copy|kopie|copie|copia|kopia)|副本|コピー)(?:[\s_]*(?:of|von|de)?)[\s_]*[(\[]?\d*[)\]]*",
    rf"{_WORD}(?:edit|edited|bearbeitet|modified|retouch(?:ed)?|hdr|bw|collage|animation|effects|portrait|mp|burst|cover)",
    rf"{_WORD}final|\d+x\d+",
    r"(?:at|um|à)?[\s_]*\d{1,2}[.\-_:h]\d{2}(?:[.\-_:m]\d{2}s?)?(?:[\s_]*[ap]m)?",
    r"(?:19|20)\d\d(?:[\s_.\-]?\d\d){0,2}",
    r"\d{1,2}[.\-_]\d{1,2}[.\-_](?:\d{4}|\d\d)",
    r"[(\[]?\d+[)\]]?",
))  # fmt: skip

# What precedes a name in a file: "Copy of Ada", "2024-01-15 Ada".
_COPY_OF = re.compile(
    r"^(?:copy|kopie|copie|copia|kopia)[\s_]*(?:\(\d+\)[\s_]*)?(?:of|von|van|de|di|av)[\s_]+", re.IGNORECASE
)
_DATE_BEFORE = re.compile(
    r"^(?:(?:19|20)\d\d[_.\-]?\d\d[_.\-]?\d\d|\d{1,2}[.\-]\d{1,2}[.\-](?:\d{4}|\d\d))"  # 2024-01-15, 15.1.2024
    r"(?:[\s_]+\d{1,2}[.\-_:h]?\d\d(?:[.\-_:m]?\d\d)?)?[\s_\-]+(?=[^\W\d_])"  # 12.00.00
)
_CAMERA_FILE = re.compile(r"(?:_?MG|SAM)_\d")  # Canon's _MG_1234, Samsung's SAM_1234


@checked
def person_in_name(name: str, *, files: bool = True) -> str | None:
    """Return the person that the name of an uploaded file suggests, with the folders in it; None if it suggests none.

    `Ada/1.jpg` and `ada_2.jpg` suggest a person, `IMG_0042.jpg` and `1.jpg` do not; without `files` only folders do.
    """
    *folders, file = [fitting_name(part) for part in re.split(r"[/\\]", name) if part.strip()] or [""]
    named = next(filter(looks_like_person, reversed(folders)), None)
    return named or (person_in_stem(os.path.splitext(file)[0]) if files else None)


def person_in_stem(stem: str) -> str | None:
    """Return the person that a file's stem names, without dates, counters, copies and edits; None for none."""
    name = fitting_name(stem)
    if _UUID.search(name) or _HASH.fullmatch(name) or _CAMERA_FILE.match(name):
        return None
    name, dated = _DATE_BEFORE.subn("", _COPY_OF.sub("", name))
    before = None
    while before != name:
        before = name
        for ending in _ENDINGS:
            name = ending.sub("", name)
    name = name.strip(" _.-~")
    fits = looks_like_person if dated else can_be_name  # "2024-01-15 Wedding" is an event
    return name if fits(name) and not re.search(r"\d", name) else None


def looks_like_person(name: str) -> bool:
    """Return whether a folder's name looks like that of one person: no date, no camera, program, event or country."""
    looks_right = can_be_name(name) and len(name.split()) <= _MAX_WORDS and not _JOINED.search(name)
    return looks_right and not _words(name) & EVENT_WORDS and not _names_month(name) and not _names_country(name)


def _names_month(name: str) -> bool:
    """Return whether a name is a number and a month that is a first name too: "05 Mai"."""
    return bool(re.search(r"\d", name)) and _words(name) <= MONTH_NAMES


def _names_country(name: str) -> bool:
    """Return whether a name is that of a country, apart from words for collections."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return " ".join(word for word in words if word not in COLLECTION_WORDS - {"new"}) in COUNTRIES


def names_event(name: str) -> bool:
    """Return whether a folder's name has a word of an event or a place, such as "Summer party 2019"."""
    return bool(_words(name) & EVENT_WORDS)


def names_two_people(name: str) -> bool:
    """Return whether a folder's name joins the names of two people: "Ada and Bob", "Ada + Bob", "Ada & Bob"."""
    parts = _JOINED.split(name)
    return len(parts) > 1 and all(map(looks_like_person, parts))


def can_be_name(name: str) -> bool:
    """Return whether a name can be a person's: letters, no date, not of a camera or a program."""
    words = _words(name)
    return (
        bool(words)
        and (sum(map(str.isalnum, name)) >= 2 or not name.isascii())
        and not words & PROGRAM_WORDS
        and not words <= COLLECTION_WORDS
        and not _DATE.search(name)
        and not _DCF_FOLDER.fullmatch(name)
        and not _UUID.search(name)
        and not _HASH.fullmatch(name)
    )


def _words(name: str) -> frozenset[str]:
    """Return the words of a name in lower case, those in camel case as a whole and in parts: WhatsAppImage."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return frozenset(re.findall(r"[^\W\d_]+", f"{name} {spaced}".casefold()))

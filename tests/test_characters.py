"""Characters that are not seen in a line."""

from __future__ import annotations

import pytest

from faceall.characters import invisible, is_control
from faceall_cli.console import shown


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Ada", ()),
        ("A\u202eda", (1,)),
        ("\u2066Ada\u2069", (0, 4)),
        ("A\u200bd\ufeffa\u00ad", (1, 3, 5)),
        ("A\u200dda", (1,)),
        ("\u0645\u06cc\u200c\u062e", ()),
        ("\U0001f468\u200d\U0001f469", ()),
        ("\u3164\u2800", (0, 1)),
    ],
)
def test_invisible_characters_are_found(text: str, places: tuple[int, ...]) -> None:
    """Overrides of direction, zero-width letters and blank letters; not the joiners that a script or emoji needs."""
    assert invisible(text) == set(places)


def test_ends_of_lines_are_control_characters() -> None:
    """Those of Unicode too."""
    assert [is_control(letter) for letter in "\n\x1b\u2028\u2029 a"] == [True, True, True, True, False, False]


def test_output_escapes_what_is_not_seen() -> None:
    """A path or name of an older gallery cannot turn or hide the rest of a line."""
    assert shown("photo\u202egpj.exe") == "photo\\u202egpj.exe"
    assert shown("a\u200bb\nc") == "a\\u200bb\\nc"
    assert shown("\u00c9milie \u0645\u06cc\u200c\u062e") == "\u00c9milie \u0645\u06cc\u200c\u062e"

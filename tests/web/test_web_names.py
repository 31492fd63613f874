"""Names as paths: safe on every file system, and the same when they come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.web.work.file_names import DEFAULT_NAME, as_sent, from_parts, to_parts

UNFIT = set('<>:"/\\|?*') | {chr(number) for number in range(32)}


@given(st.text(st.characters(), min_size=1, max_size=700))
def test_any_name_survives_as_a_path(name: str) -> None:
    """Every part is a fair name for a file: short, of harmless characters, neither hidden nor special."""
    parts = to_parts(name)
    assert from_parts(parts) == name
    for part in parts:
        assert 0 < len(part.encode()) <= 215
        assert not UNFIT & set(part)
        assert part[0] not in ".~ -"
        assert part[-1] not in ". "
    assert all(part.endswith("%") for part in parts[:-1])
    assert not parts[-1].endswith("%")


@given(st.text(st.characters(), min_size=1, max_size=300), st.text(st.characters(), min_size=1, max_size=300))
def test_other_names_are_other_paths(first: str, second: str) -> None:
    """And no path of a file is a folder of another."""
    one, other = to_parts(first), to_parts(second)
    assert (one == other) == (first == second)
    assert first == second or one != other[: len(one)]


def test_an_image_without_a_name_gets_one() -> None:
    """An empty name makes no empty path."""
    assert from_parts(to_parts("")) == DEFAULT_NAME


@pytest.mark.parametrize(
    ("sent", "name"), [("a%22b", 'a"b'), ("a%0D%0Ab", "a\nb"), ("a\r\nb", "a\nb"), ("100%25", "100%25"), ("é", "é")]
)
def test_what_browsers_escape_is_undone(sent: str, name: str) -> None:
    """Quotes and line ends; nothing else."""
    assert as_sent(sent) == name

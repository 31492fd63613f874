"""Upload names become paths that are safe on every file system, and are restored from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.web.work.file_names import DEFAULT_NAME, as_sent, from_parts, to_parts

UNFIT = set('<>:"/\\|?*') | {chr(number) for number in range(32)}


@given(st.text(st.characters(), min_size=1, max_size=700))
def test_any_name_round_trips_through_a_path(name: str) -> None:
    """Every part of the path is short, portable, and neither hidden nor reserved."""
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
def test_different_names_have_different_paths(first: str, second: str) -> None:
    """No path of a file is a folder of another."""
    one, other = to_parts(first), to_parts(second)
    assert (one == other) == (first == second)
    assert first == second or one != other[: len(one)]


def test_an_image_without_a_name_gets_one() -> None:
    """An empty name gets a default path."""
    assert from_parts(to_parts("")) == DEFAULT_NAME


@pytest.mark.parametrize(
    ("sent", "name"), [("a%22b", 'a"b'), ("a%0D%0Ab", "a\nb"), ("a\r\nb", "a\nb"), ("100%25", "100%25"), ("é", "é")]
)
def test_browser_escapes_are_undone(sent: str, name: str) -> None:
    """Escaped quotes and line ends are restored, nothing else."""
    assert as_sent(sent) == name

"""Groups of files are stored in order, one at a time, in the background or not."""

from __future__ import annotations

import threading

import pytest

from faceall.gallery.registration.commits import Commits


@pytest.mark.parametrize("background", [False, True])
def test_results_come_in_order(background: bool) -> None:
    """Every group is stored once and its results are returned once, in order."""
    stored: list[int] = []

    def store(group: list[int]) -> list[int]:
        stored.extend(group)
        return [10 * number for number in group]

    commits = Commits(store, background=background)
    found = [result for group in ([1, 2], [], [3], [4]) for result in commits.add(group)]
    found += commits.finish()
    commits.close()
    assert (stored, found) == ([1, 2, 3, 4], [10, 20, 30, 40])


def test_a_group_is_stored_while_the_caller_goes_on() -> None:
    """In the background, `add` returns before the group is stored; the next one waits for it."""
    going_on, running = threading.Event(), []

    def store(group: list[int]) -> list[int]:
        running.append(group)
        assert going_on.wait(30)
        return group

    commits = Commits(store, background=True)
    assert commits.add([1]) == []
    assert commits.stored() == []
    going_on.set()
    assert commits.add([2]) == [1]
    assert commits.finish() == [2]
    assert running == [[1], [2]]
    commits.close()


def test_an_error_is_raised_once() -> None:
    """An error in the background is raised where the results are asked for, and only there."""

    def store(group: list[int]) -> list[int]:
        raise ValueError(group)

    commits = Commits(store, background=True)
    commits.add([1])
    with pytest.raises(ValueError, match="1"):
        commits.finish()
    assert commits.finish() == []
    commits.close()

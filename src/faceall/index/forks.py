"""Close the databases of all open indexes while the process forks, and open them again on both sides.

SQLite keeps its locks per process, so a child must neither use nor close a connection of its parent, nor open a file
that the parent had open at that moment.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """An open index."""

    def before_fork(self) -> None:
        """Close the connections, unless they are in use."""

    def after_fork(self, *, child: bool) -> None:
        """Open them again; an index that was in use is closed in the child."""


_indexes: weakref.WeakSet[Forkable] = weakref.WeakSet()


def watch_forks(index: Forkable) -> None:
    """Call the methods of an index at every fork from now on."""
    _indexes.add(index)


def _before() -> None:
    for index in list(_indexes):
        index.before_fork()


def _after(child: bool) -> None:
    for index in list(_indexes):
        index.after_fork(child=child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=lambda: _after(child=False), after_in_child=lambda: _after(child=True)
    )

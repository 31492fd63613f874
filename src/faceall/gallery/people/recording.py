"""Recording changes of people with the name of their author."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from faceall.arguments import checked
from faceall.gallery.store import Store

_AUTHOR: ContextVar[str | None] = ContextVar("author", default=None)


@checked
@contextmanager
def acting_as(author: str) -> Iterator[None]:
    """Record changes inside under a name; outside it is that of the user of this computer."""
    token = _AUTHOR.set(author)
    try:
        yield
    finally:
        _AUTHOR.reset(token)


@checked
def act_as(name: str) -> None:
    """Record the changes of this thread (or asynchronous task) under a name from now on."""
    _AUTHOR.set(name)


def author() -> str:
    """Return who makes changes: the name of `acting_as`, else the user of this computer, "" if unknown."""
    given = _AUTHOR.get()
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in a container
        return ""


def recording(store: Store, kind: str, **details: Any) -> AbstractContextManager[dict[str, Any]]:
    """Return a context whose changes are one change in the history, all or nothing."""
    return store.journal.recording(kind, author(), details)

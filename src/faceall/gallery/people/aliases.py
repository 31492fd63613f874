"""The names of folders whose people were renamed, merged or unnamed afterwards.

Photos that are added to such a folder later belong to the person's current name.
"""

from __future__ import annotations

from collections.abc import Collection

from faceall.gallery.store import Store

_KEY = "aliases"


def read_aliases(store: Store) -> dict[str, str | None]:
    """Return the current name by former name; None for a name that was removed."""
    values = store.setting(_KEY)
    if not isinstance(values, dict):
        return {}
    return {str(old): None if new is None else str(new) for old, new in values.items()}


def forget_aliases(store: Store, names: Collection[str]) -> None:
    """Forget erased names, as a part of a change of `store`."""
    before = read_aliases(store)
    kept = {old: new for old, new in before.items() if old not in names and new not in names}
    if kept != before:
        store.put_setting(_KEY, kept or None)


def add_alias(store: Store, old: str, new: str | None) -> None:
    """Record that a person was renamed, or lost the name (None). Call it inside `store.changing()`."""
    before = read_aliases(store)
    aliases = {former: new if current == old else current for former, current in before.items()}
    aliases[old] = new
    if new is not None:
        aliases.pop(new, None)
    store.put_setting(_KEY, aliases)
    store.journal.put_aliases(before, aliases)

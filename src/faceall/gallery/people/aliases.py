"""The names of folders whose people were renamed, merged or unnamed afterwards.

Photos that are added to such a folder later belong to the person's current name.
"""

from __future__ import annotations

from faceall.gallery.store import Store

_KEY = "aliases"


def read_aliases(store: Store) -> dict[str, str | None]:
    """Return the current name by former name; None for a name that was removed."""
    values = store.setting(_KEY)
    if not isinstance(values, dict):
        return {}
    return {str(old): None if new is None else str(new) for old, new in values.items()}


def add_alias(store: Store, old: str, new: str | None) -> None:
    """Record that a person was renamed, or lost the name (None). Call it inside `store.changing()`."""
    aliases = {former: new if current == old else current for former, current in read_aliases(store).items()}
    aliases[old] = new
    if new is not None:
        aliases.pop(new, None)
    store.put_setting(_KEY, aliases)

"""Distinguish the address of a gallery in Milvus from a folder."""

from __future__ import annotations

import re

SCHEMES = ("milvus", "milvuss", "milvus-lite")

_ADDRESS = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+.-]+://|(?:{'|'.join(SCHEMES)}):)")


def is_address(place: object) -> bool:
    """Return whether a gallery is given as an address rather than as a folder.

    This includes unknown schemes: parsing the address then reports an error, and no folder of that name is created.
    """
    return isinstance(place, str) and _ADDRESS.match(place) is not None

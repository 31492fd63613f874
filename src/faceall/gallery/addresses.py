"""How an address of Milvus is told from a folder."""

from __future__ import annotations

SCHEMES = ("milvus", "milvuss", "milvus-lite")


def is_address(place: object) -> bool:
    """Whether a gallery is given as an address of Milvus rather than as a folder."""
    return isinstance(place, str) and place.partition("://")[0] in SCHEMES and "://" in place

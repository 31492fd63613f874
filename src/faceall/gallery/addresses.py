"""How an address of Milvus is told from a folder."""

from __future__ import annotations

import re

SCHEMES = ("milvus", "milvuss", "milvus-lite")

_ADDRESS = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+.-]+://|(?:{'|'.join(SCHEMES)}):)")


def is_address(place: object) -> bool:
    """Whether a gallery is given as an address rather than as a folder.

    One with an unknown or misspelt scheme is one, too: whoever reads it says so, and no folder of that name is made.
    """
    return isinstance(place, str) and _ADDRESS.match(place) is not None

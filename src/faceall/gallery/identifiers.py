"""Identifiers of people and faces that are the same on every device."""

from __future__ import annotations

import hashlib

__all__ = ["derived_id"]


def derived_id(*parts: str) -> str:
    """Return a UUID that follows from what it stands for, where no random one can be stored.

    Parameters
    ----------
    *parts : str
        What identifies the thing uniquely.

    Returns
    -------
    str
        A UUID of version 8 (RFC 9562): the same parts give the same one.
    """
    text = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:32]}"

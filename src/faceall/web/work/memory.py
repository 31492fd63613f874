"""`return_large_blocks`: make the C library return the memory of decoded images to the system."""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD = -3
_BLOCK_BYTES = 4 << 20


def return_large_blocks() -> bool:
    """Allocate blocks of 4 MiB or more by mmap, so that freeing them returns them to the system.

    By default glibc raises this threshold to 32 MiB after the first large block is freed. Many threads that decode
    large images then leave gigabytes in its arenas.

    Returns
    -------
    bool
        Whether the setting was changed; only glibc has it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, _BLOCK_BYTES))

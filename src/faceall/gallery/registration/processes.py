"""Worker processes of one machine: each uses its share of the cores and ends with its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def core_shares(count: int) -> list[frozenset[int]]:
    """Return the processor cores of each of `count` processes; empty if there are too few or unknown."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [frozenset(cores[number::count] if count <= len(cores) else ()) for number in range(count)]


def serve_parent(share: frozenset[int]) -> None:
    """Set up a new process: use a share of the cores, leave Ctrl-C to the parent, and end with the parent.

    An engine starts a thread per core it may use; without shares the threads of all processes would compete.
    """
    if share:
        os.sched_setaffinity(0, share)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End this process when its parent has ended, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Processes of one machine that work for a parent: each on its share of the cores, none outlives it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def core_shares(count: int) -> list[frozenset[int]]:
    """The processor cores of each of `count` processes; none where there are too few, or the system does not tell."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [frozenset(cores[number::count] if count <= len(cores) else ()) for number in range(count)]


def serve_parent(share: frozenset[int]) -> None:
    """In a new process: keep to a share of the cores, leave Ctrl-C to the parent, and go when it goes.

    An engine makes a thread for each core it may use; without shares the threads of all processes wait for each other.
    """
    if share:
        os.sched_setaffinity(0, share)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End this process when its parent has ended, however that came about."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Decide whether processes of this machine analyse the photos of a registration.

Threads of one process share Python's lock, which small photos hold for half of their time; large ones hardly need it.
Processes have to start and load the models, and each takes memory.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from faceall.analysis import Analyser
from faceall.cores import available_cores
from faceall.errors import WorkerLostError
from faceall.free_memory import free_memory
from faceall.gallery.naming import Candidate
from faceall.gallery.registration.scan import Scanner

if TYPE_CHECKING:
    from faceall.gallery.registration.workers import TeamWorkers

ENOUGH = 1000  # new photos; with 1,549 processes were measured to be a quarter faster, their start included
_SMALL = 256 << 10  # bytes of a photo that counts as small; measured were photos of 250 pixels and of 12 megapixels
_SAMPLE = 48  # files
_MAX_WORKERS = 4  # workers: one process stores the results of so many
_MEMORY_PER_WORKER = 1 << 30  # bytes that have to be free; it takes 300 to 400 MB, with large photos 800


def workers_for(candidates: Sequence[Candidate], scanner: Scanner, analyser: Analyser) -> TeamWorkers | None:
    """Return workers if they make a registration faster, judged by a sample of its files.

    Parameters
    ----------
    candidates : sequence of Candidate
        The files.
    scanner : Scanner
        Knows which of them need no analysis.
    analyser : Analyser
        What analyses them.

    Returns
    -------
    TeamWorkers or None
        None if this process had better do it.
    """
    if len(candidates) < ENOUGH or analyser.has_own_detector or not _are_many_small(candidates, scanner):
        return None
    from faceall.embed import Embedder

    if type(analyser.embedder) is not Embedder or not analyser.embedder.is_automatic:
        return None  # workers would make another one
    count = _possible_workers()
    if count < 2:
        return None
    from faceall.gallery.registration.local_workers import local_workers

    return local_workers(count)


def _possible_workers() -> int:
    """Return how many processes this machine has cores and memory for; 0 if they cannot be started."""
    memory = free_memory()
    count = min(_MAX_WORKERS, available_cores(), _MAX_WORKERS if memory is None else memory // _MEMORY_PER_WORKER)
    if count < 2 or multiprocessing.current_process().daemon:  # a daemon must not start processes
        return 0
    if getattr(sys, "frozen", False):  # a frozen program would start itself again
        return 0
    try:
        from faceall.processes import ProcessTeam

        with ProcessTeam(1) as team:
            team.result(team.submit(0, int))
    except (OSError, ImportError, NotImplementedError, WorkerLostError):
        return 0  # such as without semaphores in a container without /dev/shm, or at a limit of processes
    return count


def _are_many_small(candidates: Sequence[Candidate], scanner: Scanner) -> bool:
    """Whether enough files of a sample have to be analysed, and most of those are small."""
    sample = candidates[:: -(-len(candidates) // _SAMPLE)]
    unread = [file.candidate for file in scanner.look_up(sample) if file.result is None]
    if not unread or statistics.median(_size(one) for one in unread) > _SMALL:
        return False
    new = sum(scanner.is_new(candidate) for candidate in unread)
    return len(candidates) * new / len(sample) >= ENOUGH


def _size(candidate: Candidate) -> int:
    """Return the size of a file in bytes; 0 if it has gone."""
    try:
        return os.stat(candidate.path).st_size
    except OSError:
        return 0

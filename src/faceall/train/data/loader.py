"""Batches made ahead of time by threads, in an order that depends on nothing but their numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Batch = TypeVar("Batch")


def batches(
    make: Callable[[int], Batch], *, start: int, threads: int = 1, ahead: int = 4
) -> Iterator[tuple[int, Batch]]:
    """(number, make(number)) for start, start + 1, and so on without end.

    threads  how many batches are made at once, beside what the caller does with the ones before; 0 for none ahead
    ahead    how many finished ones wait at most

    What `make` raises is raised here, in its place.
    """
    number = start
    if threads == 0:
        while True:
            yield number, make(number)
            number += 1
    waiting: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="faceall-batches")
    try:
        while True:
            while len(waiting) < ahead:
                waiting.append(pool.submit(make, number + len(waiting)))
            yield number, waiting.popleft().result()
            number += 1
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def order(count: int, epoch: int, seed: int) -> npt.NDArray[np.int64]:
    """All numbers below `count`, shuffled; the same for the same epoch and seed."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def members(step: int, *, count: int, batch: int, seed: int) -> npt.NDArray[np.int64]:
    """Which of `count` items are in the batch of `step`: every item once an epoch, batches run on into the next."""
    places = np.arange(step * batch, (step + 1) * batch)
    epochs = places // count
    drawn = [order(count, int(epoch), seed)[places[epochs == epoch] % count] for epoch in np.unique(epochs)]
    return np.concatenate(drawn)

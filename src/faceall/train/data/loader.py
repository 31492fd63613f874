"""Prefetch batches with threads, in an order that depends only on their numbers."""

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
    """Yield (number, make(number)) for start, start + 1 and so on, without end.

    An exception of `make` is raised in place of its batch.

    Parameters
    ----------
    make : callable
        Creates the batch of a number.
    start : int
        The first number.
    threads : int
        Number of batches created concurrently in the background; 0 creates each when it is needed.
    ahead : int
        Largest number of finished batches that wait.

    Yields
    ------
    int
        The number.
    object
        The batch.
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
    """Shuffle the numbers below `count`.

    Parameters
    ----------
    count : int
        How many numbers.
    epoch, seed : int
        Determine the order.

    Returns
    -------
    (count,) int64
        A permutation.
    """
    return np.random.default_rng([seed, epoch]).permutation(count)


def members(step: int, *, count: int, batch: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the items of a batch; every item occurs once per epoch, and batches continue into the next epoch.

    Parameters
    ----------
    step : int
        Number of the batch.
    count : int
        Number of items.
    batch : int
        Items per batch.
    seed : int
        Determines the order.

    Returns
    -------
    (batch,) int64
        Indices of the items.
    """
    places = np.arange(step * batch, (step + 1) * batch)
    epochs = places // count
    drawn = [order(count, int(epoch), seed)[places[epochs == epoch] % count] for epoch in np.unique(epochs)]
    return np.concatenate(drawn)

"""`Stage`: one net and who waits for it; a batch takes one input of everybody in turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(eq=False)
class Order(Generic[In, Out]):
    """What one caller waits for: a result, or an error, for each of its inputs."""

    inputs: Sequence[In]
    results: list[Out | BaseException] = field(default_factory=list)
    begun: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class Stage(Generic[In, Out]):
    """One of the two nets, and who waits for it."""

    def __init__(
        self,
        name: str,
        function: Callable[[Sequence[In]], Sequence[Out]],
        most: int,
        heaviest: int,
        weight: Callable[[In], int],
        observe: Callable[[str, int], None],
    ) -> None:
        self.name, self.most = name, most
        self._function, self._heaviest, self._weight, self._observe = function, heaviest, weight, observe
        self.orders: deque[Order[In, Out]] = deque()
        self.stopped = False

    @property
    def waiting(self) -> int:
        """How many inputs wait."""
        return sum(len(order.inputs) - order.begun for order in self.orders)

    def is_full(self) -> bool:
        """Whether enough waits for a batch."""
        return self.waiting >= self.most

    def take(self) -> list[tuple[Order[In, Out], In]]:
        """The next batch: one input of everybody in turn, until it is full."""
        batch: list[tuple[Order[In, Out], In]] = []
        weight = 0
        while self.orders and len(batch) < self.most:
            order = self.orders[0]
            item = order.inputs[order.begun]
            weight += self._weight(item)
            if batch and weight > self._heaviest:
                break
            batch.append((order, item))
            order.begun += 1
            self.orders.popleft()
            if order.begun < len(order.inputs):
                self.orders.append(order)
        return batch

    def run(self, batch: list[tuple[Order[In, Out], In]]) -> None:
        """Run the net on a batch, and tell everybody whose last input that was."""
        results = self._results([item for _, item in batch])
        self._observe(self.name, len(batch))
        for (order, _), result in zip(batch, results, strict=True):
            order.results.append(result)
            if len(order.results) == len(order.inputs):
                order.done.set()

    def _results(self, inputs: list[In]) -> list[Out | BaseException]:
        """A result or an error for each input; where the net fails at all of them, each is tried alone."""
        try:
            results = list(self._function(inputs))
            if len(results) != len(inputs):
                raise RuntimeError(f"{self.name}: {len(results)} results for {len(inputs)} inputs")
            return [*results]
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the thread that sent the input
            if len(inputs) == 1:
                return [error]
        return [result for item in inputs for result in self._results([item])]

"""`BatchQueue`: the queue of one network; a batch takes inputs from all waiting requests in turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(eq=False)
class Request(Generic[In, Out]):
    """The inputs of one caller, and a result or an error for each."""

    inputs: Sequence[In]
    results: list[Out | BaseException] = field(default_factory=list)
    started: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class BatchQueue(Generic[In, Out]):
    """The queue of one network.

    Parameters
    ----------
    name : str
        Of the network, for errors and metrics.
    function : callable
        Runs the network on a list of inputs.
    max_inputs : int
        Per batch.
    max_weight : int
        Per batch; a single input may exceed it.
    weight : callable
        Weight of an input.
    observe : callable
        Called with the name and the size of each batch.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Sequence[In]], Sequence[Out]],
        max_inputs: int,
        max_weight: int,
        weight: Callable[[In], int],
        observe: Callable[[str, int], None],
    ) -> None:
        self.name, self.max_inputs = name, max_inputs
        self._function, self._max_weight, self._weight, self._observe = function, max_weight, weight, observe
        self.requests: deque[Request[In, Out]] = deque()
        self.stopped = False

    @property
    def waiting(self) -> int:
        """Number of waiting inputs."""
        return sum(len(request.inputs) - request.started for request in self.requests)

    def is_full(self) -> bool:
        """Return whether enough inputs wait for a full batch."""
        return self.waiting >= self.max_inputs

    def take(self) -> list[tuple[Request[In, Out], In]]:
        """Take the next batch: one input of each request in turn, until it is full."""
        batch: list[tuple[Request[In, Out], In]] = []
        weight = 0
        while self.requests and len(batch) < self.max_inputs:
            request = self.requests[0]
            item = request.inputs[request.started]
            weight += self._weight(item)
            if batch and weight > self._max_weight:
                break
            batch.append((request, item))
            request.started += 1
            self.requests.popleft()
            if request.started < len(request.inputs):
                self.requests.append(request)
        return batch

    def run(self, batch: list[tuple[Request[In, Out], In]]) -> None:
        """Run the network on a batch and complete the requests whose last input it had."""
        results = self._results([item for _, item in batch])
        self._observe(self.name, len(batch))
        for (request, _), result in zip(batch, results, strict=True):
            request.results.append(result)
            if len(request.results) == len(request.inputs):
                request.done.set()

    def _results(self, inputs: list[In]) -> list[Out | BaseException]:
        """Return a result or an error per input; if the batch fails, each input is tried alone."""
        try:
            results = list(self._function(inputs))
            if len(results) != len(inputs):
                raise RuntimeError(f"{self.name}: {len(results)} results for {len(inputs)} inputs")
            return [*results]
        except Exception as error:  # noqa: BLE001 - any error is raised in the thread that sent the input
            if len(inputs) == 1:
                return [error]
        return [result for item in inputs for result in self._results([item])]

"""Search several images at once: each net runs on the crops of all of them, which uses the processor better.

The search of one image is a generator. It yields the crops that it wants a net to judge, is sent the net's results, and
returns its faces. `run_together` advances many such searches at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from faceall.detect.nets import CascadeNet
from faceall.types import Float32Array

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Judged:
    """Crops that a net is to judge.

    Attributes
    ----------
    net : CascadeNet
        The net.
    crops : (N, 3, S, S) float32
        Its inputs.
    least : float or (N,) float32
        Only results with a logit above it matter; see `CascadeNet.run`.
    """

    net: CascadeNet
    crops: Float32Array
    least: float | Float32Array = -math.inf


Steps: TypeAlias = Generator[Judged, Float32Array, Found]
"""A search: yields crops, is sent the results (N, outputs) of the net, and returns what it found."""


def run_together(searches: Sequence[Steps[Found]]) -> list[Found]:
    """Run searches to their ends, and each net on the crops of all searches that wait for it.

    Parameters
    ----------
    searches : sequence of generator
        The searches, not yet started.

    Returns
    -------
    list
        What each search returned.
    """
    found: dict[int, Found] = {}
    waiting: dict[int, Judged] = {}

    def advance(number: int, results: Float32Array | None) -> None:
        try:
            waiting[number] = searches[number].send(results)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration as end:
            found[number] = end.value

    for number in range(len(searches)):
        advance(number, None)
    while waiting:
        for numbers in _by_net(waiting):
            for number, results in zip(numbers, _judge([waiting.pop(number) for number in numbers]), strict=True):
                advance(number, results)
    return [found[number] for number in range(len(searches))]


def _by_net(waiting: dict[int, Judged]) -> list[list[int]]:
    """Group the numbers of the searches that wait for the same net."""
    groups: dict[int, list[int]] = {}
    for number, judged in waiting.items():
        groups.setdefault(id(judged.net), []).append(number)
    return list(groups.values())


def _judge(parts: Sequence[Judged]) -> list[Float32Array]:
    """Run the common net of some parts on all their crops; return the results of each part."""
    net, crops, least = parts[0].net, parts[0].crops, parts[0].least
    if len(parts) > 1:
        crops = np.concatenate([part.crops for part in parts])
        least = np.concatenate([np.broadcast_to(np.float32(part.least), len(part.crops)) for part in parts])
    results = net.run(crops, least)
    return np.split(results, np.cumsum([len(part.crops) for part in parts[:-1]]))

"""The nets of the cascade, and how they run: in batches, and first in bfloat16 where that decides enough.

All three reject most of what they see. Where the processor multiplies bfloat16 natively, they see everything
in bfloat16 and then, in float32, only what comes near the threshold. So the result is that of float32.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.caffe.engines import CompiledNet, Engine, Precision, compile_cached, has_bfloat16_products
from faceall.detect.batches import run_in_batches
from faceall.detect.weights import OUTPUT, net_sources
from faceall.types import Float32Array

MARGIN = 0.3
"""By how much a logit in bfloat16 may differ from that in float32.

The largest difference seen was 0.17 for P-Net (45,000 cells above its threshold), 0.05 for R-Net near its threshold,
and 0.12 for O-Net (7,000 crops).
"""


class LateNet:
    """A net that is compiled when it runs for the first time, because many images do not need it.

    Parameters
    ----------
    compiled : callable
        Compiles the net.
    precision : str
        The precision that it will have.
    """

    def __init__(self, compiled: Callable[[], CompiledNet], precision: str) -> None:
        self.precision = precision
        self._compiled = compiled
        self._net: CompiledNet | None = None
        self._lock = threading.Lock()

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        """Run the net; see `CompiledNet`."""
        with self._lock:
            if self._net is None:
                self._net = self._compiled()
        return self._net(inputs)


@dataclass(frozen=True)
class CascadeNet:
    """One net of the cascade.

    Attributes
    ----------
    exact : CompiledNet
        Decides.
    coarse : CompiledNet or None
        The same net in bfloat16, if that is worth while: its logits differ by at most `MARGIN`.
    largest : int
        Its largest batch of crops.
    many : int
        From how many crops on the coarse net helps; of few crops it rejects too few.
    """

    exact: CompiledNet
    coarse: CompiledNet | None = None
    largest: int = 128
    many: int = 1

    def run(self, crops: Float32Array, least: float | Float32Array = -math.inf) -> Float32Array:
        """Run the net on crops, of which only those with a logit above `least` matter.

        Parameters
        ----------
        crops : (N, 3, S, S) float32
            Its inputs.
        least : float or (N,) float32
            The threshold, of all or of each; -inf if the result matters in any case.

        Returns
        -------
        (N, outputs) float32
            The exact results; what the coarse net rejects has a logit of -inf.
        """
        limits = np.broadcast_to(np.asarray(least, np.float32), len(crops))
        tested = np.flatnonzero(limits > -np.inf)
        if self.coarse is None or len(tested) < max(self.many, 1):
            return run_in_batches(self.exact, crops, self.largest)
        near = np.ones(len(crops), bool)
        coarse = run_in_batches(self.coarse, crops[tested], self.largest)[:, 0]
        near[tested] = coarse > limits[tested] - MARGIN
        exact = run_in_batches(self.exact, crops[near], self.largest)
        found = np.full((len(crops), exact.shape[1]), -np.inf, np.float32)
        found[near] = exact
        return found


def cascade_nets(weights: str | Path | None, engine: Engine, precision: Precision) -> tuple[CascadeNet, ...]:
    """Compile P-, R- and O-Net.

    Parameters
    ----------
    weights : path-like, optional
        The folder of the weights; see `net_sources`.
    engine : Engine
        The engine.
    precision : Precision
        "auto" gives the results of float32, with the help of bfloat16 if the processor computes in it.

    Raises
    ------
    ModelError
        The weights are missing or damaged.
    """
    native = has_bfloat16_products(engine)

    def compiled(number: int, chosen: Precision) -> CompiledNet:
        source = net_sources(weights, rounded=chosen == "bfloat16" and native)[number]
        return compile_cached(engine, source.fingerprint, source.read, [OUTPUT], chosen)

    def coarse(number: int) -> CompiledNet | None:
        return LateNet(lambda: compiled(number, "bfloat16"), "bfloat16") if precision == "auto" and native else None

    exact: Precision = "float32" if precision == "auto" else precision
    return (
        CascadeNet(compiled(0, exact), coarse(0)),
        CascadeNet(compiled(1, exact), coarse(1), many=256),
        CascadeNet(compiled(2, exact), coarse(2), largest=16, many=32),  # larger batches do not fit the cache
    )

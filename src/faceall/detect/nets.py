"""The nets of the cascade, and how they run: in batches, and first in bfloat16 where that decides enough.

P-Net and R-Net reject nearly all that they see. Where the processor multiplies bfloat16 natively, they see everything
in bfloat16 and then, in float32, only what comes near the threshold. So the result is that of float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.caffe.engines import CompiledNet, Engine, Precision, compile_cached, has_bfloat16_products
from faceall.detect.batches import run_in_batches
from faceall.detect.weights import OUTPUT, net_sources
from faceall.types import Float32Array, Int64Array

MARGIN = 0.3
"""By how much a logit in bfloat16 may differ from that in float32.

The largest difference seen near the threshold was 0.15 for P-Net (600,000 cells) and 0.05 for R-Net.
"""


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

    def run(self, crops: Float32Array) -> Float32Array:
        """Run the exact net on crops (N, 3, S, S): (N, outputs)."""
        return run_in_batches(self.exact, crops, self.largest)

    def run_above(self, crops: Float32Array, least: float) -> tuple[Float32Array, Int64Array]:
        """Run the net on crops, of which only those with a logit above `least` matter.

        Parameters
        ----------
        crops : (N, 3, S, S) float32
            Its inputs.
        least : float
            The threshold.

        Returns
        -------
        (M, outputs) float32
            The exact results above the threshold.
        (M,) int64
            The numbers of their crops.
        """
        numbers: Int64Array = np.arange(len(crops), dtype=np.int64)
        if self.coarse is not None and len(crops) >= self.many:
            near = run_in_batches(self.coarse, crops, self.largest)[:, 0] > least - MARGIN
            numbers, crops = numbers[near], crops[near]
        found = self.run(crops)
        above = found[:, 0] > least
        return found[above], numbers[above]


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

    exact: Precision = "float32" if precision == "auto" else precision
    helped = precision == "auto" and native
    return (
        CascadeNet(compiled(0, exact), compiled(0, "bfloat16") if helped else None),
        CascadeNet(compiled(1, exact), compiled(1, "bfloat16") if helped else None, many=256),
        CascadeNet(compiled(2, exact), largest=16),  # larger batches do not fit the processor's cache
    )

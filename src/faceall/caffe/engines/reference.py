"""The engine "reference": plain NumPy in float64, slow and exact, nothing to install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from faceall.caffe.checks import wanted_outputs
from faceall.caffe.engines.protocol import CompiledNet, Precision
from faceall.caffe.net import Net
from faceall.caffe.reference import run_all
from faceall.caffe.shapes import infer_shapes
from faceall.types import Float32Array


class ReferenceEngine:
    """Run nets in plain NumPy; the reference for the other engines."""

    name = "reference"

    def compile(
        self, net: Net, outputs: Sequence[str] | None = None, *, precision: Precision = "float32"
    ) -> CompiledNet:
        """Make `net` ready to give `outputs` (default: all blobs that no layer reads).

        Parameters
        ----------
        precision : Precision
            Makes no difference here: it computes in float64 and gives float32.

        Raises
        ------
        NetError
            If the net cannot run. The message names the layer.
        """
        infer_shapes(net, need_weights=True)
        return _Compiled(net, wanted_outputs(net, outputs))


class _Compiled:
    precision = "float32"

    def __init__(self, net: Net, outputs: tuple[str, ...]) -> None:
        self._net = net
        self._outputs = outputs

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        blobs = run_all(self._net, inputs)
        return {name: np.ascontiguousarray(blobs[name], np.float32) for name in self._outputs}

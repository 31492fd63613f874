"""`Context`: what the writers of layers share while a program is built."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from faceall.caffe.net import Net
from faceall.caffe.shapes import infer_shapes
from faceall.types import Array

Variable: TypeAlias = Any
"""A value of the program that is being built."""


class Context:
    """What the writers of layers share: the net, the shapes of its blobs, and coremltools' builder."""

    def __init__(self, net: Net) -> None:
        from coremltools.converters.mil import Builder

        self.net = net
        self.shapes = infer_shapes(net)
        self.builder = Builder

    def broadcast(self, array: Array, axis: int, rank: int) -> Array:
        """`array` with ones around its axes, so that it lies on `axis` of `rank`."""
        return np.asarray(array, np.float32).reshape((1,) * axis + array.shape + (1,) * (rank - axis - array.ndim))

"""What the writers of layers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from faceall.caffe.layers import Shape
from faceall.caffe.net import Layer, Net
from faceall.convert.targets.coreai.border import Operations, Value
from faceall.types import Array


@dataclass(frozen=True)
class Context:
    """The net, the program and the shapes of all blobs.

    Attributes
    ----------
    net : Net
        The net.
    operations : Operations
        Appends operations to the program.
    shapes : mapping of str to tuple of int
        Blob -> its shape at the declared size of the input.
    flexible : bool
        Whether height and width are free.
    """

    net: Net
    operations: Operations
    shapes: Mapping[str, Shape]
    flexible: bool

    def broadcast(self, array: Array, axis: int, rank: int) -> Array:
        """Return a constant with ones around its axes, so that it lies on `axis` of `rank`."""
        made = np.asarray(array, np.float32)
        return self.operations.number(made.reshape((1,) * axis + made.shape + (1,) * (rank - axis - made.ndim)))

    def free(self, shape: Shape) -> Shape:
        """Return a shape with -1 for height and width if these are free."""
        return (*shape[:2], -1, -1) if self.flexible and len(shape) == 4 else shape

    def channels(self, value: Value, first: int, end: int) -> Value:
        """Return the channels from `first` to before `end`."""
        return self.operations.cut(value, (0, first, 0, 0), (None, end, None, None))


Writer: TypeAlias = Callable[[Context, Layer, list[Value]], list[Value]]

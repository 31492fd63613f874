"""The operations of ML Programs in NumPy, by kind; each is a row of a table."""

from collections.abc import Mapping

from faceall.convert.coreml.operations.arguments import Arguments, Item, Operation
from faceall.convert.coreml.operations.numbers import NUMBERS
from faceall.convert.coreml.operations.shapes import SHAPES
from faceall.convert.coreml.operations.weights import WEIGHTS
from faceall.convert.coreml.operations.windows import WINDOWS

__all__ = ["OPERATIONS", "Arguments", "Item", "Operation"]

OPERATIONS: Mapping[str, Operation] = {**NUMBERS, **SHAPES, **WEIGHTS, **WINDOWS}
"""Operation -> what it computes."""

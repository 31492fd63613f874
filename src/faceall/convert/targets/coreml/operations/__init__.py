"""The operations of ML Programs in NumPy, by kind; each is a row of a table."""

from collections.abc import Mapping

from faceall.convert.targets.coreml.operations.arguments import Arguments, Item, Operation
from faceall.convert.targets.coreml.operations.numbers import NUMBERS
from faceall.convert.targets.coreml.operations.shapes import SHAPES
from faceall.convert.targets.coreml.operations.weights import WEIGHTS
from faceall.convert.targets.coreml.operations.windows import WINDOWS

__all__ = ["OPERATIONS", "Arguments", "Item", "Operation"]

OPERATIONS: Mapping[str, Operation] = {**NUMBERS, **SHAPES, **WEIGHTS, **WINDOWS}
"""Operation -> what it computes."""

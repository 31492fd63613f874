"""Arguments of the operations of an ML Program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from faceall.convert.targets.coreml.arithmetic import Budget
from faceall.errors import NetFormatError
from faceall.types import Array

Item: TypeAlias = "Array | str"


@dataclass(frozen=True)
class Arguments:
    """Arguments of an operation: name -> one or more values."""

    values: Mapping[str, Sequence[Item]]
    budget: Budget

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def several(self, name: str) -> list[Array]:
        """Return the arrays called `name`; float16 as float32.

        Raises
        ------
        NetFormatError
            If there are none, or one is a text.
        """
        if name not in self.values:
            raise NetFormatError(f"has no input '{name}'")
        found = []
        for value in self.values[name]:
            if isinstance(value, str):
                raise NetFormatError(f"has a text as input '{name}'")
            found.append(value.astype(np.float32) if value.dtype == np.float16 else value)
        return found

    def array(self, name: str) -> Array:
        """Return the only array called `name`.

        Raises
        ------
        NetFormatError
            If there is not exactly one.
        """
        found = self.several(name)
        if len(found) != 1:
            raise NetFormatError(f"has {len(found)} values for '{name}', expected one")
        return found[0]

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """Return the integers called `name`.

        Raises
        ------
        NetFormatError
            If they are not at most 64 integers.
        """
        if name not in self.values and default is not None:
            return list(default)
        values = self.array(name)
        if values.size > 64 or values.dtype.kind not in "iub":
            raise NetFormatError(f"has unsuitable values for '{name}'")
        return [int(value) for value in values.reshape(-1)]

    def integer(self, name: str, default: int) -> int:
        """Return the integer called `name`."""
        return self.integers(name, [default])[0]

    def number(self, name: str, default: float) -> np.float32:
        """Return the number called `name`."""
        return np.float32(self.array(name).reshape(-1)[0] if name in self.values else default)

    def text(self, name: str, default: str) -> str:
        """Return the text called `name`.

        Raises
        ------
        NetFormatError
            If it is not a text.
        """
        value = self.values.get(name, [default])[0]
        if not isinstance(value, str):
            raise NetFormatError(f"has numbers for '{name}', expected a text")
        return value


Operation: TypeAlias = Callable[[Arguments], "Array | list[Array]"]
"""Function that computes one or more results."""

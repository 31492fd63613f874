"""What a Core ML file shall be like, checked before anything is written."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from faceall.errors import ConvertError

Format: TypeAlias = Literal["mlprogram", "neuralnetwork"]
Precision: TypeAlias = Literal["float32", "float16", "int8", "palette8", "palette6"]
InputKind: TypeAlias = Literal["image", "array"]

SUFFIXES = {"mlprogram": ".mlpackage", "neuralnetwork": ".mlmodel"}
"""How the files of a format end."""

TARGETS = ("iOS13", "iOS14", "iOS15", "iOS16", "iOS17", "iOS18")
COMPRESSED = ("int8", "palette8", "palette6")
"""The precisions that store the weights in fewer than 16 bits; what is computed is float16."""


@dataclass(frozen=True, kw_only=True)
class CoremlOptions:
    """How to write.

    format       "mlprogram" (.mlpackage, iOS 15 on) or "neuralnetwork" (.mlmodel, iOS 13 on)
    precision    of weights and arithmetic; "int8" and "palette" compress the weights alone
    input        "image": a picture, standardised inside; "array": numbers that are standardised already
    target       the oldest iOS to support, as "iOS16"; None: as old as format and precision allow
    unit_length  whether an embedder ends in vectors of length 1, even where its net does not

    Raises ConvertError that names the option and what is known.
    """

    format: Format = "mlprogram"
    precision: Precision = "float32"
    input: InputKind = "image"
    target: str | None = None
    unit_length: bool = True

    def __post_init__(self) -> None:
        for name, choices in (("format", Format), ("precision", Precision), ("input", InputKind)):
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise ConvertError(f"Core ML {name} '{getattr(self, name)}' is unknown; known: {known}")
        object.__setattr__(self, "target", self._target())

    @property
    def oldest(self) -> str:
        """The oldest iOS that reads this format with this precision."""
        if self.format == "neuralnetwork":
            return "iOS13"
        return "iOS16" if self.precision in COMPRESSED else "iOS15"

    def _target(self) -> str:
        if self.target is None:
            return self.oldest
        found = re.fullmatch(r"ios(\d{1,2})", str(self.target), re.IGNORECASE)
        name = f"iOS{found[1]}" if found else ""
        if name not in TARGETS:
            raise ConvertError(f"Core ML target '{self.target}' is unknown; known: {', '.join(TARGETS)}")
        if TARGETS.index(name) < TARGETS.index(self.oldest):
            raise ConvertError(f"Core ML {self.format} with {self.precision} needs {self.oldest} or later, not {name}")
        return name

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

"""How a Core AI model is written, checked before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from faceall.errors import ConvertError

CoreaiPrecision: TypeAlias = Literal["float32", "float16"]
CoreaiInput: TypeAlias = Literal["image", "array"]

SUFFIX = ".aimodel"
"""The suffix of a model, which is a folder."""


@dataclass(frozen=True, kw_only=True)
class CoreaiOptions:
    """How a Core AI model is written.

    Attributes
    ----------
    precision : {"float32", "float16"}
        Precision of weights and arithmetic. Standardisation and the length of a vector are computed in float32.
    input : {"image", "array"}
        "image": RGB pixels, (1, H, W, 3) uint8, standardised inside the model; "array": values that are standardised
        already, (1, C, H, W) float32.
    unit_length : bool
        Whether an embedder ends in vectors of length 1, even if its net does not.

    Raises
    ------
    ConvertError
        If an option is unknown; the message lists the known ones.
    """

    precision: CoreaiPrecision = "float32"
    input: CoreaiInput = "image"
    unit_length: bool = True

    def __post_init__(self) -> None:
        for name, choices in (("precision", CoreaiPrecision), ("input", CoreaiInput)):
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise ConvertError(f"Core AI {name} '{getattr(self, name)}' is unknown; known: {known}")

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON values."""
        return asdict(self)

"""How a Core ML file is written, checked before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from faceall.errors import ConvertError

Format: TypeAlias = Literal["mlprogram", "neuralnetwork"]
Precision: TypeAlias = Literal["float32", "float16", "int8", "palette8", "palette6"]
InputKind: TypeAlias = Literal["image", "array"]

SUFFIXES = {"mlprogram": ".mlpackage", "neuralnetwork": ".mlmodel"}
"""Format -> the suffix of its files."""

IOS_VERSIONS = (13, 14, 15, 16, 17, 18)
"""The iOS versions that a file can be written for."""

COMPRESSED = ("int8", "palette8", "palette6")
"""The precisions that store weights in fewer than 16 bits; the arithmetic is float16."""


@dataclass(frozen=True, kw_only=True)
class CoremlOptions:
    """How a Core ML file is written.

    Attributes
    ----------
    format : {"mlprogram", "neuralnetwork"}
        An ML Program (.mlpackage, iOS 15 and later) or a neural network (.mlmodel, iOS 13 and later).
    precision : {"float32", "float16", "int8", "palette8", "palette6"}
        Precision of weights and arithmetic; "int8" and the palettes compress the weights alone.
    input : {"image", "array"}
        "image": an RGB image, standardised inside the model; "array": values that are standardised already.
    minimum_ios : int or None
        The oldest iOS to support, as 16. Default: the oldest that the format and precision allow.
    unit_length : bool
        Whether an embedder ends in vectors of length 1, even if its net does not.

    Raises
    ------
    ConvertError
        If an option is unknown; the message lists the known ones.
    """

    format: Format = "mlprogram"
    precision: Precision = "float32"
    input: InputKind = "image"
    minimum_ios: int | None = None
    unit_length: bool = True

    def __post_init__(self) -> None:
        for name, choices in (("format", Format), ("precision", Precision), ("input", InputKind)):
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise ConvertError(f"Core ML {name} '{getattr(self, name)}' is unknown; known: {known}")
        self._check_ios()

    @property
    def oldest_ios(self) -> int:
        """The oldest iOS that reads this format with this precision."""
        if self.format == "neuralnetwork":
            return 13
        return 16 if self.precision in COMPRESSED else 15

    @property
    def ios(self) -> int:
        """The oldest iOS that the file is written for."""
        return self.oldest_ios if self.minimum_ios is None else self.minimum_ios

    def _check_ios(self) -> None:
        wanted = self.minimum_ios
        if wanted is None:
            return
        if wanted not in IOS_VERSIONS:
            known = ", ".join(map(str, IOS_VERSIONS))
            raise ConvertError(f"minimum iOS {wanted} is unknown to Core ML; known: {known}")
        if wanted < self.oldest_ios:
            raise ConvertError(
                f"Core ML {self.format} with {self.precision} needs iOS {self.oldest_ios} or later, not {wanted}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON values."""
        return asdict(self)

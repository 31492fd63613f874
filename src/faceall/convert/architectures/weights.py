"""Sources of weights for the definitions: a file, by FaceNet's names or faceall's, or random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from faceall.errors import ConvertError
from faceall.types import Array, Float32Array

SCOPE = "InceptionResnetV1/"
PREFIXES = (
    ("Repeat/block35_", "Block35_"),
    ("Repeat_1/block17_", "Block17_"),
    ("Repeat_2/block8_", "Block8_"),
    ("Block8/", "Block8_6/"),  # the exception: the last block, which has no rectifier, stands alone
)
"""Prefix of FaceNet's variables behind the scope -> prefix in `definitions`; the rest is the same."""

STATISTICS = ("gamma", "beta", "moving_mean", "moving_variance")
"""The weights of a normalisation."""


class Weights(Protocol):
    """The source of a definition's weights."""

    def __call__(self, name: str, shape: tuple[int, ...], *, free: bool = False) -> Float32Array:
        """Return the weights called `name`, of `shape`; the last axis is only a proposal if it is free."""
        ...


@dataclass
class StoredWeights:
    """Weights from a file; absent and unsuitable ones become zeros, and `require` reports them."""

    arrays: Mapping[str, Array]
    problems: list[str] = field(default_factory=list)

    def __call__(self, name: str, shape: tuple[int, ...], *, free: bool = False) -> Float32Array:
        """Return the weights from the file; zeros, and a problem, if they are absent or have another shape."""
        found = self.arrays.get(name)
        if found is None:
            if not name.endswith("/gamma"):
                self.problems.append(f"'{name}' is absent")
            return np.ones(shape, np.float32) if name.endswith("/gamma") else np.zeros(shape, np.float32)
        fits = found.shape[:-1] == shape[:-1] if free else found.shape == shape
        if not fits or found.ndim != len(shape) or found.dtype.kind != "f":
            expected = ", ".join([*map(str, shape[:-1]), "any" if free else str(shape[-1])])
            self.problems.append(f"'{name}' is {found.dtype} {found.shape}, expected float ({expected})")
            outputs = found.shape[-1] if free and found.ndim == len(shape) else shape[-1]
            return np.zeros((*shape[:-1], outputs), np.float32)
        return np.asarray(found, np.float32)

    def require(self, net: str) -> None:
        """Check that all weights of `net` were found.

        Raises
        ------
        ConvertError
            If the weights belong to another net.
        """
        if self.problems:
            others = sorted(self.arrays)[:3]
            held = f"; it holds {', '.join(map(repr, others))} ..." if others else ""
            raise ConvertError(
                f"the variables are not those of {net}: {len(self.problems)} do not fit, "
                f"the first: {'; '.join(self.problems[:3])}{held}"
            )


@dataclass
class RandomWeights:
    """Reproducible weights whose outputs stay bounded through many layers."""

    seed: int = 0

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def __call__(self, name: str, shape: tuple[int, ...], *, free: bool = False) -> Float32Array:
        """Return random weights of `shape`."""
        kind = name.rpartition("/")[2]
        if kind in ("gamma", "moving_variance"):
            return self.random.uniform(0.5, 1.5, shape).astype(np.float32)
        if kind == "slope":
            return np.full(shape, 0.25, np.float32)
        spread = np.sqrt(2.0 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
        return (self.random.standard_normal(shape) * spread).astype(np.float32)


def facenet_weights(variables: Mapping[str, Array]) -> dict[str, Array]:
    """Rename FaceNet's variables to the names of `definitions`; leave out other variables.

    "InceptionResnetV1/Repeat/block35_1/Branch_0/Conv2d_1x1/biases" -> "Block35_1_Branch_0_Conv2d_1x1/biases"
    """
    found = {}
    for name in variables:
        layer, _, kind = name.removeprefix(SCOPE).rpartition("/")
        if name.startswith(SCOPE) and kind in ("weights", "biases", *STATISTICS):
            layer = f"{layer}/"
            for start, ours in PREFIXES:
                layer = ours + layer.removeprefix(start) if layer.startswith(start) else layer
            found[f"{layer.rstrip('/').replace('/', '_')}/{kind}"] = variables[name]
    return found

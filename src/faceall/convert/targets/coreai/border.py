"""The border to `coreai-core`: the only module that imports it. Tested with version 1.0.0b3.

The package is a pre-release, so that a change in it should cost this file alone. `Operations` appends operations to a
program, `author` makes a program, `save` writes it and `run` executes a written model in Apple's runtime. Errors of
the package become ConvertError. The package loads Swift's libraries, so it is imported in the worker only.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np

from faceall.convert.targets.description import Metadata
from faceall.errors import ConvertError, MissingDependencyError
from faceall.types import Array

Value: TypeAlias = Any
"""A value of the program that is being built."""

Program: TypeAlias = Any

Signature: TypeAlias = Mapping[str, tuple[tuple[int, ...], str]]
"""Name -> shape, with -1 for a size that is free, and type ("uint8", "float32")."""

FUNCTION = "main"
"""The name of a model's only function."""

_LAST = 2**31 - 1
"""An end of a cut that means the end of the axis."""


def _import() -> Any:
    try:
        import coreai.authoring
        import coreai.runtime
    except ImportError as error:
        raise MissingDependencyError(
            f'writing Core AI needs coreai-core, for Python 3.11 to 3.14 ({error}): pip install "faceall[coreai]"'
        ) from error
    return coreai.authoring


def version() -> str:
    """Return the name and version of the package, as "coreai-core 1.0.0b3"."""
    from importlib.metadata import version as version_of

    return f"coreai-core {version_of('coreai-core')}"


@contextmanager
def _translated(what: str) -> Any:
    """Raise ConvertError for whatever the package raises."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, ConvertError):
            raise
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConvertError(f"{version()} {what}: {text}") from error


class Operations:
    """The operations of a program, on values and on arrays as constants.

    Parameters
    ----------
    half : bool
        Whether arithmetic and weights are float16.
    """

    def __init__(self, *, half: bool) -> None:
        self._authoring = _import()
        self._type = np.float16 if half else np.float32

    def _call(self, name: str, *arguments: Any) -> Value:
        with _translated(f"cannot append the operation {name.rstrip('_')}"):
            return getattr(self._authoring, name)(*arguments)

    def number(self, values: Array | float) -> Array:
        """Return an array or number as a constant in the precision of the program."""
        limit = np.finfo(self._type).max
        return np.clip(np.asarray(values, np.float32), -limit, limit).astype(self._type)

    def to_single(self, value: Value) -> Value:
        """Convert a value to float32."""
        return self._call("cast", value, np.float32)

    def to_precision(self, value: Value) -> Value:
        """Convert a value to the precision of the program."""
        return self._call("cast", value, self._type)

    def add(self, value: Value, other: Value) -> Value:
        """Add two values that broadcast."""
        return self._call("broadcasting_add", value, other)

    def subtract(self, value: Value, other: Value) -> Value:
        """Subtract a value that broadcasts."""
        return self._call("broadcasting_sub", value, other)

    def multiply(self, value: Value, other: Value) -> Value:
        """Multiply two values that broadcast."""
        return self._call("broadcasting_mul", value, other)

    def divide(self, value: Value, other: Value) -> Value:
        """Divide by a value that broadcasts."""
        return self._call("broadcasting_divide", value, other)

    def maximum(self, value: Value, other: Value) -> Value:
        """Return the larger of two values that broadcast."""
        return self._call("broadcasting_maximum", value, other)

    def minimum(self, value: Value, other: Value) -> Value:
        """Return the smaller of two values that broadcast."""
        return self._call("broadcasting_minimum", value, other)

    def power(self, value: Value, exponent: Value) -> Value:
        """Raise to a power."""
        return self._call("broadcasting_pow", value, exponent)

    def exp(self, value: Value) -> Value:
        """Return e to the power of a value."""
        return self._call("exp", value)

    def relu(self, value: Value) -> Value:
        """Return max(x, 0)."""
        return self._call("relu", value)

    def inverse_root(self, value: Value) -> Value:
        """Return 1 / sqrt(x)."""
        return self._call("rsqrt", value)

    def root(self, value: Value) -> Value:
        """Return sqrt(x)."""
        return self._call("sqrt", value)

    def sigmoid(self, value: Value) -> Value:
        """Return 1 / (1 + exp(-x))."""
        return self._call("sigmoid", value)

    def tanh(self, value: Value) -> Value:
        """Return the hyperbolic tangent."""
        return self._call("tanh", value)

    def softmax(self, value: Value, axis: int) -> Value:
        """Return the softmax along an axis."""
        return self._call("softmax", value, np.int32(axis))

    def total(self, value: Value, axes: Sequence[int]) -> Value:
        """Sum over axes, which stay with size 1."""
        return self._call("reduce_sum", value, np.array(axes, np.int32))

    def mean(self, value: Value, axes: Sequence[int]) -> Value:
        """Average over axes, which stay with size 1."""
        return self._call("reduce_mean", value, np.array(axes, np.int32))

    def largest(self, value: Value, axes: Sequence[int]) -> Value:
        """Return the largest over axes, which stay with size 1."""
        return self._call("reduce_max", value, np.array(axes, np.int32))

    def shaped(self, value: Value, shape: Sequence[int]) -> Value:
        """Reshape; -1 stands for what is left."""
        return self._call("reshape", value, np.array(shape, np.int32))

    def turned(self, value: Value, order: Sequence[int]) -> Value:
        """Permute axes."""
        return self._call("transpose", value, np.array(order, np.uint32))

    def joined(self, values: Sequence[Value], axis: int) -> Value:
        """Concatenate along an axis."""
        return self._call("concat", np.int32(axis), list(values))

    def cut(self, value: Value, begin: Sequence[int], end: Sequence[int | None]) -> Value:
        """Return the part from `begin` to before `end`, per axis; None is the end of the axis."""
        ends = [_LAST if place is None else place for place in end]
        steps = np.ones(len(ends), np.int32)
        return self._call("slice_", value, np.array(begin, np.int32), np.array(ends, np.int32), steps)

    def padded(self, value: Value, edges: Sequence[int], fill: Value) -> Value:
        """Add a border of the constant `fill`; `edges` are (before, after) of each axis."""
        return self._call("pad", value, np.array(edges, np.uint32), fill)

    def product(self, value: Value, matrix: Array) -> Value:
        """Multiply (..., I) with a matrix (I, O), whose values are stored in the precision of the program.

        The product is computed in float32: on Linux the runtime rounds every partial sum to float16 otherwise.
        """
        weights = self.to_single(self._constant(self.number(matrix)))
        return self.to_precision(self._call("batch_matmul", self.to_single(value), weights))

    def convolution(
        self, value: Value, kernel: Array, stride: Sequence[int], dilation: Sequence[int], groups: int
    ) -> Value:
        """Convolve (N, C, H, W) with a kernel (O, C / groups, H, W), without a border and without a bias."""
        return self._call("conv2d", value, self.number(kernel), list(stride), list(dilation), groups)

    def max_pool(
        self, value: Value, kernel: Sequence[int], stride: Sequence[int], shape: tuple[int, ...], *, up: bool
    ) -> Value:
        """Return the largest of each window, in `shape`; `up`: a last window that leaves the input counts."""
        result = self._authoring.TensorType(shape, self._type)
        return self._call("maxpool2d", result, value, *self._window(kernel, stride), up)

    def sum_pool(self, value: Value, kernel: Sequence[int], stride: Sequence[int]) -> Value:
        """Return the sum of each window that lies within the input."""
        return self._call("sumpool2d", value, *map(self._constant, self._window(kernel, stride)))

    def _window(self, kernel: Sequence[int], stride: Sequence[int]) -> tuple[Array, Array, Array]:
        return np.array(kernel, np.uint32), np.array(stride, np.uint32), np.ones(2, np.uint32)

    def _constant(self, array: Array) -> Value:
        from coreai.authoring.constant import constant

        return constant(array)


def author(
    inputs: Signature, outputs: Signature, body: Callable[[Mapping[str, Value]], Mapping[str, Value]]
) -> Program:
    """Make a program of one function.

    Parameters
    ----------
    inputs, outputs : mapping of str to (tuple of int, str)
        Names, shapes and types.
    body : callable
        From the inputs' values to those of the outputs.
    """
    authoring = _import()

    def function(*values: Value) -> Any:
        made = body(dict(zip(inputs, values, strict=True)))
        found = tuple(made[name] for name in outputs)
        return found if len(found) > 1 else found[0]

    def annotated(name: str, shape: tuple[int, ...], kind: str) -> Any:
        return Annotated[authoring.Value, authoring.TensorType(shape, np.dtype(kind).type, name=name)]

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in inputs])  # type: ignore[attr-defined]
    results = [annotated(name, *spec) for name, spec in outputs.items()]
    function.__annotations__ = {name: annotated(name, *spec) for name, spec in inputs.items()}
    function.__annotations__["return"] = results[0] if len(results) == 1 else tuple[tuple(results)]  # type: ignore[misc]
    with _translated("cannot make this program"):
        module = authoring.Module.create()
        with module:
            authoring.graph(function, provided_name=FUNCTION)
        return authoring.AIProgram(module)


def save(program: Program, path: Path, metadata: Metadata) -> None:
    """Write a model. The package gives the weights random names, so that the bytes differ each time.

    Parameters
    ----------
    path : Path
        A folder with the suffix .aimodel.
    metadata : Metadata
        The author, the licence and the description, with faceall's own entries.
    """
    from coreai.runtime import AIModelAssetMetadata

    with _translated("cannot write this model"):
        made = AIModelAssetMetadata()
        made.author, made.license, made.model_description = metadata.author, metadata.licence, metadata.description
        for name, text in metadata.more.items():
            made.set_custom(name, text)
        program.save_asset(path, made)
        _drop_date(path / "metadata.json")


def _drop_date(path: Path) -> None:
    """Remove the date and sort the entries, whose order is random."""
    values = json.loads(path.read_text(encoding="utf-8"))
    values.pop("creationDate", None)
    path.write_text(json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def run(path: Path, feeds: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    """Run a model in Apple's runtime, once for each element of `feeds`, and return the outputs by their names."""
    return asyncio.run(_run(path, feeds))


async def _run(path: Path, feeds: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    authoring = _import()
    from coreai.runtime import NDArray

    found = []
    with _translated("cannot run this model"):
        async with authoring.AIModelAsset.load(path).executable() as model:
            function = model.load_function(FUNCTION)
            for feed in feeds:
                results = await function({name: NDArray(np.ascontiguousarray(array)) for name, array in feed.items()})
                found.append({name: np.array(result.numpy()) for name, result in results.items()})
    return found

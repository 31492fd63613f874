"""Run an ML Program: one function per operation, in NumPy.

Tensors of float16 are computed in float32 and rounded to float16 afterwards, as the program declares each result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from faceall.convert.coreml.arithmetic import (
    Budget,
    Edges,
    broadcast,
    convolve,
    multiply_matrices,
    pool,
    prelu,
    same_edges,
    sliced,
    softmax,
)
from faceall.convert.coreml.weights import (
    DTYPES,
    STRING,
    BlobFile,
    constant_shape,
    read_value,
    unpack,
)
from faceall.errors import FaceallError, NetFormatError
from faceall.protobuf import Message
from faceall.types import Array

Item: TypeAlias = "Array | str"

_NAMES = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32, "bool": np.bool_, "int8": np.int8,
          "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16}  # fmt: skip
"""What `cast` calls types."""

TROUBLE = (ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError, AttributeError, MemoryError)
"""What NumPy raises on contents that a whole file never has."""


@dataclass(frozen=True)
class Arguments:
    """What an operation is given, by name: one value, or several."""

    values: Mapping[str, Sequence[Item]]
    budget: Budget

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def several(self, name: str) -> list[Array]:
        """The arrays called `name`; float16 as float32."""
        if name not in self.values:
            raise NetFormatError(f"has no input '{name}'")
        found = []
        for value in self.values[name]:
            if isinstance(value, str):
                raise NetFormatError(f"has a text as input '{name}'")
            found.append(value.astype(np.float32) if value.dtype == np.float16 else value)
        return found

    def array(self, name: str) -> Array:
        """The one array called `name`."""
        found = self.several(name)
        if len(found) != 1:
            raise NetFormatError(f"has {len(found)} values for '{name}', expected one")
        return found[0]

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """Whole numbers."""
        if name not in self.values and default is not None:
            return list(default)
        values = self.array(name)
        if values.size > 64 or values.dtype.kind not in "iub":
            raise NetFormatError(f"has unfit values for '{name}'")
        return [int(value) for value in values.reshape(-1)]

    def integer(self, name: str, default: int) -> int:
        """One whole number."""
        return self.integers(name, [default])[0]

    def number(self, name: str, default: float) -> np.float32:
        """One number."""
        return np.float32(self.array(name).reshape(-1)[0] if name in self.values else default)

    def text(self, name: str, default: str) -> str:
        """One text."""
        value = self.values.get(name, [default])[0]
        if not isinstance(value, str):
            raise NetFormatError(f"has numbers for '{name}', expected a text")
        return value


Operation: TypeAlias = Callable[[Arguments], "Array | list[Array]"]


def run_program(
    program: Message, blobs: BlobFile, inputs: Mapping[str, Array], outputs: Sequence[str]
) -> dict[str, Array]:
    """The results called `outputs` of the program's function `main`.

    Raises NetFormatError, which names the operation, where the program is damaged or has an operation that is unknown.
    """
    block, known = _main(program)
    values: dict[str, Item] = {name: inputs[name] for name in known if name in inputs}
    missing = [name for name in known if name not in inputs]
    if missing:
        raise NetFormatError(f"the program needs '{missing[0]}', which the description does not list")
    budget, last = Budget(), _last_uses(block, outputs)
    for place, operation in enumerate(block.operations):
        try:
            values.update(_perform(operation, values, blobs, budget))
        except FaceallError as error:
            raise NetFormatError(f"{_label(operation)} {error}") from error
        except TROUBLE as error:
            raise NetFormatError(f"{_label(operation)} does not fit its inputs ({error})") from error
        for name in last.get(place, ()):
            values.pop(name, None)
        budget.live([value for value in values.values() if not isinstance(value, str)])
    absent = [name for name in outputs if not isinstance(values.get(name), np.ndarray)]
    if absent:
        raise NetFormatError(f"the program does not compute its result '{absent[0]}'")
    return {name: np.asarray(values[name]) for name in outputs}


def _label(operation: Message) -> str:
    name = operation.outputs[0].name if operation.outputs else "?"
    return f"operation '{name[:60]}' ({operation.type[:40]})"


def _main(program: Message) -> tuple[Message, list[str]]:
    """The block of operations, and the names of its inputs."""
    function = next((entry.value for entry in program.functions if entry.key == "main"), None)
    if function is None:
        raise NetFormatError("the program has no function 'main'")
    block = next((entry.value for entry in function.block_specializations if entry.key == function.opset), None)
    if block is None:
        raise NetFormatError(f"the program has no operations for '{function.opset[:40]}'")
    return block, [entry.name for entry in function.inputs]


def _last_uses(block: Message, outputs: Sequence[str]) -> dict[int, list[str]]:
    """The place of an operation -> the values that nobody needs after it."""
    last: dict[str, int] = {}
    for place, operation in enumerate(block.operations):
        for entry in operation.inputs:
            last.update({binding.name: place for binding in entry.value.arguments if binding.name})
    found: dict[int, list[str]] = {}
    for name, place in last.items():
        if name not in outputs:
            found.setdefault(place, []).append(name)
    return found


def _perform(operation: Message, values: Mapping[str, Item], blobs: BlobFile, budget: Budget) -> dict[str, Item]:
    given: dict[str, list[Item]] = {}
    for entry in operation.inputs:
        given[entry.key] = [_bound(binding, values, blobs) for binding in entry.value.arguments]
    for attribute in operation.attributes:
        if attribute.key != "name":
            given.setdefault(attribute.key, [read_value(attribute.value, blobs)])
    if operation.type == "const":
        if "val" not in given or len(operation.outputs) != 1:
            raise NetFormatError("has no value")
        return {operation.outputs[0].name: given["val"][0]}
    if operation.type not in OPERATIONS:
        raise NetFormatError("is of no type that faceall runs")
    made = OPERATIONS[operation.type](Arguments(given, budget))
    results = made if isinstance(made, list) else [made]
    if len(results) != len(operation.outputs):
        raise NetFormatError(f"makes {len(results)} results, {len(operation.outputs)} are declared")
    return {
        declared.name: _as_declared(declared, result)
        for declared, result in zip(operation.outputs, results, strict=True)
    }


def _bound(binding: Message, values: Mapping[str, Item], blobs: BlobFile) -> Item:
    if not binding.name:
        return read_value(binding.value, blobs)
    if binding.name not in values:
        raise NetFormatError(f"reads '{binding.name[:60]}', which no operation before it makes")
    return values[binding.name]


def _as_declared(declared: Message, result: Array) -> Array:
    """`result` in the declared type; raises NetFormatError where its shape is another than declared."""
    kind = int(declared.type.tensorType.dataType)
    shape = constant_shape(declared.type.tensorType)
    if kind == STRING or kind not in DTYPES:
        raise NetFormatError(f"declares a result of the type {kind}")
    fits = len(shape) == result.ndim and all(
        wanted is None or wanted == size for wanted, size in zip(shape, result.shape, strict=True)
    )
    if not fits:
        raise NetFormatError(f"makes a result of shape {result.shape}, declared is {shape}")
    return np.asarray(result, DTYPES[kind])


def _edges(given: Arguments, spatial: Sequence[int], extent: Sequence[int], stride: Sequence[int]) -> Edges:
    kind = given.text("pad_type", "valid")
    if kind == "valid":
        return [(0, 0)] * len(spatial)
    if kind == "custom":
        amounts = given.integers("pad")
        if len(amounts) != 2 * len(spatial):
            raise NetFormatError(f"has {len(amounts)} sizes of its border, expected {2 * len(spatial)}")
        return list(zip(amounts[::2], amounts[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        raise NetFormatError(f"has the unknown border '{kind[:40]}'")
    return same_edges(spatial, extent, stride, heavy_end=kind == "same")


def _conv(given: Arguments) -> Array:
    array, kernel = given.array("x"), given.array("weight")
    stride, dilation = given.integers("strides", [1, 1]), given.integers("dilations", [1, 1])
    extent = [(size - 1) * gap + 1 for size, gap in zip(kernel.shape[2:], dilation, strict=True)]
    if min(stride) < 1:
        raise NetFormatError(f"has the strides {stride}")
    return convolve(
        array,
        kernel,
        given.array("bias") if "bias" in given else None,
        given.budget,
        stride=stride,
        dilation=dilation,
        edges=_edges(given, array.shape[2:], extent, stride),
        group=given.integer("groups", 1),
    )


def _pool(average: bool) -> Operation:
    def run(given: Arguments) -> Array:
        array, kernel = given.array("x"), given.integers("kernel_sizes")
        stride = given.integers("strides", kernel)
        if min(stride) < 1:
            raise NetFormatError(f"has the strides {stride}")
        return pool(
            array,
            given.budget,
            kernel=kernel,
            stride=stride,
            edges=_edges(given, array.shape[2:], kernel, stride),
            average=average,
            last_pixel=bool(given.integer("ceil_mode", 0)),
            count_border=not given.integer("exclude_padding_from_average", 0),
        )

    return run


def _binary(operation: np.ufunc) -> Operation:
    return lambda given: broadcast(operation, given.array("x"), given.array("y"), given.budget)


def _unary(function: Callable[[Array], Any]) -> Operation:
    return lambda given: np.asarray(function(given.array("x")))


def _reduce(function: Callable[..., Any]) -> Operation:
    def run(given: Arguments) -> Array:
        array = given.array("x")
        axes = tuple(given.integers("axes", range(array.ndim)))
        return np.asarray(function(array, axis=axes, keepdims=bool(given.integer("keep_dims", 0))))

    return run


def _sum_of_squares(array: Array, **options: Any) -> Any:
    return np.sum(array * array, **options)


def _linear(given: Arguments) -> Array:
    result = multiply_matrices(given.array("x"), given.array("weight").T, given.budget)
    return broadcast(np.add, result, given.array("bias"), given.budget) if "bias" in given else result


def _matmul(given: Arguments) -> Array:
    left, right = given.array("x"), given.array("y")
    if given.integer("transpose_x", 0):
        left = np.swapaxes(left, -1, -2)
    if given.integer("transpose_y", 0):
        right = np.swapaxes(right, -1, -2)
    return multiply_matrices(left, right, given.budget)


def _batch_norm(given: Arguments) -> Array:
    array = given.array("x")
    shape = (1, -1) + (1,) * (array.ndim - 2)
    scale = 1 / np.sqrt(given.array("variance") + given.number("epsilon", 1e-5))
    scale = scale * (given.array("gamma") if "gamma" in given else 1)
    shift = (given.array("beta") if "beta" in given else 0) - given.array("mean") * scale
    return np.asarray(array * scale.reshape(shape) + np.asarray(shift).reshape(shape))


def _concat(given: Arguments) -> Array:
    parts, axis = given.several("values"), given.integer("axis", 0)
    given.budget.room([sum(part.size for part in parts)])
    return np.concatenate(parts, axis=axis)


def _reshape(given: Arguments) -> Array:
    array, wanted = given.array("x"), given.integers("shape")
    return array.reshape([array.shape[place] if size == 0 else size for place, size in enumerate(wanted)])


def _slice_by_index(given: Arguments) -> Array:
    array, begin, end = given.array("x"), given.integers("begin"), given.integers("end")
    zeros = [0] * len(begin)
    strides = given.integers("stride", [1] * len(begin))
    begin_mask, end_mask = given.integers("begin_mask", zeros), given.integers("end_mask", zeros)
    parts = [
        slice(None if open_begin else low, None if open_end else high, step)
        for low, high, step, open_begin, open_end in zip(begin, end, strides, begin_mask, end_mask, strict=True)
    ]
    squeezed = tuple(axis for axis, flag in enumerate(given.integers("squeeze_mask", zeros)) if flag)
    return sliced(array, parts).squeeze(squeezed)


def _slice_by_size(given: Arguments) -> Array:
    begin, sizes = given.integers("begin"), given.integers("size")
    parts = [slice(low, None if size == -1 else low + size) for low, size in zip(begin, sizes, strict=True)]
    return sliced(given.array("x"), parts)


def _split(given: Arguments) -> list[Array]:
    array, axis = given.array("x"), given.integer("axis", 0)
    if "split_sizes" in given:
        sizes = given.integers("split_sizes")
        if sum(sizes) != array.shape[axis] or min(sizes) < 0:
            raise NetFormatError(f"splits {array.shape[axis]} into {sizes}")
        return list(np.split(array, np.cumsum(sizes)[:-1], axis=axis))
    count = given.integer("num_splits", 1)
    if not 1 <= count <= array.shape[axis]:
        raise NetFormatError(f"splits {array.shape[axis]} into {count} parts")
    return list(np.split(array, count, axis=axis))


def _pad(given: Arguments) -> Array:
    array, amounts = given.array("x"), given.integers("pad")
    if given.text("mode", "constant") != "constant" or len(amounts) % 2 or min(amounts, default=0) < 0:
        raise NetFormatError("has a border that faceall does not know")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    pairs = [(0, 0)] * (array.ndim - len(pairs)) + pairs
    given.budget.room([size + low + high for size, (low, high) in zip(array.shape, pairs, strict=True)])
    return np.pad(array, pairs, constant_values=given.number("constant_val", 0.0))


def _cast(given: Arguments) -> Array:
    name = given.text("dtype", "fp32")
    if name not in _NAMES:
        raise NetFormatError(f"casts to the unknown type '{name[:20]}'")
    return given.array("x").astype(_NAMES[name])


def _rsqrt(given: Arguments) -> Array:
    return np.asarray(1 / np.sqrt(given.array("x") + given.number("epsilon", 1e-12)))


def _l2_norm(given: Arguments) -> Array:
    array = given.array("x")
    total = np.sum(array * array, axis=tuple(range(-3, 0)), keepdims=True)
    return np.asarray(array / np.sqrt(total + given.number("epsilon", 1e-6)))


def _table(given: Arguments) -> Array:
    """A table of values and the number of the value for each place."""
    table, indices = given.array("lut"), given.array("indices")
    if "shape" in given:  # a table for the whole tensor, numbers of as many bits as the table needs
        shape = given.integers("shape")
        given.budget.room(shape)
        bits = int(np.log2(max(table.size, 1)))
        if table.size != 2**bits or not 1 <= bits <= 8:
            raise NetFormatError(f"has a table of {table.size} values")
        return np.asarray(table.reshape(-1)[unpack(indices.tobytes(), bits, int(np.prod(shape)))].reshape(shape))
    if table.ndim != indices.ndim + 2 or table.shape[-1] != 1:
        raise NetFormatError(f"has a table of shape {table.shape} for numbers of shape {indices.shape}")
    groups = []
    for axis, (size, count) in enumerate(zip(indices.shape, table.shape, strict=False)):
        steps = np.arange(size) // max(size // max(count, 1), 1)
        groups.append(steps.reshape([-1 if place == axis else 1 for place in range(indices.ndim)]))
    return np.asarray(table[(*groups, indices, 0)])


def _affine(given: Arguments) -> Array:
    """(number - zero) * scale, along one axis or for all."""
    data, scale, zero = given.array("quantized_data"), given.array("scale"), given.array("zero_point")
    axis = given.integer("axis", 0)
    shape = [-1 if place == axis % max(data.ndim, 1) else 1 for place in range(data.ndim)]
    wide = [part.astype(np.float32).reshape(shape if part.size > 1 else [1] * data.ndim) for part in (scale, zero)]
    return np.asarray((data.astype(np.float32) - wide[1]) * wide[0])


def _blockwise(given: Arguments) -> Array:
    """(number - offset) * scale, for blocks of the tensor."""
    data = given.array("data").astype(np.float32)
    scale = _stretched(given.array("scale"), data.shape)
    offset = _stretched(given.array("offset").astype(np.float32), data.shape) if "offset" in given else np.float32(0)
    return np.asarray((data - offset) * scale)


def _stretched(blocks: Array, shape: Sequence[int]) -> Array:
    for axis, (count, size) in enumerate(zip(blocks.shape, shape, strict=True)):
        if count < 1 or size % count:
            raise NetFormatError(f"has blocks of shape {blocks.shape} for {tuple(shape)}")
        if count not in (1, size):
            blocks = np.repeat(blocks, size // count, axis=axis)
    return blocks


def _sparse(given: Arguments) -> Array:
    """The numbers that are not 0, and a bit for every place that says whether one stands there."""
    shape, kept = given.integers("shape"), given.array("nonzero_data").reshape(-1)
    given.budget.room(shape)
    mask = unpack(given.array("mask").tobytes(), 1, int(np.prod(shape))).astype(bool)
    if int(mask.sum()) != kept.size:
        raise NetFormatError(f"has {kept.size} numbers for {int(mask.sum())} places")
    dense = np.zeros(mask.size, kept.dtype)
    dense[mask] = kept
    return dense.reshape(shape)


def _sigmoid(array: Array) -> Array:
    return np.asarray(0.5 * np.tanh(0.5 * array) + 0.5)


def _leaky(given: Arguments) -> Array:
    array = given.array("x")
    return np.maximum(array, 0) + given.number("alpha", 0.01) * np.minimum(array, 0)


OPERATIONS: Mapping[str, Operation] = {
    "abs": _unary(np.abs),
    "add": _binary(np.add),
    "avg_pool": _pool(average=True),
    "batch_norm": _batch_norm,
    "cast": _cast,
    "concat": _concat,
    "constexpr_affine_dequantize": _affine,
    "constexpr_blockwise_shift_scale": _blockwise,
    "constexpr_cast": lambda given: given.array("source_val"),
    "constexpr_lut_to_dense": _table,
    "constexpr_sparse_to_dense": _sparse,
    "conv": _conv,
    "exp": _unary(np.exp),
    "expand_dims": lambda given: np.expand_dims(given.array("x"), tuple(given.integers("axes"))),
    "identity": lambda given: given.array("x"),
    "l2_norm": _l2_norm,
    "leaky_relu": _leaky,
    "linear": _linear,
    "matmul": _matmul,
    "max_pool": _pool(average=False),
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "mul": _binary(np.multiply),
    "pad": _pad,
    "pow": _binary(np.power),
    "prelu": lambda given: prelu(given.array("x"), given.array("alpha")),
    "real_div": _binary(np.divide),
    "reduce_max": _reduce(np.max),
    "reduce_mean": _reduce(np.mean),
    "reduce_sum": _reduce(np.sum),
    "reduce_sum_square": _reduce(_sum_of_squares),
    "relu": _unary(lambda array: np.maximum(array, 0)),
    "reshape": _reshape,
    "rsqrt": _rsqrt,
    "sigmoid": _unary(_sigmoid),
    "silu": _unary(lambda array: array * _sigmoid(array)),
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "softmax": lambda given: softmax(given.array("x"), given.integer("axis", -1)),
    "split": _split,
    "sqrt": _unary(np.sqrt),
    "square": _unary(np.square),
    "squeeze": lambda given: np.squeeze(given.array("x"), tuple(given.integers("axes")) if "axes" in given else None),
    "sub": _binary(np.subtract),
    "tanh": _unary(np.tanh),
    "transpose": lambda given: given.array("x").transpose(given.integers("perm")),
}
"""Operation -> what it computes."""

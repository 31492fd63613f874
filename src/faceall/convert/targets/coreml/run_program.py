"""Run an ML Program: its operations one after the other, in NumPy.

Tensors of float16 are computed in float32 and rounded to float16 afterwards, as the program declares each result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from faceall.convert.targets.coreml.arithmetic import Budget
from faceall.convert.targets.coreml.operations import OPERATIONS, Arguments, Item
from faceall.convert.targets.coreml.weights import DTYPES, STRING, BlobFile, constant_shape, read_value
from faceall.errors import FaceallError, NetFormatError
from faceall.protobuf import Message
from faceall.types import Array

TROUBLE = (ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError, AttributeError, MemoryError)
"""Errors of NumPy on contents that only a damaged file has."""


def run_program(
    program: Message, blobs: BlobFile, inputs: Mapping[str, Array], outputs: Sequence[str]
) -> dict[str, Array]:
    """Return the results called `outputs` of the program's function `main`.

    Raises
    ------
    NetFormatError
        Which names the operation, where the program is damaged or has an operation that is unknown.
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
    """Return the block of operations and the names of its inputs."""
    function = next((entry.value for entry in program.functions if entry.key == "main"), None)
    if function is None:
        raise NetFormatError("the program has no function 'main'")
    block = next((entry.value for entry in function.block_specializations if entry.key == function.opset), None)
    if block is None:
        raise NetFormatError(f"the program has no operations for '{function.opset[:40]}'")
    return block, [entry.name for entry in function.inputs]


def _last_uses(block: Message, outputs: Sequence[str]) -> dict[int, list[str]]:
    """Return, for the place of an operation, the values that are not needed after it."""
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
    """Return `result` in the declared type; raise NetFormatError if its shape is another one."""
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

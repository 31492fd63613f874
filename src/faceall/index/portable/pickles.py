"""Read pickles of lists, dicts, texts, numbers and NumPy arrays without running code from them.

A pickle is a program. Here it can only call the few functions below, which record their arguments; arrays are made
afterwards, when all sizes have been checked.
"""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar

import numpy as np

from faceall.errors import IndexDamagedError
from faceall.types import Array

_TYPE = re.compile(r"[<>|=]?([fiu][1248]|b1|[SU][0-9]{1,5})", re.ASCII)
_MOST_READS = 8_000_000  # instructions and arguments: about ten seconds, and 350,000 arrays
_MOST_REPEATS = 4  # what a pickle holds, counted with repetitions, by its own size
_ALWAYS = 10_000
_TROUBLE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError,
    RecursionError, AssertionError, ImportError, NotImplementedError, struct.error,
)  # fmt: skip


def load_plain(data: bytes, name: str) -> Any:
    """Read a pickle of lists, dicts, texts, numbers and arrays.

    Parameters
    ----------
    data : bytes
        The pickle.
    name : str
        The file's name for messages.

    Returns
    -------
    object
        Plain Python objects and NumPy arrays; sets become lists.

    Raises
    ------
    IndexDamagedError
        If it contains anything else or is damaged.
    """
    try:
        return _Copier(_MOST_REPEATS * len(data) + _ALWAYS).plain(_Reader(data).load(), 0)
    except _TROUBLE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise IndexDamagedError(f"{name}: is not a pickle of plain lists, names and arrays ({reason})") from error


class _Type:
    """A NumPy dtype as described in a pickle."""

    def __init__(self, text: Any, *_: Any) -> None:
        self.text, self.order = str(text), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if isinstance(state, tuple) and state[1] in ("<", ">", "|", "=") else "<"

    def numpy(self) -> np.dtype[Any]:
        """Return the dtype; raise ValueError unless it is of numbers or texts."""
        text = self.text.lstrip("<>|=")
        if not _TYPE.fullmatch(text):
            raise ValueError(f"an array of type {self.text[:20]!r}, expected numbers or texts")
        return np.dtype(text if self.order in "|=" else self.order + text)


class _Held:
    """An array as described in a pickle: its shape, dtype, order and bytes."""

    def __init__(self, *_: Any) -> None:
        self.parts: tuple[Any, ...] = ((0,), _Type("f4"), False, b"")

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise ValueError("an array in an unknown form")
        self.parts = state[-4:]

    def array(self) -> Array:
        """Check the sizes and return the array; raise ValueError if they are invalid."""
        shape, kind, fortran, data = self.parts
        if isinstance(data, str):  # a pickle of Python 2
            data = data.encode("latin1")
        if not isinstance(kind, _Type) or not isinstance(shape, tuple) or not isinstance(data, bytes | bytearray):
            raise ValueError("an array of objects, expected numbers")
        if not all(isinstance(size, int) and 0 <= size < 1 << 40 for size in shape) or len(shape) > 4:
            raise ValueError("an array of an invalid shape")
        flat = np.frombuffer(bytes(data), kind.numpy())
        return flat.reshape(shape, order="F" if fortran is True else "C")


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any = "C", *_: Any) -> _Held:
    held = _Held()
    held.parts = (shape, kind, order == "F", data)
    return held


def _scalar(kind: Any, data: Any = b"", *_: Any) -> _Held:
    return _from_buffer(data, kind, ())


def _latin(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("a text in an unknown encoding")
    return text.encode("latin1")


_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "set"): list,
    ("builtins", "frozenset"): list,
    ("__builtin__", "set"): list,
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _latin,
    ("numpy", "ndarray"): _Held,
    ("numpy", "dtype"): _Type,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Held for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _CountedFile(BytesIO):
    """The bytes of a pickle; every instruction reads at least once."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the next bytes, a limited number of times."""
        self.reads += 1
        if self.reads > _MOST_READS:
            raise pickle.UnpicklingError(f"it has more than {_MOST_READS:,} instructions")
        return super().read(size)


class _Reader(pickle._Unpickler):
    """The unpickler in Python; the one in C allocates any amount of memory that a pickle requests."""

    def __init__(self, data: bytes) -> None:
        super().__init__(_CountedFile(data), encoding="latin1")
        self._size = len(data)

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement of a function that plain data needs; refuse all others."""
        found = _FUNCTIONS.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it calls {module}.{name}, which plain data does not need")
        return found

    def persistent_load(self, number: Any) -> Any:
        """Refuse references to external objects."""
        raise pickle.UnpicklingError("it refers to an external object")

    def _load_bytearray(self: Any) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        if size > self._size:
            raise pickle.UnpicklingError("it is truncated")
        self.append(bytearray(self.read(size)))

    def _load_frame(self: Any) -> None:
        self.read(8)  # a frame only announces bytes; reading through it counts its instructions

    dispatch: ClassVar[Any] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: _load_bytearray,
        pickle.FRAME[0]: _load_frame,
    }


class _Copier:
    """Copies plain data with arrays in the place of their descriptions, within a limit of work and memory.

    A pickle of a few bytes can refer to one list many times, in lists that are referred to many times.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def plain(self, value: Any, depth: int) -> Any:
        """Copy a value and what it holds."""
        if depth > 20:
            raise ValueError("its lists are nested too deeply")
        self._spend(1)
        if isinstance(value, _Held):
            array = value.array()
            self._spend(array.nbytes)
            return array[()] if array.ndim == 0 else array
        if isinstance(value, dict):
            return {self.plain(key, depth + 1): self.plain(one, depth + 1) for key, one in value.items()}
        if isinstance(value, tuple):
            return tuple(self.plain(one, depth + 1) for one in value)
        if isinstance(value, list | set | frozenset):
            return [self.plain(one, depth + 1) for one in value]
        if isinstance(value, str | bytes):
            self._spend(len(value) // 16)
        elif value is not None and not isinstance(value, bool | int | float):
            raise ValueError(f"it contains a {type(value).__name__}")
        return value

    def _spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise ValueError("it repeats its parts to more than its size allows")

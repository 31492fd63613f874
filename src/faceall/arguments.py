"""`checked`: arguments of public functions are compared with their annotations, so that a wrong one gets a sentence.

Types, literals and containers are compared. Shapes and ranges are checked by the functions themselves, and so are
annotations that say nothing which can be tested, such as protocols.
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import numpy as np
import numpy.typing as npt

from faceall.errors import ArgumentError

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

Check = tuple[Callable[[Any], bool], str]
"""Whether a value fits, and what is expected, for messages."""

_CONTAINERS = (
    list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection,
    collections.abc.Set, collections.abc.Iterator,
)  # fmt: skip
_MOST_ELEMENTS = 100
"""Elements of a container that are compared."""
_LONGEST = 60


def checked(function: F) -> F:
    """Compare the arguments of each call with the annotations of `function`.

    The call raises ArgumentError for an argument of a wrong type; the message names the argument, what it is and what
    is expected.
    """
    parameters = list(inspect.signature(function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(parameter.name for parameter in parameters if parameter.kind in positional)
    known: dict[str, Check] = {}
    order: list[tuple[str, Check | None]] | None = None

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal order
        if order is None:
            known.update(_checks_of(function, parameters))
            order = [(name, known.get(name)) for name in names]
        for (name, check), value in zip(order, args, strict=False):
            if check is not None and not check[0](value):
                raise _refusal(name, value, check)
        for name, value in kwargs.items():
            check = known.get(name)
            if check is not None and not check[0](value):
                raise _refusal(name, value, check)
        return function(*args, **kwargs)

    return typing.cast(F, call)


def checked_methods(cls: C) -> C:
    """Apply `checked` to the public methods that a class defines."""
    for name, value in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, types.FunctionType):
            setattr(cls, name, checked(value))
        elif isinstance(value, classmethod | staticmethod):
            setattr(cls, name, type(value)(checked(value.__func__)))
    return cls


def _refusal(name: str, value: Any, check: Check) -> ArgumentError:
    return ArgumentError(f"{name} is {described(value)}, expected {check[1]}")


def described(value: Any) -> str:
    """Return a value for a message: itself if it is short, and its type."""
    kind = type(value).__name__
    if value is None or isinstance(value, bool | numbers.Number):
        return f"{value!r}"[:_LONGEST]
    if isinstance(value, str | bytes) and len(value) < _LONGEST:
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return f"of type {kind}"


def _checks_of(function: Any, parameters: list[inspect.Parameter]) -> dict[str, Check]:
    """Return the check of each parameter whose annotation can be tested."""
    found: dict[str, Check] = {}
    for parameter in parameters:
        if parameter.name in ("self", "cls") or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        check = _check_of(_resolved(function, parameter.annotation))
        if check is not None:
            found[parameter.name] = check
    return found


def _resolved(function: Any, annotation: Any) -> Any:
    """Return an annotation as a type; Any if its names are known to type checkers only."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, inspect.unwrap(function).__globals__)
    except (NameError, TypeError, AttributeError):
        return Any


def _check_of(hint: Any) -> Check | None:
    """Return the check of a type; None if every value may fit it."""
    if hint is Any:
        return None
    if hint == npt.ArrayLike:
        return _is_array, "an array of numbers"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return (lambda value: value is None), "None"
    if origin in (Union, types.UnionType):
        arrays = set(typing.get_args(npt.ArrayLike))
        if arrays <= set(arguments):  # the parts of an array beside others, as in `ArrayLike | None`
            others = [_check_of(part) for part in arguments if part not in arrays]
            return _any_of([(_is_array, "an array of numbers"), *others])
        return _any_of([_check_of(part) for part in arguments])
    if origin is Literal:
        return (lambda value: isinstance(value, str | int) and value in arguments), (
            f"one of {', '.join(map(str, arguments))}"
        )
    if origin is np.ndarray or hint is np.ndarray:
        return _is_array, "an array of numbers"
    if origin in _CONTAINERS or hint in _CONTAINERS:
        return _container(origin or hint, arguments)
    if origin in (dict, collections.abc.Mapping) or hint in (dict, Mapping):
        return (lambda value: isinstance(value, Mapping)), "a mapping"
    if origin is collections.abc.Callable or hint is collections.abc.Callable:
        return callable, "a function"
    return _plain(origin or hint)


def _plain(kind: Any) -> Check | None:
    """Return the check of a class."""
    if not isinstance(kind, type) or kind is object:
        return None
    if getattr(kind, "_is_protocol", False):
        return _protocol(kind)
    if kind is os.PathLike or issubclass(kind, Path):
        return (lambda value: isinstance(value, os.PathLike) or (kind is not os.PathLike and isinstance(value, str))), (
            "a path"
        )
    if kind is bool:
        return (lambda value: isinstance(value, bool | np.bool_)), "True or False"
    if kind is int:
        return _is_whole, "a whole number"
    if kind is float:
        return (lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool)), "a number"
    if issubclass(kind, enum.Enum):
        return (lambda value: isinstance(value, kind)), _listed(map(str, kind))
    names: dict[type, str] = {str: "a text", bytes: "bytes"}
    return (lambda value: isinstance(value, kind)), names.get(kind, f"{kind.__name__}")


def _protocol(kind: Any) -> Check | None:
    """Return the check of a protocol: the value has its methods and attributes."""
    wanted = [name for base in kind.__mro__ if base is not object for name in vars(base) if _is_member(name)]
    wanted += [name for name in getattr(kind, "__annotations__", {}) if _is_member(name)]
    if not wanted or not kind.__module__.startswith("faceall"):
        return None
    shown = ", ".join(dict.fromkeys("being called" if name == "__call__" else name for name in wanted))
    return (lambda value: all(_has(value, name) for name in wanted)), f"an object with {shown}"


def _has(value: Any, name: str) -> bool:
    """Return whether a value has an attribute; a property is not run, since it may load a model."""
    return isinstance(inspect.getattr_static(value, name, None), property) or hasattr(value, name)


def _is_member(name: str) -> bool:
    return not name.startswith("_") or name == "__call__"


def _is_whole(value: Any) -> bool:
    return type(value) is int or (isinstance(value, numbers.Integral) and not isinstance(value, bool))


def _is_array(value: Any) -> bool:
    if type(value) is np.ndarray:  # the usual case, which needs no search in abstract classes
        return True
    if isinstance(value, str | bytes):
        return False
    return isinstance(value, collections.abc.Sequence | numbers.Number) or hasattr(value, "__array__")


def _container(kind: Any, arguments: tuple[Any, ...]) -> Check:
    """Return the check of a container: not a text, and its first elements fit."""
    one = _check_of(arguments[0]) if arguments and (kind is not tuple or arguments[-1] is ...) else None
    text = f"several values, each {one[1]}" if one else "several values"

    def fits(value: Any) -> bool:
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            return False
        if one is None or not isinstance(value, list | tuple | set | frozenset):
            return True
        return all(one[0](element) for element, _ in zip(value, range(_MOST_ELEMENTS), strict=False))

    return fits, text


def _any_of(checks: list[Check | None]) -> Check | None:
    """Return the check of a union; None if one of its parts accepts everything."""
    parts = [check for check in checks if check is not None]
    if len(parts) < len(checks):
        return None
    texts = dict.fromkeys(text for _, text in parts)
    return (lambda value: any(fits(value) for fits, _ in parts)), _listed(texts)


def _listed(texts: Any) -> str:
    found = list(texts)
    return " or ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else found[0]

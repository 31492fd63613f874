"""Every parameter of every public callable: a value of a wrong type gets one sentence, in an error of faceall."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from faceall.arguments import checked
from faceall.errors import ArgumentError, FaceallError

PACKAGES = (
    "faceall", "faceall.analysis", "faceall.caffe", "faceall.classify", "faceall.convert", "faceall.detect",
    "faceall.evaluate", "faceall.gallery", "faceall.images", "faceall.index", "faceall.install", "faceall.models",
    "faceall.train", "faceall.video",
)  # fmt: skip
CLASSES = (
    "Classifier", "Detector", "Embedder", "FaceIndex", "Faces", "Gallery", "GalleryFaces", "GalleryIndex",
    "GalleryPeople", "GalleryPhotos",
)  # fmt: skip
"""The classes with methods; the others are results, or options that check themselves when they are made."""

NOT_MADE_BY_USERS = (
    "Classifier", "Gallery", "GalleryFaces", "GalleryIndex", "GalleryPeople", "GalleryPhotos",
)  # fmt: skip
"""Classes that `Gallery.open` and `Classifier.fit` make."""

OTHERWISE = {
    "Faces(boxes)", "Faces(scores)", "Faces(landmarks)",  # shapes are checked together: test_arguments.py
    "find(image)", "verify(first)", "verify(second)", "compare_images(first)", "compare_images(second)",  # any image
    "Gallery.analyse(source)", "Gallery.search(source)", "Gallery.search_people(source)", "Gallery.explain(source)",
    "Gallery.compare(first)", "Gallery.compare(second)",
    "calibrate_searches(model_manifest)",
    "label_of(model)",
}  # fmt: skip
"""Parameters whose annotation accepts anything; a wrong value is refused by what reads it."""


class Wrong:
    """Of no type that anything accepts."""


def parameters(label: str, function: Callable[..., Any]) -> Iterator[Any]:
    """Each parameter of a callable, with a call that gives it alone."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls") or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        name = f"{label}({parameter.name})"
        if name not in OTHERWISE:
            yield pytest.param(function, parameter, id=name)


def every_parameter() -> Iterator[Any]:
    """Those of the functions and classes that the packages export."""
    seen: set[int] = set()
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            found = getattr(module, name)
            if id(found) in seen:
                continue
            seen.add(id(found))
            if inspect.isfunction(found):
                yield from parameters(name, found)
            elif name in CLASSES:
                if name not in NOT_MADE_BY_USERS:
                    yield from parameters(name, found)
                for method, value in vars(found).items():
                    if not method.startswith("_") and inspect.isfunction(value):
                        yield from parameters(f"{name}.{method}", value)
                    elif not method.startswith("_") and isinstance(value, classmethod | staticmethod):
                        yield from parameters(f"{name}.{method}", getattr(found, method))


@pytest.mark.parametrize(("function", "parameter"), list(every_parameter()))
def test_a_wrong_type_gets_one_sentence(function: Callable[..., Any], parameter: inspect.Parameter) -> None:
    """The sentence names the type that was given; nothing is done."""
    needs_self = next(iter(inspect.signature(function).parameters), "") == "self"
    this = (object(),) if needs_self else ()
    by_place = parameter.kind == parameter.POSITIONAL_ONLY
    with pytest.raises(FaceallError) as caught:
        function(*this, *([Wrong()] if by_place else []), **({} if by_place else {parameter.name: Wrong()}))
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert "Wrong" in text
    assert "expected" in text


def test_exceptions_are_still_parameters() -> None:
    """The list of those that are checked elsewhere names nothing that has gone."""
    found = set()
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            methods = vars(value) if name in CLASSES else {}
            for label, function in [(name, value), *((f"{name}.{key}", method) for key, method in methods.items())]:
                if inspect.isfunction(function) or (inspect.isclass(function) and label in CLASSES):
                    found |= {f"{label}({key})" for key in inspect.signature(function).parameters}
    assert found >= OTHERWISE


@checked
def sample(number: int, names: list[str] | None = None, *, share: float = 0.5, kind: str = "a") -> int:
    """Return a number."""
    return number


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"number": "3"}, "number is '3', expected a whole number"),
        ({"number": True}, "number is True, expected a whole number"),
        ({"number": 1.5}, "number is 1.5, expected a whole number"),
        ({"number": 1, "names": "abc"}, "names is 'abc', expected several values, each a text or None"),
        ({"number": 1, "names": [3]}, "names is of type list, expected several values, each a text or None"),
        ({"number": 1, "share": "x"}, "share is 'x', expected a number"),
        ({"number": 1, "kind": b"a"}, "kind is b'a', expected a text"),
    ],
)
def test_the_sentence_says_expected_and_actual(arguments: dict[str, Any], text: str) -> None:
    """By the annotation, and by the value where that is short."""
    with pytest.raises(ArgumentError) as caught:
        sample(**arguments)
    assert str(caught.value) == text


def test_right_arguments_pass() -> None:
    """NumPy's numbers are numbers, and a default is accepted."""
    import numpy as np

    assert sample(np.int64(3), ["a"], share=np.float32(1)) == 3
    assert sample(2, None, share=1) == 2
    assert sample.__name__ == "sample"

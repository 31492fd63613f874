"""The golden vectors that the Swift package is tested with are what faceall's own functions give."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import golden_vectors
import numpy as np
import pytest
from golden_vectors import read_pixels

from faceall.convert.targets.ios import template_folder
from faceall.detect import Cascade, MtcnnDetector
from faceall.detect.nets import CascadeNet
from faceall.detect.weights import OUTPUT
from faceall.models import Manifest

PLACE = Path("FaceAll/Tests/FaceAllCoreTests/Vectors")
LEVELS = 1 if int(cv2.__version__.split(".")[0]) >= 5 else 9
"""How far apart bilinear samples may be: OpenCV 4 rounds places to 1/32 of a pixel, later ones do not round them."""


def committed(name: str) -> Any:
    """A file of golden vectors as it is shipped."""
    return json.loads((template_folder() / PLACE / name).read_text(encoding="utf-8"))


def assert_same(actual: Any, expected: Any, levels: int, where: str = "") -> None:
    """Numbers to a relative part of 1e-6, pictures to so many levels, all else exactly."""
    if isinstance(expected, dict) and set(expected) == {"width", "height", "values"}:
        one, other = read_pixels(actual), read_pixels(expected)
        assert one.shape == other.shape, where
        assert np.abs(one.astype(int) - other.astype(int)).max() <= levels, where
    elif isinstance(expected, dict):
        assert actual.keys() == expected.keys(), where
        for key in expected:
            assert_same(actual[key], expected[key], levels, f"{where}/{key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), where
        for number, (one, other) in enumerate(zip(actual, expected, strict=True)):
            assert_same(one, other, levels, f"{where}/{number}")
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-6, abs=1e-6), where
    else:
        assert actual == expected, where


@pytest.mark.parametrize(
    ("name", "make", "levels"),
    [
        ("boxes.json", golden_vectors.box_vectors, 0),
        ("pyramid.json", golden_vectors.pyramid_vectors, 0),
        ("scaling.json", golden_vectors.scaling_vectors, 0),
        ("crops.json", golden_vectors.crop_vectors, LEVELS),
        ("alignment.json", golden_vectors.alignment_vectors, LEVELS),
        ("squares.json", golden_vectors.square_vectors, LEVELS),
        ("search.json", golden_vectors.search_vectors, 0),
        ("decisions.json", golden_vectors.decision_vectors, 0),
        ("quality.json", golden_vectors.quality_vectors, 0),
    ],
)
def test_shipped_vectors_are_what_python_gives(name: str, make: Callable[[], Any], levels: int) -> None:
    """Every input leads to the output in the file; reductions by area to the byte."""
    assert_same(json.loads(json.dumps(make())), committed(name), levels, name)


def test_a_changed_vector_is_noticed() -> None:
    """The comparison can fail: a number off by a thousandth, a picture off by two levels, a missing entry."""
    vectors = committed("crops.json")
    for change in (
        lambda v: v["boxes"][0].__setitem__(0, v["boxes"][0][0] * 1.001),
        lambda v: v["picture"].__setitem__("values", _brighter(v["picture"])),
        lambda v: v["crops"].pop(),
    ):
        changed = json.loads(json.dumps(vectors))
        change(changed)
        with pytest.raises(AssertionError):
            assert_same(changed, vectors, 1)


def _brighter(picture: dict[str, Any]) -> str:
    values = read_pixels(picture).astype(int)
    return base64.b64encode(np.where(values > 128, values - 2, values + 2).astype(np.uint8).tobytes()).decode()


def test_recorded_detection_gives_the_recorded_faces() -> None:
    """With the nets' recorded answers, Python finds the faces in the file, as Swift has to."""
    recorded = committed("detection.json")
    detector = MtcnnDetector(
        min_face=recorded["min_face"], cascade=Cascade(thresholds=recorded["thresholds"], lenient=False)
    )
    calls = [recorded["proposals"], recorded["refinements"], recorded["finals"]]
    detector._nets = tuple(CascadeNet(_Replayed(number, list(entries))) for number, entries in enumerate(calls))
    faces = detector(read_pixels(recorded["picture"]))
    found = {"boxes": faces.boxes, "scores": faces.scores, "landmarks": faces.landmarks.reshape(-1, 10)}
    assert_same({name: golden_vectors.floats(values) for name, values in found.items()}, recorded["faces"], 0)
    assert len(faces) == 2


class _Replayed:
    """A net that compares what it is asked with what was asked, and gives the recorded answer."""

    precision = "float32"

    def __init__(self, number: int, calls: list[dict[str, Any]]) -> None:
        self.number, self.calls = number, calls

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        call = self.calls.pop(0)
        pictures = inputs["data"].transpose(0, 2, 3, 1)
        if self.number == 0:
            assert np.array_equal(pictures[0], read_pixels(call["canvas"]))
            values = np.frombuffer(base64.b64decode(call["values"]), "<f4")
            return {OUTPUT: values.reshape(1, 5, call["rows"], call["columns"])}
        for picture, crop in zip(pictures, call["crops"], strict=False):
            assert np.abs(picture - read_pixels(crop)).max() <= LEVELS
        answers = np.zeros((len(pictures), len(call["answers"][0])), np.float32)
        answers[: len(call["answers"])] = call["answers"]
        return {OUTPUT: answers}


def test_manifest_is_one_of_ours() -> None:
    """The manifest that Swift reads in its tests is what faceall writes."""
    values, now = committed("manifest.json"), json.loads(golden_vectors.example_manifest().to_json())
    read_by_swift = ("schema", "name", "kind", "embedding_size", "input_size", "standardisation", "crop", "licence")
    for name in (*read_by_swift, "match_threshold"):
        assert values[name] == now[name]
    assert Manifest.from_json(json.dumps(now)) == golden_vectors.example_manifest()

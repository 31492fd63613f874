"""Wrong arguments of public callables: one sentence that names what was expected, in an error of faceall."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceall
from faceall import Detector, Embedder, FaceIndex, Faces, Gallery
from faceall.errors import FaceallError
from faceall.images import decode_image
from tiny_model import write_tiny_model

PIXELS = np.zeros((40, 30, 3), np.uint8)
ONE = Faces(np.array([[1, 1, 20, 20]], np.float32), np.ones(1, np.float32), np.ones((1, 5, 2), np.float32))


def embedder(folder: Path) -> Embedder:
    """An embedder with random weights."""
    return Embedder(write_tiny_model(folder).path)


CALLS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "Embedder size text": (lambda at: Embedder(size="128"), "size is '128', expected a whole number"),
    "Embedder size zero": (lambda at: Embedder(size=0), "expected a positive integer"),
    "Embedder size bool": (lambda at: Embedder(size=True), "size is True, expected a whole number"),
    "Embedder model": (lambda at: Embedder("no-such-model"), "no-such-model"),
    "Embedder channels first": (lambda at: embedder(at)(PIXELS.transpose(2, 0, 1), ONE), r"\(H, W, 3\)"),
    "Embedder gray": (lambda at: embedder(at)(PIXELS[..., 0], ONE), r"\(H, W, 3\)"),
    "Embedder float": (lambda at: embedder(at)(PIXELS / 255, ONE), "expected uint8"),
    "Embedder path": (lambda at: embedder(at)("photo.jpg", ONE), "image is 'photo.jpg', expected an array"),
    "Embedder boxes": (lambda at: embedder(at).crop(PIXELS, [[1, 1, 20, 20]]), "expected Faces"),
    "embed_crops shape": (lambda at: embedder(at).embed_crops(PIXELS), "expected uint8"),
    "Detector model": (lambda at: Detector("no-such-model"), "no-such-model"),
    "Faces boxes": (lambda at: Faces(np.zeros((1, 3)), np.ones(1), np.ones((1, 5, 2))), "expected"),
    "Faces lengths": (lambda at: Faces(np.zeros((1, 4)), np.ones(2), np.ones((1, 5, 2))), "expected"),
    "FaceIndex metric": (lambda at: FaceIndex(None, metric="dot"), "expected one of"),
    "FaceIndex dimension": (lambda at: FaceIndex(None, dimension=-1), "expected"),
    "FaceIndex absent": (lambda at: FaceIndex(at / "absent", create=False), "holds no face index"),
    "FaceIndex add": (lambda at: FaceIndex(None, dimension=4).add(np.ones((2, 3), np.float32)), "dimension"),
    "FaceIndex not finite": (lambda at: FaceIndex(None).add(np.full((1, 3), np.nan)), "finite"),
    "FaceIndex text": (lambda at: FaceIndex(None).add("abc"), "vectors is 'abc', expected an array of numbers"),
    "FaceIndex k": (lambda at: FaceIndex(None, dimension=2).search(np.ones(2), k=0), "expected"),
    "FaceIndex remove": (lambda at: FaceIndex(None).remove([1]), "no key 1"),
    "Gallery absent": (lambda at: Gallery.open(at / "absent", read_only=True), "no gallery|holds no face index"),
    "Gallery address": (lambda at: Gallery.open("milvus://"), "milvus"),
    "read_image absent": (lambda at: faceall.read_image(at / "absent.jpg"), "absent.jpg"),
    "read_image folder": (lambda at: faceall.read_image(at), "folder"),
    "decode_image text": (lambda at: decode_image(b"text"), "."),
    "write_image shape": (lambda at: faceall.write_image(at / "a.png", PIXELS[..., :2]), "expected"),
    "detect_faces number": (lambda at: faceall.detect_faces(3), "int"),
    "represent url": (lambda at: faceall.represent("https://example.org/a.jpg"), "URL"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_gets_one_sentence(name: str, tmp_path: Path) -> None:
    """The error is one of faceall's, one line long, and says what was expected."""
    call, words = CALLS[name]
    with pytest.raises(FaceallError, match=words) as caught:
        call(tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_no_index_selects_no_face() -> None:
    """An empty list is a valid selection."""
    assert len(ONE.take([])) == 0


def test_an_index_out_of_range_is_refused() -> None:
    """The message says which are valid."""
    with pytest.raises(FaceallError, match="indices below 1"):
        ONE.take([5])

"""Every public method of a gallery does the same in a folder and in Milvus, or Milvus refuses it with its reason.

The methods run in the order of the table on two galleries with the same photos. Ids are not compared, nor what follows
from their order: in Milvus the ids of photos are derived from the content, and clusters have random numbers.
"""

from __future__ import annotations

import dataclasses
import difflib
import pprint
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import WholeEmbedder
from milvus_places import empty_place
from store_actions import METHODS, PROPERTIES, REFUSED, Action, Side, write_photos
from videos import BrightDetector

from faceall.errors import FaceallError
from faceall.gallery import (
    Gallery,
    GalleryFaces,
    GalleryIndex,
    GalleryPeople,
    GalleryPhotos,
    Note,
    StoredFace,
    StoredPhoto,
)

pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
pytest.importorskip("milvus_lite", reason="needs milvus-lite: scripts/test-milvus")

CLASSES = (Gallery, GalleryPeople, GalleryFaces, GalleryPhotos, GalleryIndex)
IDS = frozenset({"id", "face_id", "photo_id", "person_id", "cover", "folder", "size", "receipt"})
"""Fields that differ between stores."""

TEXTS = (
    (r"unnamed \d+", "unnamed"),
    (r"\b(face|alone) \d+", r"\1 NUMBER"),
    (r"nearly the same image as .*", "nearly the same image"),
)
"""Parts of texts that differ between stores."""


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """Two galleries of the same photos: in a folder and in Milvus."""
    base = tmp_path_factory.mktemp("both")
    write_photos(base / "photos")
    with ExitStack() as stack:
        made = []
        for kind, place in (("folder", base / "gallery"), ("milvus", empty_place(base / "gallery"))):
            gallery = stack.enter_context(Gallery.open(place, detector=BrightDetector(), embedder=WholeEmbedder()))
            gallery.register(base / "photos", names_from="folders")
            (base / kind).mkdir()
            made.append(Side(gallery, base / "photos", base / kind))
        yield made[0], made[1]


def plain(value: Any, side: Side) -> Any:
    """Return a result without ids, with names of clusters and places in one form."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        left_out = IDS | {"path"} if isinstance(value, Note) else IDS  # one of several equally near photos
        kept = {name: plain(item, side) for name, item in fields.items() if name not in left_out}
        return (type(value).__name__, sorted(kept.items()))
    if isinstance(value, dict):
        return {str(key): plain(item, side) for key, item in value.items()}
    if isinstance(value, list | tuple) and value and all(type(item) is int and item > 0 for item in value):
        return f"{len(value)} numbers"  # ids, or the size of an image
    if isinstance(value, list | tuple):
        items = [plain(item, side) for item in value]
        return sorted(items, key=repr) if all(isinstance(item, StoredPhoto | StoredFace) for item in value) else items
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), side)
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, str | Path):
        text = str(value).replace(side.gallery.place, "PLACE").replace(str(side.out), "OUT")
        for pattern, word in TEXTS:
            text = re.sub(pattern, word, text)
        return text
    return value


def contents(side: Side) -> Any:
    """Return what a user can see of a gallery, in an order that does not depend on ids."""
    gallery = side.gallery
    people = sorted(plain(gallery.people.list(), side), key=repr)
    history = [one.kind for one in gallery.people.history().items]
    return plain(gallery.faces.find(), side), people, history, plain(gallery.status(), side)


def outcome(action: Action, side: Side) -> Any:
    """Return the result of an action, or the error that the user would see."""
    try:
        return plain(action(side), side)
    except FaceallError as error:
        return type(error).__name__, plain(str(error), side)


def differences(there: Any, here: Any) -> str:
    """Return the lines in which two values differ, empty if they are equal."""
    first, second = (pprint.pformat(value, width=150).splitlines() for value in (there, here))
    return "\n".join(difflib.unified_diff(first, second, "Milvus", "folder", lineterm="", n=0))


def test_every_method_and_property_is_in_the_table() -> None:
    """A new public method has to be compared, too."""
    public = {f"{one.__name__}.{name}" for one in CLASSES for name in dir(one) if not name.startswith("_")}
    public -= {f"Gallery.{part}" for part in ("people", "photos", "faces", "index")}  # they are in CLASSES themselves
    assert public == METHODS.keys() | PROPERTIES.keys()
    assert REFUSED.keys() <= METHODS.keys()


@pytest.mark.parametrize("name", [*METHODS, *PROPERTIES])
def test_both_stores_do_the_same(sides: tuple[Side, Side], name: str) -> None:
    """Result, error and contents are equal; what Milvus refuses changes nothing and names the way to a folder."""
    action = {**METHODS, **PROPERTIES}[name]
    folder, milvus = sides
    if name in REFUSED:
        before = contents(milvus)
        kind, message = outcome(action, milvus)
        assert kind == "NotSupportedError"
        assert re.search(r"; this needs a gallery in a folder; .*: faceall index move PLACE FOLDER$", message)
        assert "\n" not in message
        assert contents(milvus) == before
        return
    there, here = outcome(action, milvus), outcome(action, folder)
    assert differences((there, contents(milvus)), (here, contents(folder))) == ""

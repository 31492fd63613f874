"""The records of a bundle (people, faces, photos), validated field by field, and their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from faceall.gallery.records.checks import expect, is_whole, matching, numbers, text, times
from faceall.models import ModelFolder
from faceall.types import Float32Array

FORMAT = 1
KIND = "faceall-gallery-bundle"

_LONGEST_NAME = 1_000
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_PIXELS = 1_000_000


@dataclass(frozen=True)
class BundlePerson:
    """A person: a UUID, the name, and the times (UTC) of creation and of the last change of the name."""

    id: str
    name: str
    created: str
    changed: str

    @classmethod
    def from_json(cls, values: Any) -> BundlePerson:
        """Read an element of people.json."""
        expect(isinstance(values, dict), "a person", values, "an object")
        identity = matching(values, "id", UUID, "a UUID in lower case")
        name = text(values, "name", _LONGEST_NAME)
        return cls(identity, name, *times(values))

    def to_json(self) -> dict[str, Any]:
        """Return an element of people.json."""
        return asdict(self)


@dataclass(frozen=True)
class BundlePhoto:
    """A photo: its file name without a folder, the SHA-256 of its content, its size in pixels if known."""

    name: str
    sha256: str
    width: int | None
    height: int | None

    @classmethod
    def from_json(cls, values: Any) -> BundlePhoto:
        """Read the photo of an element of faces.json."""
        expect(isinstance(values, dict), "photo", values, "an object")
        name = text(values, "name", 255)
        expect("/" not in name and "\\" not in name and name not in (".", ".."), "photo.name", name, "a file name")
        sha256 = matching(values, "sha256", _SHA256, "64 hexadecimal digits")
        size = (values.get("width"), values.get("height"))
        fits = size == (None, None) or all(is_whole(side, _MOST_PIXELS) for side in size)
        expect(fits, "photo's width and height", size, "whole numbers from 1, or both null")
        return cls(name, sha256, *size)


@dataclass(frozen=True)
class BundleFace:
    """A face as in faces.json; the same row of vectors.f32 holds its vector.

    The JSON field of `is_primary` is called `chief`.
    """

    id: str
    person: str | None
    is_primary: bool
    photo: BundlePhoto
    box: tuple[float, ...]
    landmarks: tuple[tuple[float, ...], ...]
    score: float
    created: str
    changed: str

    @property
    def thumbnail(self) -> str:
        """The entry with the thumbnail."""
        return f"thumbnails/{self.id}.jpg"

    @classmethod
    def from_json(cls, values: Any) -> BundleFace:
        """Read an element of faces.json."""
        expect(isinstance(values, dict), "a face", values, "an object")
        identity = matching(values, "id", UUID, "a UUID in lower case")
        person = None if values.get("person") is None else matching(values, "person", UUID, "a UUID or null")
        primary, thumbnail = values.get("chief"), values.get("thumbnail")
        expect(isinstance(primary, bool), "chief", primary, "true or false")
        expect(thumbnail == f"thumbnails/{identity}.jpg", "thumbnail", thumbnail, "thumbnails/ID.jpg")
        box = numbers(values.get("box"), 4, "box")
        expect(box[0] < box[2] and box[1] < box[3], "box", box, "x0 y0 x1 y1")
        marks = values.get("landmarks")
        expect(isinstance(marks, list) and len(marks) == 5, "landmarks", marks, "five points")
        landmarks = tuple(numbers(mark, 2, "landmarks") for mark in marks)
        (score,) = numbers([values.get("score")], 1, "score")
        expect(0 <= score <= 1, "score", score, "0 to 1")
        photo = BundlePhoto.from_json(values.get("photo"))
        return cls(identity, person, primary, photo, box, landmarks, score, *times(values))

    def to_json(self) -> dict[str, Any]:
        """Return an element of faces.json."""
        values = asdict(self)
        values["chief"] = values.pop("is_primary")
        return {**values, "thumbnail": self.thumbnail}


@dataclass(frozen=True, eq=False)
class Contents:
    """A bundle in memory, without the thumbnails.

    Parameters
    ----------
    model : ModelFolder
        The embedder that made the vectors: only its manifest, without its files.
    threshold : float or None
        The largest squared distance of a match, None if unknown.
    people : tuple of BundlePerson
        The people of the faces.
    faces : tuple of BundleFace
        The faces.
    vectors : (n, dimension) float32
        One per face.
    """

    model: ModelFolder
    threshold: float | None
    people: tuple[BundlePerson, ...]
    faces: tuple[BundleFace, ...]
    vectors: Float32Array


def manifest_json(contents: Contents, parts: dict[str, tuple[int, str]], writer: str) -> bytes:
    """Return the text of manifest.json.

    Parameters
    ----------
    contents : Contents
        The bundle.
    parts : dict
        Size in bytes and SHA-256 of every other entry, by name.
    writer : str
        The program that writes the bundle.
    """
    manifest = contents.model.manifest
    model = {"name": manifest.name, "fingerprint": contents.model.fingerprint}
    return as_json(
        {
            "kind": KIND,
            "format": FORMAT,
            "embedding_size": manifest.embedding_size,
            "metric": "squared-l2",
            "model": {**model, "manifest": json.loads(manifest.to_json())},
            "threshold": contents.threshold,
            "people": len(contents.people),
            "faces": len(contents.faces),
            "writer": writer,
            "parts": {name: {"size": size, "sha256": digest} for name, (size, digest) in parts.items()},
        }
    )


def list_json(records: Iterable[BundlePerson | BundleFace]) -> bytes:
    """Return the text of people.json or faces.json, one element per line."""
    lines = ",\n".join(as_json(record.to_json()).decode() for record in records)
    return f"[\n{lines}\n]\n".encode() if lines else b"[]\n"


def as_json(values: Any) -> bytes:
    """Return values as JSON; the same values always give the same bytes."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()

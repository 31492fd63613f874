"""The records of a bundle (people, faces, photos), validated field by field, and their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from faceall.gallery.records.checks import TIME, expect, is_date, is_whole, matching, numbers, text, times
from faceall.gallery.records.faces import Moment
from faceall.gallery.records.people import MAX_NOTE
from faceall.models import ModelFolder
from faceall.types import Float32Array

FORMAT = 1
KIND = "faceall-gallery-bundle"

_LONGEST_NAME = 1_000
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TAKEN = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T\d\d:\d\d:\d\d", re.ASCII)
_LONGEST_CAMERA = 1_000
_GROUP = re.compile(r"unnamed \d+\**", re.ASCII)
"""How galleries call their groups without a name; bundles without the field `unnamed` mark them by nothing else."""
_MOST_PIXELS = 1_000_000


@dataclass(frozen=True)
class BundleDetails:
    """What is noted of a person besides the name.

    Attributes
    ----------
    hidden : bool
        Not listed and not suggested.
    note : str or None
        A text.
    born : str or None
        The date of birth, YYYY-MM-DD.
    cover : str or None
        The id of the face that represents them, None for the best one.
    changed : str
        When one of these was last changed, in UTC.
    """

    hidden: bool
    note: str | None
    born: str | None
    cover: str | None
    changed: str

    @classmethod
    def from_json(cls, values: Any) -> BundleDetails:
        """Read the details of an element of people.json."""
        expect(isinstance(values, dict), "details", values, "an object")
        hidden, note, born, cover = (values.get(name) for name in ("hidden", "note", "born", "cover"))
        expect(isinstance(hidden, bool), "hidden", hidden, "true or false")
        if note is not None:
            note = text(values, "note", 4 * MAX_NOTE)
            expect(
                len(note) <= MAX_NOTE and note == note.strip(), "note", note, f"a text of 1 to {MAX_NOTE} characters"
            )
        if born is not None:
            expect(is_date(born), "born", born, "a date such as 2019-05-31")
        if cover is not None:
            cover = matching(values, "cover", UUID, "a UUID or null")
        return cls(hidden, note, born, cover, matching(values, "changed", TIME, "a time like 2026-01-31T12:00:00Z"))


@dataclass(frozen=True)
class BundlePerson:
    """A person, or a group of faces without a name.

    Attributes
    ----------
    id : str
        A UUID.
    name : str
        The name; of a group the one that the gallery shows, which means nothing elsewhere.
    created, changed : str
        The times (UTC) of creation and of the last change of the name.
    details : BundleDetails or None
        What is noted besides the name.
    unnamed : bool
        Whether this is a group without a name.
    """

    id: str
    name: str
    created: str
    changed: str
    details: BundleDetails | None = None
    unnamed: bool = False

    @classmethod
    def from_json(cls, values: Any) -> BundlePerson:
        """Read an element of people.json."""
        expect(isinstance(values, dict), "a person", values, "an object")
        identity = matching(values, "id", UUID, "a UUID in lower case")
        name = text(values, "name", _LONGEST_NAME)
        noted = values.get("details")
        unnamed = values.get("unnamed", is_group_name(name))
        expect(isinstance(unnamed, bool), "unnamed", unnamed, "true or false")
        return cls(identity, name, *times(values), None if noted is None else BundleDetails.from_json(noted), unnamed)

    def to_json(self) -> dict[str, Any]:
        """Return an element of people.json."""
        values = asdict(self)
        if self.details is None:
            del values["details"]
        if not self.unnamed and not is_group_name(self.name):
            del values["unnamed"]
        return values


def is_group_name(name: str) -> bool:
    """Return whether a name looks like those that galleries give to groups without a name."""
    return _GROUP.fullmatch(name) is not None


@dataclass(frozen=True)
class BundlePhoto:
    """A photo: its file name without a folder, the SHA-256 of its content, and what is known of it.

    That is its size in pixels, the camera, and its time without a time zone, such as 2024-05-01T12:00:00.
    """

    name: str
    sha256: str
    width: int | None
    height: int | None
    taken: str | None = None
    camera: str | None = None

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
        taken, camera = values.get("taken"), values.get("camera")
        if taken is not None:
            taken = matching(values, "taken", _TAKEN, "a time like 2024-05-01T12:00:00")
        if camera is not None:
            camera = text(values, "camera", _LONGEST_CAMERA)
            expect(camera.isprintable(), "camera", camera, "printable characters")
        return cls(name, sha256, *size, taken, camera)


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
    hidden: bool = False
    moment: Moment | None = None

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
        photo, hidden = BundlePhoto.from_json(values.get("photo")), values.get("hidden", False)
        expect(isinstance(hidden, bool), "hidden", hidden, "true or false")
        moment = None if values.get("moment") is None else _moment(values["moment"])
        return cls(identity, person, primary, photo, box, landmarks, score, *times(values), hidden, moment)

    def to_json(self) -> dict[str, Any]:
        """Return an element of faces.json."""
        values = asdict(self)
        values["chief"] = values.pop("is_primary")
        values["photo"] = {
            name: value for name, value in values["photo"].items() if value is not None or name in ("width", "height")
        }
        if not self.hidden:
            del values["hidden"]
        if self.moment is None:
            del values["moment"]
        return {**values, "thumbnail": self.thumbnail}


def _moment(values: Any) -> Moment:
    """Read when a video shows a face."""
    expect(isinstance(values, dict), "moment", values, "an object")
    seconds, first, last = numbers([values.get(name) for name in ("seconds", "first", "last")], 3, "moment")
    expect(0 <= first <= seconds <= last, "moment", (first, seconds, last), "0 <= first <= seconds <= last")
    return Moment(seconds, first, last)


def known_taken(taken: str | None) -> str | None:
    """Return a time as bundles hold it, None for another one, such as that of a camera without a clock."""
    return taken if taken is not None and _TAKEN.fullmatch(taken) else None


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

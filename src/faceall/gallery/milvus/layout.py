"""The collections of a gallery in Milvus, and the version of their layout.

    faces       a row per face: its photo, its person (0 for nobody), where it is on the photo, the vector
    thumbnails  its JPEG as Base64, apart from the faces so that searches do not carry pictures
    photos      a row per content: its SHA-256, the files that hold it, and the ids of its faces
    files       path -> photo, to look a path up; the photo's own list decides
    people      a name each; clusters are people without a name of their own
    notes       everything small: the format, the calibration, what clustering was told, what is being written

A face counts only if the row of its photo lists it. That row is written last, at once: so nobody sees half a photo,
and what a crash has left is listed nowhere. Milvus wants a vector in every collection; where there is none, two zeros
stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

FORMAT = 1
STAND_IN = "unused"
ZEROS = [0.0, 0.0]
FLAT: Mapping[str, Any] = MappingProxyType({"index_type": "FLAT"})
GRAPH: Mapping[str, Any] = MappingProxyType({"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}})
LONGEST = 65_535  # bytes of a text


@dataclass(frozen=True)
class Field:
    """A column: its name, its type as Milvus calls it, the longest text, and whether it is looked up."""

    name: str
    kind: str
    length: int = 0
    indexed: bool = False


@dataclass(frozen=True)
class Collection:
    """A collection: its name behind that of the gallery, its key, its other columns and the index of its vectors."""

    name: str
    key: str
    fields: tuple[Field, ...]
    vector: str = STAND_IN
    index: Mapping[str, Any] = field(default_factory=lambda: FLAT)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns but the vector."""
        return tuple(one.name for one in self.fields)


FACES = Collection(
    "faces",
    "id",
    (
        Field("id", "INT64"),
        Field("photo", "INT64", indexed=True),
        Field("person", "INT64", indexed=True),
        Field("record", "JSON"),
    ),
    vector="vector",
    index=GRAPH,
)
THUMBNAILS = Collection("thumbnails", "id", (Field("id", "INT64"), Field("jpeg", "VARCHAR", LONGEST)))
PHOTOS = Collection(
    "photos",
    "id",
    (
        Field("id", "INT64"),
        Field("hash", "VARCHAR", 64),
        Field("state", "VARCHAR", 20, indexed=True),
        Field("displaced", "BOOL"),
        Field("record", "JSON"),
    ),
)
FILES = Collection(
    "files",
    "id",
    (Field("id", "VARCHAR", 64), Field("path", "VARCHAR", LONGEST, indexed=True), Field("photo", "INT64")),
)
PEOPLE = Collection(
    "people",
    "id",
    (Field("id", "INT64"), Field("name", "VARCHAR", LONGEST, indexed=True), Field("cluster", "BOOL")),
)
NOTES = Collection("notes", "key", (Field("key", "VARCHAR", 500, indexed=True), Field("value", "JSON")))

SMALL = (NOTES, PEOPLE, FILES, PHOTOS, THUMBNAILS)
"""Those that do not wait for the first vector's size; the notes first, which tell the format."""

ALL = (*SMALL, FACES)
COLLECTIONS = tuple(one.name for one in ALL)

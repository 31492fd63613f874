"""The collections of a gallery in Milvus and the version of their layout.

    faces       one row per face: its photo, its person (0 if unassigned), its position on the photo, the vector
    thumbnails  the JPEG of a face as Base64, separate from the faces so that searches do not read images
    photos      one row per content: its SHA-256, the files that contain it, and the ids of its faces
    files       path -> photo, to look up a path; the list of files in the photo's row is authoritative
    people      one row per person; clusters are people without a name of their own
    notes       settings and small records: format, calibration, what users said of faces, writes in progress

A face is visible only if the row of its photo lists it. That row is written last and in one step, so no reader sees
an incomplete photo, and rows that a crash leaves behind are not listed. Milvus requires a vector in every collection;
collections without one store two zeros.
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
    """A column: its name, its type in Milvus, the largest length of a text in bytes, and whether it has an index."""

    name: str
    kind: str
    length: int = 0
    indexed: bool = False


@dataclass(frozen=True)
class Collection:
    """A collection: its name without the gallery's prefix, its key, its columns, its vector and the vector's index."""

    name: str
    key: str
    fields: tuple[Field, ...]
    vector: str = STAND_IN
    index: Mapping[str, Any] = field(default_factory=lambda: FLAT, hash=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns except the vector."""
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
"""The collections that do not depend on the dimension of the vectors; `notes` first, which contains the format."""

ALL = (*SMALL, FACES)
COLLECTIONS = tuple(one.name for one in ALL)

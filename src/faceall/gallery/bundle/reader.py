"""Read a bundle without trusting it: check sizes before bytes, checksums before contents, and every field."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from faceall.errors import IndexNewerError, ModelError
from faceall.gallery.bundle.archive import Archive
from faceall.gallery.records.bundles import FORMAT, KIND, BundleFace, BundlePerson, Contents
from faceall.gallery.records.checks import FlawError, check_vectors, expect, is_whole
from faceall.gallery.records.corrections import CORRECTIONS, Corrections
from faceall.models import Manifest, ModelFolder
from faceall.types import Float32Array

MOST_FACES = 60_000
LARGEST_EMBEDDING = 4096
LARGEST_THUMBNAIL = 256 << 10

_LARGEST_TEXT = {
    "manifest.json": 32 << 20,
    "people.json": 32 << 20,
    "faces.json": 64 << 20,
    "corrections.json": 64 << 20,
}
_BRACKETS, _COMMAS = 16, 64  # per person or face in a text; a list of people or faces has no more


class BundleReader:
    """Reads an `Archive` as a bundle.

    Its methods raise IndexDamagedError or IndexNewerError with the file, the entry and what was expected.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._parts: dict[str, Any] = {}

    def contents(self) -> Contents:
        """Return everything except the thumbnails.

        Raises
        ------
        IndexDamagedError
            If a part is damaged.
        """
        part = "manifest.json"
        try:
            manifest = self._json(part, MOST_FACES)
            model = self._model(manifest)
            counts = [_count(manifest, name) for name in ("people", "faces")]
            self._parts = _parts(manifest, self._archive)
            part = "people.json"
            people = tuple(map(BundlePerson.from_json, self._list(part, counts[0])))
            part = "faces.json"
            faces = tuple(map(BundleFace.from_json, self._list(part, counts[1])))
            _check_links(people, faces)
            part = "vectors.f32"
            vectors = self._vectors(len(faces), manifest["embedding_size"])
        except FlawError as error:
            raise self._archive.damaged(f"{part}: {error}") from error
        return Contents(model, _threshold(manifest), people, faces, vectors)

    def corrections(self) -> Corrections:
        """Return judgements and history, after `contents`; empty where the bundle has none."""
        if CORRECTIONS not in self._parts:
            return Corrections()
        try:
            return Corrections.from_bytes(self._part(CORRECTIONS, _LARGEST_TEXT[CORRECTIONS]))
        except FlawError as error:
            raise self._archive.damaged(f"{CORRECTIONS}: {error}") from error

    def thumbnail(self, face: BundleFace) -> bytes:
        """Return the JPEG of a face.

        Raises
        ------
        IndexDamagedError
            If it is not a JPEG of at most 1024 x 1024 pixels.
        """
        data = self._part(face.thumbnail, LARGEST_THUMBNAIL)
        if not is_small_jpeg(data):
            raise self._archive.damaged(f"{face.thumbnail}: is not a JPEG of at most 1024 x 1024 pixels")
        return data

    def _part(self, name: str, limit: int) -> bytes:
        data = self._archive.read(name, limit)
        if hashlib.sha256(data).hexdigest() != self._parts[name]["sha256"]:
            raise self._archive.damaged(f"{name} does not have the SHA-256 of the manifest")
        return data

    def _list(self, name: str, count: int) -> list[Any]:
        values = self._json(name, count)
        expect(isinstance(values, list) and len(values) == count, "the list", len(values), f"{count} elements")
        return list(values)

    def _json(self, name: str, count: int) -> Any:
        limit = _LARGEST_TEXT[name]
        data = self._part(name, limit) if self._parts else self._archive.read(name, limit)
        most = (count + 16) * _BRACKETS, (count + 16) * _COMMAS
        expect(data.count(b"[") + data.count(b"{") <= most[0] and data.count(b",") <= most[1], "text", "...", "a list")
        try:
            return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise FlawError(f"is not JSON ({error})") from error

    def _model(self, manifest: Any) -> ModelFolder:
        expect(isinstance(manifest, dict), "manifest", manifest, "an object")
        expect(manifest.get("kind") == KIND, "kind", manifest.get("kind"), repr(KIND))
        number = manifest.get("format")
        expect(is_whole(number, 1 << 30), "format", number, "a whole number from 1")
        if number > FORMAT:
            raise IndexNewerError(
                f"{self._archive.path}: was written by a newer faceall (bundle format {number}, this one reads"
                f" {FORMAT}): upgrade faceall"
            )
        size, model = manifest.get("embedding_size"), manifest.get("model")
        expect(is_whole(size, LARGEST_EMBEDDING), "embedding_size", size, f"1 to {LARGEST_EMBEDDING}")
        expect(manifest.get("metric") == "squared-l2", "metric", manifest.get("metric"), "'squared-l2'")
        expect(isinstance(model, dict), "model", model, "an object")
        return _model_folder(model, size)

    def _vectors(self, count: int, size: int) -> Float32Array:
        expected = 4 * count * size
        entry = self._archive.entries.get("vectors.f32")
        if entry is not None:
            expect(entry.size == expected, "size", entry.size, f"{expected} bytes: {count} x {size} float32")
        data = self._part("vectors.f32", expected)
        vectors = np.frombuffer(data, "<f4").reshape(count, size).astype(np.float32, copy=False)
        check_vectors(vectors)
        return vectors


def _model_folder(model: dict[str, Any], size: int) -> ModelFolder:
    try:
        folder = ModelFolder(Path(), Manifest.from_json(json.dumps(model.get("manifest"))))
    except ModelError as error:
        raise FlawError(f"its model's manifest: {error}") from error
    stated = folder.manifest.embedding_size
    expect(stated == size, "the model's embedding_size", stated, size)
    expect(model.get("name") == folder.manifest.name, "model.name", model.get("name"), repr(folder.manifest.name))
    expect(
        model.get("fingerprint") == folder.fingerprint, "model.fingerprint", model.get("fingerprint"),
        f"that of its manifest, {folder.fingerprint}",
    )  # fmt: skip
    return folder


def _parts(manifest: dict[str, Any], archive: Archive) -> dict[str, Any]:
    parts = manifest.get("parts")
    expect(isinstance(parts, dict), "parts", parts, "an object")
    assert isinstance(parts, dict)
    others = sorted(set(archive.entries) - {"manifest.json"} ^ set(parts))
    expect(not others, "parts", others[:1], "the entries of the archive")
    for name, part in parts.items():
        fits = isinstance(part, dict) and part.get("size") == archive.entries[name].size
        expect(fits and isinstance(part.get("sha256"), str), f"parts[{name!r}]", part, "its size and SHA-256")
    return parts


def _check_links(people: tuple[BundlePerson, ...], faces: tuple[BundleFace, ...]) -> None:
    """Refuse duplicate and dangling ids, and photos with two primary faces."""
    known = {person.id for person in people}
    expect(len(known) == len(people), "the ids of people", "one twice", "each once")
    expect(len({face.id for face in faces}) == len(faces), "the ids of faces", "one twice", "each once")
    primary = [face.photo.sha256 for face in faces if face.is_primary]
    expect(len(set(primary)) == len(primary), "primary faces", "two of one photo", "at most one per photo")
    for face in faces:
        expect(face.person is None or face.person in known, "person", face.person, "an id of people.json")


def _threshold(manifest: dict[str, Any]) -> float | None:
    value = manifest.get("threshold")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 4:
        return None
    return float(value)


def _count(manifest: dict[str, Any], name: str) -> int:
    number = manifest.get(name)
    expect(number == 0 or is_whole(number, MOST_FACES), name, number, f"a whole number up to {MOST_FACES:,}")
    return int(number or 0)


def is_small_jpeg(data: bytes) -> bool:
    """Return whether data has the header of a JPEG of at most 1024 x 1024 pixels."""
    if not data.startswith(b"\xff\xd8\xff"):
        return False
    try:
        with PillowImage.open(io.BytesIO(data), formats=("JPEG",)) as image:  # reads the header only
            return max(image.size) <= 1024
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
        return False


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")

"""Export a gallery as a folder that any program can read; import such folders, and the vectors of other programs.

index.json      format, model, dimension, counts, SHA-256 of the other files
vectors.npy     (n, dimension) float32
faces.jsonl     one line per face, in the order of the vectors: the fields of a bundle's faces.json, with the path of
                the photo, and the offset and length of the thumbnail in thumbnails.bin
people.json     as in a bundle
thumbnails.bin  JPEGs, one after the other
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faceall.analysis.analyser import THUMBNAIL
from faceall.errors import IndexDamagedError, IndexFileError, IndexNewerError
from faceall.files import new_folder
from faceall.gallery.bundle.export import BundleExport, read_gallery
from faceall.gallery.bundle.merge import Incoming
from faceall.gallery.bundle.reader import LARGEST_THUMBNAIL, is_small_jpeg
from faceall.gallery.identifiers import derived_id
from faceall.gallery.records.bundles import BundleFace, BundlePerson, BundlePhoto, as_json, list_json
from faceall.gallery.records.checks import FlawError, expect, is_whole
from faceall.gallery.store import Store
from faceall.images import encode_jpeg
from faceall.index.portable.vectors import ForeignVectors, load_array, read_foreign
from faceall.models import sha256_of
from faceall.types import Float32Array

FORMAT = 1
KIND = "faceall-gallery-folder"
_HEAD = "index.json"
_FILES = ("vectors.npy", "faces.jsonl", "people.json", "thumbnails.bin")
_LARGEST_HEAD = 1 << 20
_LARGEST_LINE = 16 << 10


def export_folder(store: Store, target: Path) -> BundleExport:
    """Write a gallery as a new folder, atomically.

    Parameters
    ----------
    store : Store
        The gallery.
    target : Path
        A folder that does not exist or is empty.

    Returns
    -------
    BundleExport
        What was written.

    Raises
    ------
    IndexFileError
        The target exists already or cannot be written.
    """
    try:
        with new_folder(target, mode=0o700) as draft:
            people, faces = _write(store, draft)
        size = sum(path.stat().st_size for path in target.iterdir())
    except FileExistsError as error:
        raise IndexFileError(f"{target}: exists already; an export needs a new or empty folder") from error
    except OSError as error:
        raise IndexFileError(f"{target}: cannot be written ({error.strerror})") from error
    return BundleExport(target, people, faces, size)


def _write(store: Store, draft: Path) -> tuple[int, int]:
    with read_gallery(store) as gallery:
        np.save(draft / "vectors.npy", gallery.vectors.astype("<f4", copy=False), allow_pickle=False)
        (draft / "people.json").write_bytes(list_json(gallery.people))
        place = 0
        with (draft / "faces.jsonl").open("wb") as lines, (draft / "thumbnails.bin").open("wb") as images:
            for number, face in enumerate(gallery.faces):
                jpeg = gallery.thumbnail(number)
                line = {**face.to_json(), "thumbnail": [place, len(jpeg)], "path": gallery.path(number)}
                lines.write(as_json(line) + b"\n")
                images.write(jpeg)
                place += len(jpeg)
        head = {
            "kind": KIND,
            "format": FORMAT,
            "model": store.model,
            "dimension": gallery.vectors.shape[1],
            "metric": "squared-l2",
            "people": len(gallery.people),
            "faces": len(gallery.faces),
            "files": {name: sha256_of(draft / name) for name in _FILES},
        }
        (draft / _HEAD).write_text(json.dumps(head, indent=2) + "\n")
        return len(gallery.people), len(gallery.faces)


def read_vectors(source: Path, made_by: str | None) -> Incoming:
    """Read a folder of `export_folder`, or the files of another program.

    Parameters
    ----------
    source : Path
        The folder or file.
    made_by : str or None
        The model that made the vectors, as galleries store it, if the source does not name it.

    Returns
    -------
    Incoming
        The faces to import.

    Raises
    ------
    IndexFileError
        The source cannot be read, or its model is unknown.
    IndexDamagedError
        The source is not valid.
    IndexNewerError
        A newer faceall has written the folder.
    """
    if (source / _HEAD).is_file():
        return _read_folder(source, made_by)
    found = read_foreign(source)
    if made_by is None:
        raise IndexFileError(
            f"{source}: does not say which model made its {len(found.vectors):,} vectors: give --made-by NAME, the"
            " name of an installed model if it was one"
        )
    return _as_incoming(source, found, made_by)


def _read_folder(source: Path, made_by: str | None) -> Incoming:
    part = _HEAD
    try:
        head = _read_head(source)
        for part in _FILES:
            expect(sha256_of(source / part) == head["files"].get(part), "SHA-256", "another", "that of index.json")
        part = "vectors.npy"
        vectors = _read_vectors(source / part, head)
        part = "people.json"
        people = _read_people(source / part)
        part = "faces.jsonl"
        faces, places, thumbnails = _read_faces(source / part, {person.id for person in people})
        expect(len(faces) == len(vectors), "the number of faces", len(faces), len(vectors))
    except FlawError as error:
        raise IndexDamagedError(f"{source / part}: {error}") from error
    except OSError as error:
        raise IndexFileError(f"{source / part}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise IndexDamagedError(f"{source / part}: is damaged ({reason})") from error
    model = head.get("model") or made_by
    if model is None:
        raise IndexFileError(f"{source}: does not say which model made its vectors: give --made-by NAME")

    def thumbnail(face: BundleFace) -> bytes:
        place, size = thumbnails[face.id]
        with (source / "thumbnails.bin").open("rb") as file:
            file.seek(place)
            data = file.read(size)
        if not is_small_jpeg(data):
            raise IndexDamagedError(f"{source / 'thumbnails.bin'}: does not hold a JPEG at {place}")
        return data

    return Incoming(source, model, people, faces, vectors, thumbnail, places)


def _read_head(source: Path) -> dict[str, Any]:
    expect((source / _HEAD).stat().st_size <= _LARGEST_HEAD, "its size", "too large", f"{_LARGEST_HEAD} bytes")
    head = json.loads((source / _HEAD).read_bytes())
    expect(isinstance(head, dict) and head.get("kind") == KIND, "kind", "another", repr(KIND))
    number = head.get("format")
    expect(is_whole(number, 1 << 30), "format", number, "a whole number from 1")
    if number > FORMAT:
        raise IndexNewerError(f"{source}: was written by a newer faceall (format {number}): upgrade faceall")
    expect(head.get("metric") == "squared-l2", "metric", head.get("metric"), "'squared-l2'")
    model = head.get("model")
    expect(model is None or (isinstance(model, str) and 0 < len(model) < 1000), "model", model, "a name or null")
    expect(isinstance(head.get("files"), dict), "files", head.get("files"), "an object")
    return dict(head)


def _read_vectors(path: Path, head: Mapping[str, Any]) -> Float32Array:
    array = load_array(path)
    expect(array.ndim == 2, "the array", "another shape", "(n, dimension)")
    expect(array.dtype == np.dtype("<f4"), "the type", array.dtype, "float32")
    wanted = (head.get("faces"), head.get("dimension"))
    expect(array.shape == wanted, "the shape", array.shape, wanted)
    expect(bool(np.isfinite(array).all()), "a number", "not finite", "finite numbers")
    return np.asarray(array, np.float32)


def _read_people(path: Path) -> tuple[BundlePerson, ...]:
    values = json.loads(path.read_bytes())
    expect(isinstance(values, list), "people", "something else", "a list")
    people = tuple(map(BundlePerson.from_json, values))
    expect(len({person.id for person in people}) == len(people), "an id", "there twice", "each once")
    return people


def _read_faces(
    path: Path, people: set[str]
) -> tuple[tuple[BundleFace, ...], dict[str, str], dict[str, tuple[int, int]]]:
    """Return the faces, the paths of their photos by SHA-256, and offset and size of their thumbnails by id."""
    faces: list[BundleFace] = []
    places: dict[str, str] = {}
    thumbnails: dict[str, tuple[int, int]] = {}
    with path.open("rb") as file:
        while line := file.readline(_LARGEST_LINE):
            values = json.loads(line)
            expect(isinstance(values, dict), "a face", values, "an object")
            where, place = values.get("thumbnail"), values.get("path")
            fits = isinstance(where, list) and len(where) == 2 and all(isinstance(one, int) for one in where)
            expect(fits and where[0] >= 0 and 0 < where[1] <= LARGEST_THUMBNAIL, "thumbnail", where, "offset and size")
            face = BundleFace.from_json({**values, "thumbnail": f"thumbnails/{values.get('id')}.jpg"})
            expect(face.id not in thumbnails, "id", face.id, "each once")
            expect(face.person is None or face.person in people, "person", face.person, "one of people.json")
            usable = (
                isinstance(place, str)
                and "\0" not in place
                and os.path.isabs(place)
                and len(place) < 4096
                and os.path.normpath(place) == place
            )
            if usable and place == place.encode("utf-8", "replace").decode():
                places[face.photo.sha256] = place
            thumbnails[face.id] = (where[0], where[1])
            faces.append(face)
    return tuple(faces), places, thumbnails


def _as_incoming(source: Path, found: ForeignVectors, made_by: str) -> Incoming:
    """Return vectors without photos as faces: unknown fields are empty, ids are derived from the content."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    names = sorted({name for name in found.names if name is not None})
    people = {name: BundlePerson(derived_id("person", made_by, name), name, now, now) for name in names}
    digests, places = _photos(source, found.photos)
    faces: list[BundleFace] = []
    seen: dict[str, int] = {}
    for vector, name, photo, digest in zip(found.vectors, found.names, found.photos, digests, strict=True):
        content = hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()
        known = digest or _digest("photo", made_by, str(name), str(photo), "" if photo else content)
        identity = derived_id("face", made_by, known, content)
        seen[identity] = seen.get(identity, 0) + 1
        if seen[identity] > 1:  # an exact duplicate
            identity = derived_id("face", made_by, known, content, str(seen[identity]))
        faces.append(
            BundleFace(
                id=identity,
                person=None if name is None else people[name].id,
                is_primary=False,
                photo=BundlePhoto(_file_name(photo, name), known, None, None),
                box=(0.0, 0.0, 1.0, 1.0),
                landmarks=((0.0, 0.0),) * 5,
                score=0.0,
                created=now,
                changed=now,
            )
        )
    grey = encode_jpeg(np.full((THUMBNAIL, THUMBNAIL, 3), 128, np.uint8))
    return Incoming(source, made_by, tuple(people.values()), tuple(faces), found.vectors, lambda face: grey, places)


def _photos(source: Path, photos: tuple[str | None, ...]) -> tuple[list[str | None], dict[str, str]]:
    """Return the SHA-256 of the photos whose files still exist, and their paths."""
    known: dict[str, str | None] = {}
    places: dict[str, str] = {}
    for photo in {photo for photo in photos if photo and "\0" not in photo}:
        path = Path(os.path.abspath(source.parent / photo))
        try:
            known[photo] = sha256_of(path) if path.is_file() else None
        except OSError:
            known[photo] = None
        if digest := known[photo]:
            places[digest] = str(path)
    return [None if photo is None else known.get(photo) for photo in photos], places


def _file_name(photo: str | None, name: str | None) -> str:
    text = os.path.basename(photo or name or "face").replace("\0", "")[:100]
    return text.encode("utf-8", "replace").decode() or "face"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()

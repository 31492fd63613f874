"""Gallery bundles between server and phone; `phone.faceall` was written by FaceAllCore's own test, on Linux."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.convert.targets.ios import template_folder
from faceall.gallery import Gallery

VECTORS = template_folder() / "FaceAll/Tests/FaceAllCoreTests/Vectors"
SERVER, SERVER_HISTORY = VECTORS / "server.faceall", VECTORS / "server-history.faceall"
PHONE, PHONE_HISTORY = (Path(__file__).with_name(name) for name in ("phone.faceall", "phone-history.faceall"))


def read_stored(path: Path) -> dict[str, bytes]:
    """The entries of a zip archive that compresses nothing, read as the Swift package does: by its directory."""
    data = path.read_bytes()
    mark, _, count, size, start, comment = struct.unpack("<IIxxHIIH", data[-22:])
    assert (mark, start + size, comment) == (0x06054B50, len(data) - 22, 0)
    entries, place = {}, start
    for _ in range(count):
        fields = struct.unpack("<IHHHHHHIIIHHHHHII", data[place : place + 46])
        method, checksum, packed, whole, name_size, extra, note, offset = *fields[4:5], *fields[7:13], fields[16]
        name = data[place + 46 : place + 46 + name_size].decode("ascii")
        local_name, local_extra = struct.unpack("<HH", data[offset + 26 : offset + 30])
        first = offset + 30 + local_name + local_extra
        entries[name] = data[first : first + whole]
        assert (method, packed) == (0, whole)
        assert zlib.crc32(entries[name]) == checksum
        place += 46 + name_size + extra + note
    return entries


@pytest.mark.parametrize(("path", "people", "faces"), [(SERVER, 2, 6), (PHONE, 3, 8)], ids=["server", "phone"])
def test_bundles_are_read_without_any_library(path: Path, people: int, faces: int) -> None:
    """Directory, stored entries and a list of vectors: that is all."""
    entries = read_stored(path)
    manifest = json.loads(entries["manifest.json"])
    assert (manifest["people"], manifest["faces"], manifest["format"]) == (people, faces, 1)
    vectors = np.frombuffer(entries["vectors.f32"], "<f4").reshape(faces, manifest["embedding_size"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert {face["thumbnail"] for face in json.loads(entries["faces.json"])} <= set(entries)


def test_server_takes_up_what_a_phone_enrolled(tmp_path: Path) -> None:
    """The phone began with the server's bundle: six faces are known, Cleo and one more of Ann are new."""
    with Gallery.open(tmp_path / "gallery") as gallery:
        gallery.index.import_bundle(SERVER)
        done = gallery.index.import_bundle(PHONE)
        assert (done.added, done.known, done.new_people, done.conflicts) == (2, 6, ["Cleo"], [])
        assert {person.name: person.faces for person in gallery.people} == {"Ann": 4, "Cleo": 1, "Zoë Ångström": 2}
        assert gallery.index.problems() == []


def test_model_comes_back_unchanged() -> None:
    """What the phone says of the model is what the server said."""
    before, after = (json.loads(read_stored(path)["manifest.json"])["model"] for path in (SERVER, PHONE))
    assert after == before


def test_known_faces_come_back_bit_for_bit() -> None:
    """Vectors, boxes, ids and thumbnails of the server's faces survive the phone."""
    before, after = read_stored(SERVER), read_stored(PHONE)
    old, new = (_faces(entries) for entries in (before, after))
    assert old.items() <= new.items()
    assert all(after[name] == data for name, data in before.items() if name.startswith("thumbnails/"))


def _faces(entries: dict[str, bytes]) -> dict[str, tuple[dict[str, Any], bytes]]:
    """Id -> the face and its vector; numbers in float32, in which both sides keep them."""
    faces = json.loads(entries["faces.json"], parse_float=np.float32, parse_int=np.float32)
    size = len(entries["vectors.f32"]) // len(faces)
    rows = [entries["vectors.f32"][place * size : (place + 1) * size] for place in range(len(faces))]
    return {face["id"]: (face, row) for face, row in zip(faces, rows, strict=True)}


def test_history_and_judgements_come_back_from_a_phone(tmp_path: Path) -> None:
    """The phone has what the server said, and adds its own change; both are in the history, none can be undone here."""
    before, after = (json.loads(read_stored(path)["corrections.json"]) for path in (SERVER_HISTORY, PHONE_HISTORY))
    assert after["judgements"] == before["judgements"]
    assert [change for change in after["history"] if change in before["history"]] == before["history"]
    with Gallery.open(tmp_path / "gallery") as gallery:
        gallery.index.import_bundle(SERVER_HISTORY)
        gallery.index.import_bundle(PHONE_HISTORY)
        history = gallery.people.history().items
        assert {change.author for change in history} == {"server", "phone"}
        assert [change.details["new"] for change in history if change.author == "phone"] == ["Anna Phone"]
        assert not any(change.undoable for change in history)
        assert {person.name for person in gallery.people} == {"Anna Phone", "Zoë Ångström"}
        assert gallery.people.suggestions() == []  # the two were said to be different

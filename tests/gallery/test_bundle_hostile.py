"""Damaged and malicious bundles are refused with one line, change nothing and need little memory.

FACEALL_FUZZ sets the number of fuzzed bundles (500), FACEALL_KILLS how often an import is killed (8).
"""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import Parts, changed_json, enrol, open_whole, read_parts, write_parts
from stand_ins import one_face, write_photo

from faceall.errors import FaceallError, IndexDamagedError, IndexFileError, IndexNewerError
from faceall.gallery import Gallery

pytestmark = pytest.mark.embedded("bundles are imported into a folder")

FUZZ = int(os.environ.get("FACEALL_FUZZ", "500"))
KILLS = int(os.environ.get("FACEALL_KILLS", "8"))
FACES = 12
Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid bundle of twelve faces of three people."""
    folder = tmp_path_factory.mktemp("sound")
    for number in range(FACES):
        write_photo(folder / "photos" / f"Pat {number % 3}" / f"{number}.png", one_face(number))
    with open_whole(folder / "gallery") as gallery:
        list(gallery.register(folder / "photos"))
        gallery.index.export_bundle(folder / "sound.faceall")
    return folder / "sound.faceall"


@pytest.fixture
def parts(sound: Path) -> Parts:
    """The entries of the valid bundle."""
    return read_parts(sound)


@pytest.fixture
def target(tmp_path: Path) -> Gallery:
    """An empty gallery."""
    return open_whole(tmp_path / "target")


def refuse(target: Gallery, path: Path, message: str, error: type[FaceallError] = IndexDamagedError) -> None:
    """Assert that the bundle is refused in one line that names it, and that the gallery has not changed."""
    with pytest.raises(error, match=message) as caught:
        target.index.import_bundle(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert (len(target), list(target.people), target.model) == (0, [], None)


def edit(name: str, change: Change) -> Callable[[Parts], Parts]:
    """Return a change of one JSON text."""
    return lambda parts: changed_json(parts, name, change)


def face(**values: Any) -> Callable[[Parts], Parts]:
    """Return a change of the first face."""
    return edit("faces.json", lambda faces: faces[0].update(values))


def manifest(**values: Any) -> Callable[[Parts], Parts]:
    """Return a change of the manifest."""
    return edit("manifest.json", lambda found: found.update(values))


def vector(row: int, value: float) -> Callable[[Parts], Parts]:
    """Return a change of one number of the vectors."""

    def change(parts: Parts) -> Parts:
        vectors = np.frombuffer(parts["vectors.f32"], "<f4").copy()
        vectors[row] = value
        return {**parts, "vectors.f32": vectors.tobytes()}

    return change


FLAWS: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "nan": (vector(3, float("nan")), "vectors.f32: holds a number that is not finite"),
    "infinite": (vector(3, float("-inf")), "vectors.f32: holds a number that is not finite"),
    "long vector": (vector(3, 5.0), "vector 0 has length"),
    "short vectors": (lambda parts: {**parts, "vectors.f32": parts["vectors.f32"][:-4]}, "vectors.f32: size is 380"),
    "no vectors": (lambda parts: {name: parts[name] for name in parts if name != "vectors.f32"}, "no vectors.f32"),
    "absurd count": (manifest(faces=10**9), "faces is 1000000000, expected a whole number up to 60,000"),
    "wrong count": (manifest(faces=7), "the list is 12, expected 7 elements"),
    "negative count": (manifest(people=-1), "people is -1"),
    "count is text": (manifest(people="3"), "people is '3'"),
    "absurd size": (manifest(embedding_size=10**12), "embedding_size is 1000000000000"),
    "other size": (manifest(embedding_size=4), "the model's embedding_size is 8, expected 4"),
    "other metric": (manifest(metric="cosine"), "metric is 'cosine'"),
    "other kind": (manifest(kind="holiday"), "kind is 'holiday', expected 'faceall-gallery-bundle'"),
    "format zero": (manifest(format=0), "format is 0"),
    "format true": (manifest(format=True), "format is True"),
    "no model": (manifest(model=None), "model is None"),
    "false fingerprint": (
        edit("manifest.json", lambda found: found["model"].update(fingerprint="0" * 64)),
        "model.fingerprint is '0+', expected that of its manifest",
    ),
    "model's manifest": (
        edit("manifest.json", lambda found: found["model"]["manifest"].pop("crop")),
        "its model's manifest: field 'crop' is missing",
    ),
    "path in the photo": (face(photo={"name": "../../etc/passwd", "sha256": "0" * 64}), "photo.name is '../../etc"),
    "windows path": (face(photo={"name": "a\\b", "sha256": "0" * 64}), "photo.name is"),
    "photo of dots": (face(photo={"name": "..", "sha256": "0" * 64}), r"photo.name is '\.\.'"),
    "thumbnail elsewhere": (face(thumbnail="../thumbnail.jpg"), "thumbnail is"),
    "no person": (face(person="0" * 8 + "-0000-4000-8000-" + "0" * 12), "expected an id of people.json"),
    "id": (face(id="1"), "id is '1', expected a UUID"),
    "box turned": (face(box=[9, 9, 1, 1]), "box is"),
    "box of text": (face(box=["1", 2, 3, 4]), "box is"),
    "box huge": (face(box=[0, 0, 1, 10**400]), "box is"),
    "box of four and one": (face(box=[1, 2, 3, 4, 5]), "expected 4 numbers"),
    "landmarks": (face(landmarks=[[1, 2]]), "landmarks is"),
    "score": (face(score=1.5), "score is 1.5"),
    "time": (face(changed="yesterday"), "changed is 'yesterday'"),
    "face is a number": (edit("faces.json", lambda faces: faces.__setitem__(0, 1)), "a face is 1, expected an object"),
    "twice": (edit("faces.json", lambda faces: faces.__setitem__(0, faces[1])), "the ids of faces is 'one twice'"),
    "two primary faces": (
        edit("faces.json", lambda faces: faces[0].update(photo=faces[1]["photo"])),
        "primary faces is 'two of one photo'",
    ),
    "name": (edit("people.json", lambda people: people[0].update(name="  ")), "name is '  '"),
    "long name": (edit("people.json", lambda people: people[0].update(name="a" * 1001)), "a text of 1 to 1000"),
    "half a character": (edit("people.json", lambda people: people[0].update(name="\ud800")), "valid characters"),
    "not JSON": (lambda parts: {**parts, "faces.json": b"[" * 100}, "faces.json: is not JSON"),
    "deep JSON": (lambda parts: {**parts, "people.json": b"[" * 300}, "people.json: (is not JSON|text)"),
    "many lists": (lambda parts: {**parts, "people.json": b"[" + b"[]," * 10**6 + b"[]]"}, "people.json: text is"),
    "NaN in JSON": (lambda parts: {**parts, "people.json": b"[NaN, 1, 2]"}, "NaN is not a number"),
    "long number": (lambda parts: {**parts, "people.json": b"[" + b"9" * 9999 + b"]"}, "people.json: "),
    "not UTF-8": (lambda parts: {**parts, "people.json": b'["\xff"]'}, "people.json: is not JSON"),
    "not an image": (
        lambda parts: {**parts, next(name for name in parts if name.startswith("thumb")): b"GIF89a"},
        "is not a JPEG",
    ),
}  # fmt: skip


@pytest.mark.parametrize("flaw", FLAWS)
def test_flaw_is_named(target: Gallery, parts: Parts, tmp_path: Path, flaw: str) -> None:
    """An invalid field is named in the error, with its value and the expected one."""
    change, message = FLAWS[flaw]
    refuse(target, write_parts(tmp_path / "bad.faceall", change(parts)), message)


def test_newer_format(target: Gallery, parts: Parts, tmp_path: Path) -> None:
    """A bundle of a later faceall is reported as newer, not as damaged."""
    path = write_parts(tmp_path / "new.faceall", manifest(format=2, kind="faceall-gallery-bundle")(parts))
    refuse(target, path, "newer faceall.*upgrade", IndexNewerError)


@pytest.mark.parametrize("name", ["people.json", "faces.json", "vectors.f32"])
def test_wrong_checksum(target: Gallery, parts: Parts, tmp_path: Path, name: str) -> None:
    """A replaced part with a correct CRC is refused because its SHA-256 differs from the manifest."""
    changed = bytearray(parts[name])
    changed[-2] ^= 1
    path = write_parts(tmp_path / "bad.faceall", {**parts, name: bytes(changed)}, sums=False)
    refuse(target, path, f"{name} does not have the SHA-256 of the manifest")


def test_part_that_the_manifest_does_not_list(target: Gallery, parts: Parts, tmp_path: Path) -> None:
    """An entry that the manifest does not list is refused."""
    path = write_parts(tmp_path / "bad.faceall", {**parts, "../../evil": b"evil"}, sums=False)
    refuse(target, path, "parts is")
    assert not (tmp_path.parent / "evil").exists()


def test_every_truncation_is_refused(target: Gallery, sound: Path, tmp_path: Path) -> None:
    """A bundle that is truncated at any length is refused."""
    data = sound.read_bytes()
    path = tmp_path / "cut.faceall"
    for size in [0, 1, 21, 22, 23, *range(100, len(data), len(data) // 60), len(data) - 1]:
        path.write_bytes(data[:size])
        refuse(target, path, "is not a sound gallery bundle")


def test_compressed_bundle_is_refused(target: Gallery, parts: Parts, tmp_path: Path) -> None:
    """A compressed entry (a zip bomb) is refused without being unpacked."""
    path = tmp_path / "bomb.faceall"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**parts, "vectors.f32": bytes(100 << 20)}.items():
            archive.writestr(name, data)
    assert path.stat().st_size < 1 << 20
    assert peak(lambda: refuse(target, path, "is compressed or encrypted")) < 8 << 20


def test_overlapping_entries_are_refused(target: Gallery, sound: Path, tmp_path: Path) -> None:
    """Entries that share their bytes are refused before they are read."""
    data = bytearray(sound.read_bytes())
    start = data.rindex(b"PK\1\2")
    struct.pack_into("<I", data, start + 42, 0)  # the last entry has the offset of the first
    path = tmp_path / "bad.faceall"
    path.write_bytes(data)
    refuse(target, path, "overlaps another entry")


def test_large_counts_need_little_memory(target: Gallery, parts: Parts, tmp_path: Path) -> None:
    """A small file with the largest counts needs little more memory than its own size."""
    claims = manifest(faces=60_000, people=60_000)(parts)
    path = write_parts(tmp_path / "bad.faceall", claims)
    assert peak(lambda: refuse(target, path, "expected 60000 elements")) < 16 << 20


def test_other_files_are_not_bundles(target: Gallery, tmp_path: Path) -> None:
    """A folder, a missing file, an image and another zip each get their own error."""
    refuse(target, tmp_path, "cannot be read", IndexFileError)
    refuse(target, tmp_path / "absent.faceall", r"cannot be read \(No such file", IndexFileError)
    refuse(target, write_photo(tmp_path / "photo.png", one_face(1)), "is not a sound gallery bundle")
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refuse(target, other, "has no manifest.json")


def peak(action: Callable[[], None]) -> int:
    """Return the largest number of bytes that Python held during `action`."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def damage(data: bytes, moments: random.Random) -> bytes:
    """Flip bits, and cut out, double or overwrite bytes; mostly outside of the thumbnails and vectors."""
    result = bytearray(data)
    for _ in range(moments.choice((1, 1, 2, 5, 20))):
        place = moments.randrange(len(result)) if moments.random() < 0.5 else -moments.randrange(1, len(result) // 4)
        place %= len(result)
        kind = moments.randrange(5)
        if kind == 0:
            result[place] ^= 1 << moments.randrange(8)
        elif kind == 1:
            result[place : place + 4] = struct.pack("<I", moments.choice((0, 1, 0xFFFFFFFF, 1 << 31, len(data))))
        elif kind == 2:
            del result[place : place + moments.randrange(1, 200)]
        elif kind == 3:
            other = moments.randrange(len(result))
            result[place:place] = result[other : other + moments.randrange(1, 200)]
        else:
            result[place] = moments.randrange(256)
        if len(result) < 30:
            break
    return bytes(result)


def damage_text(parts: Parts, moments: random.Random) -> Parts:
    """Replace bytes or values of a JSON text, and make the checksums agree with the result."""
    name = moments.choice(("manifest.json", "people.json", "faces.json"))
    if moments.random() < 0.5:
        return {**parts, name: damage(parts[name], moments)}

    def spoil(values: Any) -> None:
        while True:
            keys = list(values) if isinstance(values, dict) else list(range(len(values)))
            key = moments.choice(keys)
            if not isinstance(values[key], dict | list) or not values[key] or moments.random() < 0.2:
                break
            values = values[key]
        values[key] = moments.choice((None, -1, 0, 1e308, 10**30, "", "\0", "x" * 70_000, [], {}, [[]] * 99, True))

    return changed_json(parts, name, spoil)


@pytest.mark.parametrize("block", range(10))
def test_fuzzed_bundles(target: Gallery, sound: Path, parts: Parts, tmp_path: Path, block: int) -> None:
    """A randomly changed bundle is either refused without a change or imported completely and consistently."""
    path = tmp_path / "fuzzed.faceall"
    data, refused = sound.read_bytes(), 0
    for seed in range(block * FUZZ // 10, (block + 1) * FUZZ // 10):
        moments = random.Random(seed)
        try:
            if seed % 2:
                path.write_bytes(damage(data, moments))
            else:
                write_parts(path, damage_text(parts, moments))
        except (ValueError, TypeError, AttributeError, KeyError):  # the manifest cannot be parsed
            write_parts(path, {**parts, "manifest.json": damage(parts["manifest.json"], moments)}, sums=False)
        try:
            result = target.index.import_bundle(path)
        except FaceallError as found:
            refused += 1
            message = str(found)
        else:
            message = ""
        assert "\n" not in message, seed
        if message:
            assert len(target) == 0, seed
        else:
            assert result.added == len(target), seed
            assert target.index.problems() == [], seed
            for face_id in [found.face_id for found in target.faces.find()]:
                target.faces.remove(face_id)
            with target._index.transaction() as connection:
                connection.execute("DELETE FROM removed_faces")
                connection.execute("DELETE FROM meta WHERE key IN ('index.model', 'index.dimension')")
    assert refused > FUZZ / 10 * 0.5


@pytest.mark.skipif(os.name != "posix", reason="kill -9 needs POSIX signals")
def test_killed_import_is_atomic(parts: Parts, tmp_path: Path) -> None:
    """After kill -9 at any moment all or nothing of a bundle is imported; the next import completes it."""
    for number in range(150):
        parts = enrol(parts, f"phone {number}", number % FACES, photo=f"photo {number}")
    bundle = write_parts(tmp_path / "large.faceall", parts)
    moments = random.Random(os.environ.get("FACEALL_SEED", "1"))
    found: list[int] = []
    for number in range(KILLS):
        folder = tmp_path / f"gallery {number}"
        process = importing(folder, bundle)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.random() * 0.12)
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
        with open_whole(folder) as gallery:
            found.append(len(gallery))
            assert len(gallery) in (0, FACES + 150)
            assert len(gallery) or not output
            assert gallery.index.problems() == []
            gallery.index.import_bundle(bundle)
            assert (len(gallery), gallery.index.problems()) == (FACES + 150, [])
    assert 0 in found


def test_two_imports_at_once(parts: Parts, sound: Path, tmp_path: Path) -> None:
    """Two processes that import into one gallery wait for each other; no face is duplicated or lost."""
    folder = tmp_path / "gallery"
    phone = write_parts(tmp_path / "phone.faceall", enrol(parts, "Cleo"))
    processes = [importing(folder, path) for path in (sound, phone, phone)]
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert errors == ""
        assert "done" in output
    with open_whole(folder) as gallery:
        assert (len(gallery), gallery.index.problems()) == (FACES + 1, [])
        assert [person.faces for person in gallery.people] == [1, 4, 4, 4]


def importing(folder: Path, bundle: Path) -> subprocess.Popen[str]:
    """Start a process that imports a bundle."""
    program = Path(__file__).with_name("bundles.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    return subprocess.Popen(
        [sys.executable, str(program), str(folder), str(bundle)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_rewritten_valid_bundles_are_imported(target: Gallery, parts: Parts, tmp_path: Path) -> None:
    """A bundle that another zip program rewrote with dates and extra fields is imported."""
    path = tmp_path / "rewritten.faceall"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in reversed(parts.items()):
            entry = zipfile.ZipInfo(name, (2026, 11, 22, 12, 0, 0))
            entry.extra = struct.pack("<HHI", 0x5455, 4, 0)
            archive.writestr(entry, data)
    assert target.index.import_bundle(path).added == FACES

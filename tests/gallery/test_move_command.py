"""`faceall index move`, and the other commands on an address."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.gallery import Gallery
from faceall.gallery.maintenance import uploads
from faceall.gallery.opening import folder_of
from faceall_cli.main import main


@pytest.fixture
def filled(folder: Path, photos: Path) -> Path:
    """A gallery of three people in a folder."""
    for number in range(3):
        write_photo(photos / f"P{number}" / f"{number}.png", one_face(number))
    with Gallery.open(folder, detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        list(gallery.register(photos))
    return folder


def run(*arguments: object) -> Result:
    """Run a command and return its result, output and error."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_move_between_folders(filled: Path, tmp_path: Path) -> None:
    """A gallery is moved between folders and reported; the source is kept, or removed on request."""
    done = run("index", "move", filled, tmp_path / "new")
    assert done.exit_code == 0, done.output
    assert "3 photos copied, 0 already copied; 3 faces of 3 people, checksums agree" in done.output
    assert f"{filled} is unchanged" in done.output
    again = run("index", "move", "--json", "--remove-source", filled, tmp_path / "other")
    record = json.loads(again.output)
    assert (record["copied"], record["finished"], record["removed"], record["sums"]["face_count"]) == (3, True, True, 3)
    assert not filled.exists()
    with Gallery.open(tmp_path / "new") as one, Gallery.open(tmp_path / "other") as other:
        assert one.faces.find() == other.faces.find() != []
        assert one.index.problems() == other.index.problems() == []


def test_mistakes_are_one_line(filled: Path, tmp_path: Path) -> None:
    """A missing source, an occupied target or an invalid name gives exit code 1 and what to do."""
    for arguments, complaint in (
        ((tmp_path / "none", tmp_path / "new"), "there is no gallery yet"),
        ((filled, filled), "cannot be moved to itself"),
        ((filled, "milvus://host/a-b"), "cannot be called 'a-b'"),
        ((filled, "milvus-lite:///a"), "has to end in .db"),
    ):
        found = run("index", "move", *arguments)
        assert (found.exit_code, complaint in found.output) == (1, True), found.output
        assert len(found.output.strip().splitlines()) == 1


def test_commands_that_need_a_folder_say_so(filled: Path) -> None:
    """`repair` on an address says that it needs a folder."""
    found = run("index", "repair", "--gallery", "milvus://host/x")
    assert found.exit_code == 1
    assert "in a folder, not in Milvus" in found.output


def test_commands_on_milvus(filled: Path, tmp_path: Path) -> None:
    """A gallery moved to Milvus is listed, counted, verified and emptied by the same commands."""
    pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
    pytest.importorskip("milvus_lite", reason="needs milvus-lite: scripts/test-milvus")
    address = f"milvus-lite://{tmp_path}/x.db"
    assert run("index", "move", filled, address).exit_code == 0
    assert json.loads(run("status", "--json", "--gallery", address).output)["face_count"] == 3
    listed = run("people", "list", "--json", "--gallery", address).output.splitlines()
    assert [json.loads(line)["person"] for line in listed] == ["P0", "P1", "P2"]
    assert run("people", "rename", "P0", "Ada", "--gallery", address).exit_code == 0
    verified = run("index", "verify", "--gallery", address)
    assert (verified.exit_code, "no damage found" in verified.output) == (0, True), verified.output
    stats = run("index", "stats", "--gallery", address).output
    assert "thumbnails" in stats
    assert "Milvus searches with its own index (HNSW)" in stats
    assert "compares all vectors" not in stats
    assert "Milvus has no bin" in run("people", "bin", "--gallery", address).output
    refused = run("people", "bin", "--days", "3", "--gallery", address)
    assert (refused.exit_code, "keeps no bin, people are removed for good" in refused.output) == (1, True)
    assert "pymilvus" in run("doctor", "--gallery", address).output
    removed = run("people", "remove", "Ada", "--gallery", address)
    assert (removed.exit_code, "removed Ada: 1 face" in removed.output) == (0, True), removed.output
    refused = run("index", "compact", "--gallery", address)
    assert (refused.exit_code, "faceall index move milvus-lite:" in refused.output) == (1, True)


def uploaded(folder: Path) -> Path:
    """Register one photo as an upload of the web app; return its file."""
    draft = write_photo(folder.parent / "upload.png", one_face(77))
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()
    file = folder / "uploads" / digest / "holiday.png"
    file.parent.mkdir(parents=True)
    draft.rename(file)
    with Gallery.open(folder, detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        assert [result.status for result in gallery.register(file)] == ["added"]
    return file


@pytest.mark.parametrize("backend", ["folder", "milvus-lite"])
def test_uploads_move_with_the_gallery(filled: Path, tmp_path: Path, backend: str) -> None:
    """Uploads are copied, and removed with the source and later with their photo; both ways."""
    if backend == "milvus-lite":
        pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
        pytest.importorskip("milvus_lite", reason="needs milvus-lite: scripts/test-milvus")
    target = str(tmp_path / "other") if backend == "folder" else f"milvus-lite://{tmp_path}/x.db"
    file = uploaded(filled)
    data, time = file.read_bytes(), file.stat().st_mtime_ns
    orphan = filled / "uploads" / ("0" * 64) / "lost.png"  # from an interrupted registration
    orphan.parent.mkdir()
    orphan.write_bytes(b"lost")
    done = run("index", "move", "--json", filled, target)
    assert (done.exit_code, json.loads(done.output)["uploads"]) == (0, 1), done.output
    assert file.read_bytes() == data
    copy = folder_of(target) / file.relative_to(filled)
    assert (copy.read_bytes(), copy.stat().st_mtime_ns) == (data, time)
    copy.write_bytes(b"damaged")
    done = run("index", "move", "--remove-source", filled, target)
    assert (done.exit_code, "1 uploaded file" in done.output) == (0, True), done.output
    assert not filled.exists()
    assert copy.read_bytes() == data
    assert not (folder_of(target) / orphan.relative_to(filled)).exists()

    assert run("index", "move", "--remove-source", target, filled).exit_code == 0
    assert not folder_of(target).exists()
    assert file.read_bytes() == data
    with Gallery.open(filled) as gallery:
        photo = gallery.photos.at(file)
        assert photo is not None
        gallery.photos.remove(photo.photo_id)
    assert not file.exists()


def test_upload_that_cannot_be_copied_stops_the_move(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk gives one line and exit code 1, and the source stays."""
    file = uploaded(filled)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_copy", full)
    found = run("index", "move", "--remove-source", filled, tmp_path / "other")
    assert (found.exit_code, "cannot be copied to" in found.output) == (1, True), found.output
    assert len(found.output.strip().splitlines()) == 1
    assert file.exists()
    with Gallery.open(filled, read_only=True) as gallery:
        assert len(gallery) == 4

"""A disk that is full, that may only be read, or that is taken away in the midst."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from actors import LIMIT, Journal, act, opened, told

from faceall.errors import FaceallError, IndexFileError
from faceall.gallery import Gallery
from faceall.index.graph import saving

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOBODY = 65534

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX file systems")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    if not ROOT:
        pytest.skip("needs root, to mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def one_line(error: BaseException) -> str:
    """The text of an error that a person gets to see."""
    assert isinstance(error, IndexFileError)
    text = str(error)
    assert "\n" not in text
    assert len(text) < 300
    return text


def photos_of(album: Path) -> list[str]:
    """All photos."""
    return [str(path) for path in sorted(album.glob("*/*.png"))]


def register_singly(gallery: Gallery, photos: list[str], safe: set[str]) -> None:
    """Take up photos, each in a transaction of its own, and note those that were told."""
    for photo in photos:
        safe |= {str(result.path) for result in gallery.iter_register([photo])}


def test_full_disk_keeps_what_was_reported(album: Path, disk: Path) -> None:
    """One line says that the disk is full; what was told is there, searched and removed; with room it goes on."""
    folder, safe = disk / "gallery", set()
    with opened(folder) as gallery:
        (disk / "ballast").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 1_000_000))
        with pytest.raises(FaceallError) as caught:
            register_singly(gallery, photos_of(album), safe)
        assert "full" in one_line(caught.value)
        assert 5 < len(safe) < 80
        assert {str(face.path) for face in gallery.faces.find()} == safe
        gallery._index.close(save=False)
    with Gallery.open(folder, read_only=True) as reader:
        assert reader.index.problems() == []
        assert {str(face.path) for face in reader.faces.find()} == safe
    (disk / "ballast").unlink()
    with opened(folder) as gallery:
        assert gallery.index.problems() == []
        assert {str(result.path) for result in gallery.register(album) if result.status == "unchanged"} == safe
        assert gallery.index.problems() == []
        assert len({face.path for face in gallery.faces.find()}) == 80


def fill(disk: Path) -> None:
    """Leave not a byte."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


@pytest.mark.parametrize("crashed", [False, True])
def test_gallery_on_a_full_disk_is_searched(album: Path, disk: Path, crashed: bool) -> None:
    """Without a byte left, after a clean end and after a crash that left a log: faces are found; a change says why."""
    folder = disk / "gallery"
    with opened(folder) as gallery:
        gallery.register(photos_of(album)[:20])
        kept = {path: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.match("*-shm")}
    if crashed:
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
        for path, data in kept.items():
            path.write_bytes(data)
        assert (folder / "faces.db-wal").stat().st_size > 0
    fill(disk)
    with Gallery.open(folder, read_only=True) as reader:
        assert len(reader) >= 20
        vector = reader._index[1]
        assert reader._index.search(vector, 1).keys.tolist() == [[1]]
        assert len({face.path for face in reader.faces.find()}) == 20
    with pytest.raises(IndexFileError) as caught, opened(folder) as gallery:
        gallery.register(photos_of(album)[20:40])
    assert "full" in one_line(caught.value)


def test_full_disk_while_the_graph_is_saved(album: Path, disk: Path) -> None:
    """A graph that has no room is one line, and nothing else is lost by it."""
    folder = disk / "gallery"
    with opened(folder) as gallery:
        list(gallery.register(photos_of(album)[:60]))
        gallery._index.save()
        graph = folder / "faces.hnsw"
        before = graph.read_bytes()
        (disk / "ballast").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 4096))
        with pytest.raises(IndexFileError) as caught:
            saving.save(gallery._index._memory)
        assert "space" in one_line(caught.value)
        assert graph.read_bytes() == before
        assert [path.name for path in folder.glob(".faces*")] == []
        assert gallery.index.problems() == []
        (disk / "ballast").unlink()
        assert gallery._index.save()


def run_apart(target: Callable[..., None], *arguments: object) -> None:
    """Run a function to its end in a process of its own, which has not been anything else before."""
    process = multiprocessing.get_context("forkserver").Process(target=target, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode == 0


def with_small_files(folder: Path, journal: Path, photos: list[str]) -> None:
    """Register where no file may become larger than 800,000 bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, 800_000))
    try:
        act("register", str(folder), str(journal), photos, 1)
    except FaceallError as error:
        Journal(journal).tell("refused", text=one_line(error))


def test_limited_file_size_keeps_what_was_reported(album: Path, tmp_path: Path) -> None:
    """Where files may not grow any more, as under a quota, it is the same; no right to mount is needed to see it."""
    folder, journal = tmp_path / "gallery", tmp_path / "journal"
    run_apart(with_small_files, folder, journal, photos_of(album))
    events = told(journal)
    (refusal,) = [event for event in events if event["event"] == "refused"]
    assert "cannot be" in str(refusal["text"])
    safe = {str(event["path"]) for event in events if event["event"] == "added"}
    assert safe
    with opened(folder) as gallery:
        assert gallery.index.problems() == []
        assert safe <= {str(face.path) for face in gallery.faces.find()}
        list(gallery.register(album))
        assert len({face.path for face in gallery.faces.find()}) == 80


def test_read_only_file_system(album: Path, disk: Path, tmp_path: Path) -> None:
    """Searched, listed, verified, exported; a change is refused in one line; nothing is written."""
    folder = disk / "gallery"
    with opened(folder) as gallery:
        list(gallery.register(photos_of(album)[: LIMIT + 10]))
        gallery._index.save()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with Gallery.open(folder, read_only=True) as gallery:
        assert len(gallery) > LIMIT
        assert gallery.index.problems() == []
        assert gallery._index.search(gallery._index[1], 1).keys.tolist() == [[1]]
        assert gallery.index.export_folder(tmp_path / "folder").faces == len(gallery)
        with pytest.raises(IndexFileError) as caught:
            gallery.faces.remove([1])
        one_line(caught.value)
    with pytest.raises(IndexFileError) as caught, opened(folder) as gallery:
        list(gallery.register(album))
    one_line(caught.value)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def as_nobody(folder: Path, journal: Path, photos: list[str]) -> None:
    """Register as somebody without privileges, who loses the right to the folder after thirty photos."""
    with opened(folder.with_name("other")) as gallery:  # now all is loaded that nobody may not read
        list(gallery.register(photos[: LIMIT + 5]))
        gallery._index.save()
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    notes = Journal(journal)
    try:
        with opened(folder) as gallery:
            for number, photo in enumerate(photos):
                for result in gallery.iter_register([photo]):
                    notes.tell(result.status, path=str(result.path))
                if number == 30:
                    folder.chmod(0)
            gallery._index.save()
        notes.tell("saved")
    except FaceallError as error:
        notes.tell("refused", text=one_line(error))


def reading_as_nobody(folder: Path, journal: Path) -> None:
    """Read as somebody who may write nothing in the folder."""
    with Gallery.open(folder.with_name("other"), read_only=True) as gallery:  # loads what nobody may not read
        gallery.faces.find()
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    notes = Journal(journal)
    try:
        with Gallery.open(folder, read_only=True) as gallery:
            notes.tell(
                "read",
                faces=len(gallery.faces.find()),
                nearest=gallery._index.search(gallery._index[1], 1).keys[0, 0].item(),
            )
    except FaceallError as error:
        notes.tell("refused", text=one_line(error))


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_reader_without_rights_after_a_crash(album: Path, mode: int) -> None:
    """The log is there, its shared memory is not: who may read the files reads all faces; who may not is told so."""
    if not ROOT:
        pytest.skip("needs root, to become somebody without privileges")
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        room.chmod(0o755)
        folder, journal = room / "gallery", room / "journal"
        with opened(folder) as gallery:
            gallery.register(photos_of(album)[:20])
            faces = len(gallery.faces.find())
            kept = {
                path.name: path.read_bytes() for path in folder.iterdir() if path.name in ("faces.db", "faces.db-wal")
            }
        shutil.rmtree(folder)
        folder.mkdir()
        for file, data in kept.items():
            (folder / file).write_bytes(data)
            (folder / file).chmod(mode & 0o644)
        folder.chmod(mode)
        with opened(room / "other") as gallery:
            gallery.register(photos_of(album)[:1])
        for path in (room / "other").iterdir():
            path.chmod(0o644)
        (room / "other").chmod(0o755)
        journal.touch()
        journal.chmod(0o666)
        run_apart(reading_as_nobody, folder, journal)
        (event,) = told(journal)
        if mode == 0o755:
            assert (event["event"], event["faces"], event["nearest"]) == ("read", faces, 1)
        else:
            assert event["event"] == "refused"
            assert "denied" in str(event["text"])


def test_permission_lost_during_a_registration(album: Path) -> None:
    """A folder that is closed to its user while photos go in: one line, and what was told is there."""
    if not ROOT:
        pytest.skip("needs root, to become somebody else")
    place = Path(tempfile.mkdtemp(prefix="faceall-"))
    folder, journal = place / "gallery", place / "journal"
    try:
        shutil.copytree(album, place / "album")
        for path in (place, *place.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        run_apart(as_nobody, folder, journal, photos_of(place / "album"))
        events = told(journal)
        (refusal,) = [event for event in events if event["event"] == "refused"]
        assert str(folder) in str(refusal["text"])
        safe = {str(event["path"]) for event in events if event["event"] == "added"}
        assert len(safe) > 30
        folder.chmod(0o700)
        with opened(folder) as gallery:
            assert gallery.index.problems() == []
            assert safe <= {str(face.path) for face in gallery.faces.find()}
    finally:
        folder.chmod(0o700)
        shutil.rmtree(place)

"""Tests that need a Milvus server: restarts, killed writers, several processes, and an unreachable server.

scripts/test-milvus starts one with scripts/with-milvus-server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from milvus_places import SERVER, empty_place, new_place
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import IndexFileError, NotSupportedError
from faceall.gallery import Gallery
from faceall.gallery.milvus import client, connection, work
from faceall_cli.main import main
from local_ray import local_ray

pytestmark = pytest.mark.skipif(not SERVER, reason="needs a Milvus server: scripts/test-milvus")

CONTROL = os.environ.get("FACEALL_TEST_MILVUS_CONTROL", "")
STAND_INS = Path(__file__).with_name("stand_ins.py")
MANY = 60
PAUSE = 0.05  # seconds that the detector takes for an image


@pytest.fixture
def address(tmp_path: Path) -> str:
    """The address of an empty gallery on the server."""
    return empty_place(tmp_path / "gallery")


@pytest.fixture
def many(photos: Path) -> Path:
    """A folder with sixty photos of sixty people."""
    for number in range(MANY):
        write_photo(photos / f"P{number:02}" / "1.png", one_face(4 * number))
    return photos


def opened(address: str) -> Gallery:
    """Open a gallery with stand-ins."""
    return Gallery.open(address, detector=ColourDetector(), embedder=ColourEmbedder())


class Registering:
    """A process that registers photos slowly and prints a line of JSON for each.

    The lines are read by one reader only: `communicate` would lose those that reading a line has read ahead.
    """

    def __init__(self, address: str, *paths: Path) -> None:
        command = [sys.executable, str(STAND_INS), address, str(PAUSE), *map(str, paths)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment
        )
        assert self._process.stdout is not None
        self._lines = self._process.stdout

    def next(self) -> Any:
        """Return the next result; wait for it."""
        line = self._lines.readline()
        assert line, self.errors()
        return json.loads(line)

    def rest(self) -> list[Any]:
        """Return the remaining results at the end of the process, which has to succeed."""
        found = [json.loads(line) for line in self._lines]
        assert self._process.wait(timeout=60) == 0, self.errors()
        return found

    def errors(self) -> str:
        """Return what the process has written to standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._process.kill()
        self._process.wait()


def is_sound(address: str, photos: int) -> None:
    """Assert that a gallery holds each photo and its face once, and nothing else."""
    with closing(opened(address)) as gallery:
        status = gallery.status()
        assert (status.photos, status.faces, status.people) == (photos, photos, photos)
        assert gallery.index.problems() == []


@contextmanager
def forwarded(port: Callable[[], int]) -> Iterator[tuple[str, threading.Event]]:
    """Yield an address that forwards to the server until an event is set; then connections fail."""
    listener, gone = socket.create_server(("127.0.0.1", 0)), threading.Event()
    ends: list[socket.socket] = []

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # either side may end at any time
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                near, _ = listener.accept()
                ends.append(near)
                try:
                    far = socket.create_connection(("127.0.0.1", port()), timeout=2)
                except OSError:
                    near.close()  # as if no process listened
                    continue
                far.settimeout(None)
                ends.append(far)
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=(source, sink), daemon=True).start()

    def leave() -> None:
        gone.wait()
        for end in (listener, *ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    for task in (accept, leave):
        threading.Thread(target=task, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", gone
    finally:
        gone.set()


def test_killed_writer_loses_nothing_that_it_reported(
    address: str, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos that a process reported before kill -9 are stored; the next run adds the others, no face twice."""
    process = Registering(address, many)
    reported = [process.next()["path"] for _ in range(5)]
    process.kill()
    with closing(opened(address)) as gallery:
        assert set(reported) <= {str(face.path) for face in gallery.faces.find()}
    monkeypatch.setattr(work, "SWEEP_AGE", 0.0)
    with closing(opened(address)) as gallery:
        statuses = {str(result.path): result.status for result in gallery.register(many)}
    assert {statuses[path] for path in reported} == {"unchanged"}
    is_sound(address, MANY)


def test_processes_register_the_same_photos_at_once(address: str, many: Path) -> None:
    """Three processes register the same folder at once; every photo, face and person is stored once."""
    processes = [Registering(address, many) for _ in range(3)]
    assert [len(process.rest()) for process in processes] == [MANY] * 3
    is_sound(address, MANY)


def test_ray_tasks_register_into_one_gallery(address: str, many: Path) -> None:
    """Two processes of a Ray cluster register overlapping folders; every photo, face and person is stored once."""
    with local_ray(STAND_INS.parent, *sys.path, reason="needs ray: scripts/test-milvus --server") as ray:
        folders = sorted(many.iterdir())
        task = ray.remote(num_cpus=1)(registered_by_a_task)
        halves = [folders[: MANY * 2 // 3], folders[MANY // 3 :]]
        (first, second) = ray.get([task.remote(address, half) for half in halves], timeout=300)
    assert first[0] != second[0]
    assert first[1] + second[1] >= MANY  # both may report a photo that both have added
    is_sound(address, MANY)


def registered_by_a_task(address: str, folders: list[Path]) -> tuple[int, int]:
    """Register folders; return the process and how many photos it has added."""
    with closing(opened(address)) as gallery:
        statuses = [result.status for result in gallery.register(folders, names_from="folders")]
    return os.getpid(), statuses.count("added")


def test_reported_face_is_found_by_another_process_at_once(address: str, many: Path) -> None:
    """A face that one process reports is found by the next search of another open process."""
    with closing(opened(address)) as reader:
        process = Registering(address, many)
        for number in range(MANY):
            path = Path(process.next()["path"])
            if number % 3:  # a search takes longer than registering a photo
                continue
            (result,) = reader.search(path, k=1)
            assert result.matches[0].path == path
        assert process.rest() == []


def test_unreachable_server_gives_one_line(address: str, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search waits for an unreachable server, then fails with one line that names it."""
    monkeypatch.setattr(connection, "TIMEOUT", 2.0)
    monkeypatch.setattr(connection, "AWAY_LIMIT", 3.0)
    port = int(SERVER.partition(":")[2])
    with forwarded(lambda: port) as (place, gone), closing(opened(address.replace(SERVER, place))) as gallery:
        photo = next(many.rglob("*.png"))
        gallery.register(photo)
        gone.set()
        began = time.monotonic()
        with pytest.raises(IndexFileError, match="no server answers there") as found:
            gallery.search(photo)
        assert time.monotonic() - began < 30
        assert place in str(found.value)
        assert "\n" not in str(found.value)


def test_register_ends_with_one_line_if_the_server_goes_away(
    address: str, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 1, what was reported is stored, and the next run adds the rest."""
    monkeypatch.setattr(connection, "TIMEOUT", 2.0)
    monkeypatch.setattr(connection, "AWAY_LIMIT", 3.0)
    monkeypatch.setattr("faceall.gallery.registration.batch_analysis.DETECT_FILES", 4)
    port, opening, settle = int(SERVER.partition(":")[2]), Gallery.open, connection.Connection.settle
    with forwarded(lambda: port) as (place, gone):

        def settle_and_leave(self: connection.Connection) -> None:
            settle(self)
            if self._writes["photos"]:  # the first group of photos is stored
                gone.set()

        def with_stand_ins(where: str, **_: object) -> Gallery:
            return opening(where, detector=ColourDetector(PAUSE), embedder=ColourEmbedder())

        monkeypatch.setattr(Gallery, "open", with_stand_ins)
        monkeypatch.setattr(connection.Connection, "settle", settle_and_leave)
        found = CliRunner().invoke(
            main, ["register", "--json", "--workers", "1", str(many), "--gallery", address.replace(SERVER, place)]
        )
        monkeypatch.setattr(Gallery, "open", opening)
        monkeypatch.setattr(connection.Connection, "settle", settle)
    assert found.exit_code == 1, found.output
    complaints = [line for line in found.stderr.splitlines() if "no server answers there" in line]
    assert len(complaints) == 1
    assert "Traceback" not in found.stderr
    reported = {record["path"] for line in found.stdout.splitlines() if (record := json.loads(line)).get("path")}
    monkeypatch.setattr(connection, "TIMEOUT", 60.0)
    monkeypatch.setattr(work, "SWEEP_AGE", 0.0)
    with closing(opened(address)) as gallery:
        assert reported <= {str(face.path) for face in gallery.faces.find()}
        assert 0 < len(gallery) < MANY
        list(gallery.register(many))
    is_sound(address, MANY)


def test_old_server_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the version found and the oldest supported version."""
    monkeypatch.setattr(client, "OLDEST", (9, 0, 0))
    with pytest.raises(NotSupportedError, match=r"the server is Milvus 2\.\d+\.\d+, expected 9\.0\.0 or newer"):
        opened(address)


@pytest.mark.restarts_server
@pytest.mark.skipif(not CONTROL, reason="needs a server that it may restart: scripts/test-milvus")
def test_restarted_server_loses_nothing(many: Path) -> None:
    """A registration waits for a server that is killed and restarted; every photo is stored once.

    The gallery has collections of its own: after a restart a server may show rows again that other tests have deleted.
    """
    address = new_place("restarted")
    process_id, _, port_file = CONTROL.partition(":")
    with forwarded(lambda: int(Path(port_file).read_text())) as (place, _):
        process = Registering(address.replace(SERVER, place), many)
        assert process.next()["status"] == "added"
        os.kill(int(process_id), signal.SIGUSR1)
        assert [result["status"] for result in process.rest()] == ["added"] * (MANY - 1)
        assert "does not answer; waiting" in process.errors()
        is_sound(address.replace(SERVER, place), MANY)

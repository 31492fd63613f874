"""The server process: it starts, tells where, stops when told to and then finishes what it has accepted."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from images_for_forms import browser_form, image_file

from faceall.errors import FaceallError
from faceall.gallery import Gallery
from faceall.web import ServerOptions
from faceall.web.server import Server
from tiny_model import write_tiny_model

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as of POSIX")

_SERVER = """
import signal, sys
from stand_ins import ColourDetector, ColourEmbedder
from faceall.gallery import Gallery
from faceall.web import ServerOptions
from faceall.web.app import create_app
from faceall.web.server import Server

with Gallery.open(sys.argv[1], detector=ColourDetector(float(sys.argv[2])), embedder=ColourEmbedder()) as gallery:
    options = ServerOptions(port=0, stop_seconds=60)
    server = Server(create_app(gallery, options), options)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    print(server.address, flush=True)
    print(server.run(), flush=True)
"""


def environment(**more: str) -> dict[str, str]:
    """That of a process which finds what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part), **more}


@contextmanager
def running(folder: Path, pause: float = 0.0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server on a gallery, in a process of its own, and its port; `pause`: seconds per image."""
    arguments = [sys.executable, "-c", _SERVER, str(folder), str(pause)]
    with subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        finally:
            process.kill()


def ask(port: int, method: str, path: str, **form: Any) -> tuple[int, Any]:
    """One request on a connection of its own: the status and the JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": form["content_type"]} if form else {}
    connection.request(method, path, body=form.get("data"), headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


def photos(numbers: range) -> dict[str, Any]:
    """A form with images."""
    return browser_form([], [("files", f"{number}.png", image_file(number)) for number in numbers])


def test_a_stop_finishes_what_was_accepted(folder: Path) -> None:
    """Registrations that were answered with 202, and requests that wait for their answer."""
    with running(folder, pause=0.1) as (process, port):
        answers: list[tuple[int, Any]] = []
        waiting = threading.Thread(
            target=lambda: answers.append(ask(port, "POST", "/api/v1/register?wait=true", **photos(range(100, 106))))
        )
        waiting.start()
        status, started = ask(port, "POST", "/api/v1/register", **photos(range(12)))
        assert (status, started["job"]["total"]) == (202, 12)
        while ask(port, "GET", "/api/v1/status")[1]["queue"]["jobs"] < 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        waiting.join()
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read().strip() == "True"
    assert answers[0][0] == 200
    assert [result["status"] for result in answers[0][1]["job"]["results"]] == ["registered"] * 6
    with Gallery.open(folder, read_only=True) as gallery:
        assert len(gallery) == 18
        assert gallery.index.problems() == []


def test_a_stopped_server_takes_no_connection(folder: Path) -> None:
    """Its port is free again."""
    with running(folder) as (process, port):
        assert ask(port, "GET", "/api/v1/health") == (200, {"status": "ok"})
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_a_client_that_never_stops_asking_does_not_keep_the_server(folder: Path) -> None:
    """Its connection is closed between two answers, none of which is lost."""
    with running(folder) as (process, port):
        asked: list[int] = []

        def ask_on() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                while True:
                    connection.request("GET", "/api/v1/health")
                    answer = connection.getresponse()
                    answer.read()
                    asked.append(answer.status)
            except (OSError, http.client.HTTPException):
                return

        clients = [threading.Thread(target=ask_on) for _ in range(3)]
        for client in clients:
            client.start()
        while len(asked) < 30:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        for client in clients:
            client.join()
    assert set(asked) == {200}


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.45])
def test_a_killed_server_loses_nothing_that_it_reported(folder: Path, moment: float) -> None:
    """And the next one sweeps what it left half done."""
    with running(folder, pause=0.05) as (process, port):
        _, started = ask(port, "POST", "/api/v1/register", **photos(range(20)))
        time.sleep(moment)
        done = ask(port, "GET", f"/api/v1/jobs/{started['job']['id']}")[1]["done"]
        process.kill()
        process.wait()
    with running(folder) as (process, port):
        status, people = ask(port, "GET", "/api/v1/photos")
        assert (status, people["total"] >= done) == (200, True)
        kept = list((folder / "uploads").rglob("*.png"))
        assert len(kept) == people["total"]


def test_a_port_that_is_taken_is_told_in_one_line(make_app: Callable[..., Any]) -> None:
    """With what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        options = ServerOptions(port=other.getsockname()[1])
        with pytest.raises(FaceallError, match="is in use by another program; choose another port with --port"):
            Server(make_app(options), options)


def test_an_address_of_another_machine_cannot_be_listened_on(make_app: Callable[..., Any]) -> None:
    """One line too."""
    options = ServerOptions(host="192.0.2.1", port=0)
    with pytest.raises(FaceallError, match="choose an address of this machine"):
        Server(make_app(options), options)


def test_events_arrive_while_the_work_goes_on(folder: Path) -> None:
    """Not only when the stream ends: the first result comes before the last image is done."""
    with running(folder, pause=0.15) as (_, port):
        _, started = ask(port, "POST", "/api/v1/register", **photos(range(24)))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", f"/api/v1/jobs/{started['job']['id']}/events")
        stream = connection.getresponse()
        assert stream.getheader("Content-Type", "").startswith("text/event-stream")
        while stream.readline() != b"event: result\n":
            pass
        _, job = ask(port, "GET", f"/api/v1/jobs/{started['job']['id']}")
        assert 0 < job["done"] < job["total"]
        assert stream.read().endswith(b'"done": 24, "total": 24}\n\n')
        connection.close()


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """The variables of a user with the tiny embedder."""
    write_tiny_model(tmp_path / "models")
    return {
        "FACEALL_MODELS": str(tmp_path / "models"),
        "FACEALL_CACHE": str(tmp_path / "cache"),
        "FACEALL_DATA": str(tmp_path / "data"),
        "FACEALL_GALLERY": str(tmp_path / "gallery"),
        "EMBEDDING_SIZE": "",
    }


def test_the_command_serves_until_it_is_told_to_stop(user: dict[str, str], tmp_path: Path) -> None:
    """It prints its address, answers, lets the command line use the gallery, and ends with 0 at a SIGTERM."""
    arguments = [sys.executable, "-m", "faceall_cli.main", "serve", "--port", "0"]
    with subprocess.Popen(arguments, env=environment(**user), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "serves" in line, line + process.stderr.read()
            port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
            assert ask(port, "GET", "/api/v1/health")[0] == 200
            (tmp_path / "black.png").write_bytes(image_file())
            register = [*arguments[:3], "register", str(tmp_path / "black.png")]
            done = subprocess.run(register, env=environment(**user), capture_output=True, text=True, check=False)
            assert "no-face" in done.stdout + done.stderr
            assert ask(port, "GET", "/api/v1/status")[1]["index"]["problems"] == []
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert "stopped" in process.stderr.read()
        finally:
            process.kill()


def test_without_flask_the_command_says_what_to_install(user: dict[str, str], tmp_path: Path) -> None:
    """One line, exit code 1."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "flask.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'flask'\", name='flask')\n"
    )
    variables = environment(**user)
    variables["PYTHONPATH"] = f"{tmp_path / 'hidden'}{os.pathsep}{variables['PYTHONPATH']}"
    arguments = [sys.executable, "-m", "faceall_cli.main", "serve", "--port", "0"]
    done = subprocess.run(arguments, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'faceall[web]'" in done.stderr


def test_without_a_model_the_command_says_so(tmp_path: Path) -> None:
    """Before anybody asks for a page."""
    from faceall_cli.main import main

    variables = {"FACEALL_GALLERY": str(tmp_path / "gallery"), "FACEALL_DATA": str(tmp_path / "data")}
    done = CliRunner().invoke(main, ["serve", "--port", "0"], env=variables)
    assert done.exit_code == 1
    assert "model" in done.output
    assert "Traceback" not in done.output

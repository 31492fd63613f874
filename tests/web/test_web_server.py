"""The server process: start, address, and a stop that finishes accepted work."""

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
    """Return an environment in which a subprocess finds the same packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part), **more}


@contextmanager
def running(folder: Path, pause: float = 0.0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server process on a gallery; return it and its port; `pause`: seconds per image."""
    arguments = [sys.executable, "-c", _SERVER, str(folder), str(pause)]
    with subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        finally:
            process.kill()


def ask(port: int, method: str, path: str, **form: Any) -> tuple[int, Any]:
    """Send one request on its own connection; return status and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": form["content_type"]} if form else {}
    connection.request(method, path, body=form.get("data"), headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


def photos(numbers: range) -> dict[str, Any]:
    """Build a form with images."""
    return browser_form([], [("files", f"{number}.png", image_file(number)) for number in numbers])


def test_a_stop_finishes_accepted_work(folder: Path) -> None:
    """Registrations answered with 202, and waiting requests, are finished."""
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


def test_a_stopped_server_frees_its_port(folder: Path) -> None:
    """After a stop the port is free again."""
    with running(folder) as (process, port):
        assert ask(port, "GET", "/api/v1/health") == (200, {"status": "ok"})
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_a_persistent_client_does_not_delay_a_stop(folder: Path) -> None:
    """Its connection is closed between two responses, and none is lost."""
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
    """After a kill every reported photo is stored, and the next start removes partial uploads."""
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


def test_a_port_in_use_is_reported(make_app: Callable[..., Any]) -> None:
    """A one-line error says what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        options = ServerOptions(port=other.getsockname()[1])
        with pytest.raises(FaceallError, match="is in use by another program; choose another port with --port"):
            Server(make_app(options), options)


def test_an_address_of_another_machine_cannot_be_listened_on(make_app: Callable[..., Any]) -> None:
    """The address of another machine gives a one-line error."""
    options = ServerOptions(host="192.0.2.1", port=0)
    with pytest.raises(FaceallError, match="choose an address of this machine"):
        Server(make_app(options), options)


def test_events_are_sent_immediately(folder: Path) -> None:
    """The first result arrives before the last image is done."""
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
    """Return the variables of a user with the tiny embedder."""
    write_tiny_model(tmp_path / "models")
    return {
        "FACEALL_MODELS": str(tmp_path / "models"),
        "FACEALL_CACHE": str(tmp_path / "cache"),
        "FACEALL_DATA": str(tmp_path / "data"),
        "FACEALL_GALLERY": str(tmp_path / "gallery"),
        "EMBEDDING_SIZE": "",
    }


def test_the_command_serves_until_sigterm(user: dict[str, str], tmp_path: Path) -> None:
    """It prints its address, responds while other commands use the gallery, and exits with 0."""
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
    """Without Flask, a one-line error names the extra; exit code 1."""
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
    """A missing model is reported at the start, before any request."""
    from faceall_cli.main import main

    variables = {"FACEALL_GALLERY": str(tmp_path / "gallery"), "FACEALL_DATA": str(tmp_path / "data")}
    done = CliRunner().invoke(main, ["serve", "--port", "0"], env=variables)
    assert done.exit_code == 1
    assert "model" in done.output
    assert "Traceback" not in done.output

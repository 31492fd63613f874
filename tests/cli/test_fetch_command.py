"""`faceall models fetch` against a local mirror: terms, download, conversion, installation."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cli_runs import Run

from detector_files import yunet_file
from faceall.models import KnownDetector, KnownModel, Standardisation, detectors
from faceall.models import fetch as room
from tensorflow_graphs import small_facenet

RELEASE = "20990101-000000"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve a folder without logging."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder; return it and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def release(mirror: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the zip of a small FaceNet on the mirror, as the only known release."""
    graph = small_facenet().write(tmp_path / f"{RELEASE}.pb")
    path = mirror[0] / f"{RELEASE}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(graph, f"{RELEASE}/{RELEASE}.pb")
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (graph, path)]
    model = KnownModel(RELEASE, digests[0], digests[1], 10, Standardisation(), "a number of faces", {})
    monkeypatch.setattr(room, "KNOWN_MODELS", (model,))
    return path


def test_a_release_is_fetched_checked_and_installed(
    run: Run, environment: dict[str, str], mirror: tuple[Path, str], release: Path
) -> None:
    """The terms are printed first; the model is usable; neither zip nor graph is left."""
    environment["FACEALL_MIRROR"] = mirror[1]
    result = run("models", "fetch", RELEASE)
    assert result.stderr.startswith("terms        code MIT; weights trained on a number of faces")
    assert f"installed facenet-{RELEASE}" in result.stdout
    run("models", "verify", f"facenet-{RELEASE}")
    assert list((Path(environment["FACEALL_DATA"]) / "downloads").iterdir()) == []


def test_a_detector_is_fetched_checked_and_installed(
    run: Run, environment: dict[str, str], mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fetch yunet` installs the detector of the zoo under its short name; a changed file installs nothing."""
    content = yunet_file(side=640)
    (mirror[0] / "net.onnx").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    known = KnownDetector(name="yunet", files={"net.onnx": digest}, licence="MIT (test)", url=f"{mirror[1]}/")
    monkeypatch.setattr(room, "KNOWN_DETECTORS", (known,))
    monkeypatch.setattr(detectors, "KNOWN_DETECTORS", (known,))
    result = run("models", "fetch", "yunet")
    assert result.stderr.startswith("terms        MIT (test)")
    assert "installed yunet" in result.stdout
    run("models", "verify", "yunet")
    assert list((Path(environment["FACEALL_DATA"]) / "downloads").iterdir()) == []
    (mirror[0] / "net.onnx").write_bytes(content[:-1])
    assert "installed already" in run("models", "fetch", "yunet").stderr
    assert "SHA-256 is" in run("models", "fetch", "yunet", "--replace", exit_code=1).stderr
    run("models", "verify", "yunet")


def test_an_installed_release_is_not_fetched_again(
    run: Run, environment: dict[str, str], mirror: tuple[Path, str], release: Path
) -> None:
    """An installed model is not downloaded again; --replace downloads it."""
    environment["FACEALL_MIRROR"] = mirror[1]
    run("models", "fetch", RELEASE)
    release.unlink()
    assert "installed already" in run("models", "fetch", RELEASE).stderr
    assert "404" in run("models", "fetch", RELEASE, "--replace", "--url", f"{mirror[1]}/x.zip", exit_code=1).stderr


def test_a_corrupted_release_installs_nothing(
    run: Run, environment: dict[str, str], mirror: tuple[Path, str], release: Path
) -> None:
    """A one-line error has both checksums; exit code 1; no model is installed."""
    content = bytearray(release.read_bytes())
    content[len(content) // 2] ^= 1
    release.write_bytes(content)
    result = run("models", "fetch", RELEASE, "--url", f"{mirror[1]}/{RELEASE}.zip", exit_code=1)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("faceall:")]
    assert "SHA-256 is" in line
    models = [json.loads(line) for line in run("models", "list", "--json").stdout.splitlines()]
    assert RELEASE not in str(models)

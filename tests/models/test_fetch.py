"""Downloads, from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faceall.errors import DownloadError
from faceall.models import KnownModel, Standardisation
from faceall.models import fetch as room

GRAPH = bytes(range(256)) * 4000


def zipped(member: str = "20990101-000000/20990101-000000.pb", content: bytes = GRAPH) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("20990101-000000/model.meta", b"meta")
        archive.writestr(member, content)
    return buffer.getvalue()


@dataclass
class Server:
    """What the server has, how it behaves, and what it was asked."""

    content: bytes
    url: str = ""
    ranges: bool = True
    stop_after: int | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    """An http server on the loopback interface that knows Range and can break off."""
    state = Server(zipped())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.ranges else 0
            if self.path not in ("/model.zip", "/20990101-000000.zip"):
                self.send_error(404)
                return
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.stop_after])

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{running.server_address[1]}/model.zip"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(autouse=True)
def known(server: Server, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """One known model, whose zip is the server's."""
    model = KnownModel(
        "20990101-000000",
        hashlib.sha256(GRAPH).hexdigest(),
        hashlib.sha256(server.content).hexdigest(),
        512,
        Standardisation(),
        "nothing",
        {},
    )
    monkeypatch.setattr(room, "KNOWN_MODELS", (model,))
    return model


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["20990101-000000", "facenet-20990101-000000", "20990101-000000.pb"])
def test_a_good_zip_becomes_its_graph(tmp_path: Path, server: Server, name: str) -> None:
    """The graph is there, the zip is not kept, and progress went up to the whole."""
    told: list[tuple[int, int | None]] = []
    path = room.fetch(name, url=server.url, directory=tmp_path / "new", progress=lambda *now: told.append(now))
    assert path == tmp_path / "new" / "20990101-000000.pb"
    assert path.read_bytes() == GRAPH
    assert names(tmp_path / "new") == [path.name]
    assert told[-1] == (len(server.content), len(server.content))
    assert told == sorted(told)


def test_what_is_there_is_not_fetched_again(tmp_path: Path, server: Server) -> None:
    """An unharmed graph asks the server nothing; a harmed one is fetched anew."""
    path = room.fetch("20990101-000000", url=server.url, directory=tmp_path)
    room.fetch("20990101-000000", url=server.url, directory=tmp_path)
    assert len(server.asked) == 1
    path.write_bytes(b"harmed")
    assert room.fetch("20990101-000000", url=server.url, directory=tmp_path).read_bytes() == GRAPH


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    """After a connection that broke, only the rest is asked for."""
    server.stop_after = 300_000
    with pytest.raises(DownloadError, match="run it again to go on"):
        room.fetch("20990101-000000", url=server.url, directory=tmp_path)
    assert names(tmp_path) == ["20990101-000000.zip.part"]
    server.stop_after = None
    assert room.fetch("20990101-000000", url=server.url, directory=tmp_path).read_bytes() == GRAPH
    assert server.asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_starts_anew(tmp_path: Path, server: Server) -> None:
    """Where the server ignores Range, the beginning is not appended to the beginning."""
    (tmp_path / "20990101-000000.zip.part").write_bytes(server.content[:1000])
    server.ranges = False
    assert room.fetch("20990101-000000", url=server.url, directory=tmp_path).read_bytes() == GRAPH


def test_a_whole_zip_that_was_left_over_is_used(tmp_path: Path, server: Server) -> None:
    """When nothing is left to send (416), the checksum decides."""
    (tmp_path / "20990101-000000.zip.part").write_bytes(server.content)
    assert room.fetch("20990101-000000", url=server.url, directory=tmp_path).read_bytes() == GRAPH


def test_a_wrong_checksum_keeps_nothing(tmp_path: Path, server: Server) -> None:
    """Other bytes than expected are refused with both sums, and deleted."""
    good = hashlib.sha256(server.content).hexdigest()
    server.content = b"x" + server.content[1:]
    bad = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(DownloadError, match=rf"model\.zip: SHA-256 is {bad}, expected {good}"):
        room.fetch("20990101-000000", url=server.url, directory=tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped(member="../../20990101-000000.pb"), "holds no 20990101-000000/20990101-000000.pb"),
        (zipped(content=b"another graph"), "20990101-000000.pb: SHA-256 is"),
        (b"no zip at all", "holds no"),
    ],
)
def test_zips_with_other_contents_are_refused(
    tmp_path: Path, server: Server, known: KnownModel, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    """A zip that lacks the graph, holds another or is none writes nothing, however right its own checksum."""
    server.content = content
    object.__setattr__(known, "zip_sha256", hashlib.sha256(content).hexdigest())
    with pytest.raises(DownloadError, match=words):
        room.fetch("20990101-000000", url=server.url, directory=tmp_path / "in")
    assert not [name for name in names(tmp_path / "in") if name.endswith(".pb")]
    assert names(tmp_path) == ["in"]


def test_server_errors_are_told(tmp_path: Path, server: Server) -> None:
    """A missing page, an address that nobody serves and one that is no address are each one line."""
    for url, words in {
        server.url + "x": "404",
        "http://127.0.0.1:9/model.zip": "cannot be reached",
        "file:///etc/passwd": "not an http or https address",
    }.items():
        with pytest.raises(DownloadError, match=words) as caught:
            room.fetch("20990101-000000", url=url, directory=tmp_path)
        assert str(caught.value).isprintable()


def test_unknown_names_list_the_known(tmp_path: Path) -> None:
    """Only known files are fetched, for only they have a checksum."""
    with pytest.raises(DownloadError, match="no published model 'x'; known are 20990101-000000"):
        room.fetch("x", directory=tmp_path)


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing runs into the time-out."""
    import socket

    monkeypatch.setattr(room, "_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/model.zip"
        with pytest.raises(DownloadError, match="timed out"):
            room.fetch("20990101-000000", url=url, directory=tmp_path)


def test_mirrors_are_asked_in_their_order(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """FACEALL_MIRROR's folders come before the public mirror; one that fails is followed by the next."""
    base = server.url.removesuffix("/model.zip")
    monkeypatch.setenv("FACEALL_MIRROR", f"http://127.0.0.1:9 {base}/absent {base}/")
    assert room.fetch("20990101-000000", directory=tmp_path).read_bytes() == GRAPH
    assert server.asked == [None, None]


def test_what_every_address_answered_is_told(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none gives the right bytes the one line names each address and its fault."""
    base = server.url.removesuffix("/model.zip")
    server.content = b"other bytes"
    monkeypatch.setattr(room, "_addresses", lambda *_: [f"{base}/absent", server.url, "http://127.0.0.1:9/x.zip"])
    with pytest.raises(DownloadError, match=r"absent: .* 404 .*model\.zip: SHA-256 is .*9/x\.zip: cannot be reached"):
        room.fetch("20990101-000000", directory=tmp_path)
    assert names(tmp_path) == []


def test_a_proxy_of_the_environment_is_used(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With http_proxy set, the proxy gets the request for an address that cannot be reached otherwise."""
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/model.zip"))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DownloadError, match="404"):  # the proxy's own answer
        room.fetch("20990101-000000", url="http://models.invalid/model.zip", directory=tmp_path)
    assert server.asked == [None]

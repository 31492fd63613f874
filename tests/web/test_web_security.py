"""Attacks on the whole app over real sockets: uploads, malformed HTTP, slow clients, file names, load."""

from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attacks import IMAGES, REGISTER, REQUESTS, SEARCH, Answer, Attack, Target, form, jpeg, png, read_answer
from images_for_forms import image_file
from stand_ins import ColourDetector, ColourEmbedder

from faceall.analysis.analyser import Analyser
from faceall.gallery import Gallery
from faceall.web import ServerOptions
from faceall.web.app import create_app
from faceall.web.security.keys import KEYS_FILE, Keys
from faceall.web.security.slow_clients import TimedChannel
from faceall.web.server import Server
from faceall.web.work.batching import Worker


class Served(Target):
    """Server in this process, with its address, its gallery and a way to stop it."""

    gallery: Gallery
    detector: ColourDetector
    worker: Worker
    server: Server
    stopped: list[bool]


@contextmanager
def serving(folder: Path, *, key: str | None = None, pause: float = 0.0, **options: Any) -> Iterator[Served]:
    """Run a server with fake models on any free port."""
    chosen = ServerOptions(port=0, stop_seconds=20, **options)
    detector = ColourDetector(pause)
    worker = Worker(Analyser(detector, ColourEmbedder()), max_requests=chosen.max_concurrent)
    with Gallery.open(folder, detector=worker.detector, embedder=worker.embedder) as gallery:
        server = Server(create_app(gallery, chosen, worker=worker), chosen)
        stopped: list[bool] = []
        thread = threading.Thread(target=lambda: stopped.append(server.run()))
        thread.start()
        served = Served(int(server.address.rsplit(":", 1)[1].strip("/")), key)
        for name, value in {
            "gallery": gallery, "detector": detector, "worker": worker, "server": server, "stopped": stopped,
        }.items():  # fmt: skip
            object.__setattr__(served, name, value)
        try:
            yield served
        finally:
            server.stop()
            thread.join(30)
            worker.close(5)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run one server for all attacks, which must survive them."""
    with serving(tmp_path_factory.mktemp("attacked") / "gallery") as served:
        yield served


def is_responding(target: Target) -> bool:
    """Return whether a search succeeds."""
    return target.upload(SEARCH, "file", image_file(3)).status == 200


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_is_refused(target: Served, name: str) -> None:
    """The response comes at once with the right status, and the server still responds."""
    data, status = IMAGES[name]
    answer = target.upload(SEARCH, "file", data)
    assert answer.status == status
    assert answer.code == {413: "too_large", 415: "unsupported_media_type", 200: ""}[status]
    assert answer.seconds < 5
    assert is_responding(target)


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_in_a_registration_is_one_result(target: Served, name: str) -> None:
    """A valid image in the same request is registered."""
    data, status = IMAGES[name]
    body = form(("files", "bad.jpg", data), ("files", "good.png", image_file(5)))
    answer = target.post(REGISTER, body, "multipart/form-data; boundary=----attack")
    assert answer.status == 200
    bad, good = json.loads(answer.body)["job"]["results"]
    if status == 200:
        assert bad["status"] in ("no-face", "registered", "unchanged")
    else:
        assert bad["error"]["code"] == {413: "too_large", 415: "unsupported_media_type"}[status]
    assert good["status"] in ("registered", "duplicate", "unchanged")


@pytest.mark.parametrize("attack", REQUESTS, ids=lambda attack: attack.__name__)
def test_a_malformed_request_is_answered(target: Served, attack: Attack) -> None:
    """The status is right and errors have the error format, also below the app."""
    answer = attack(target)
    assert answer.status in REQUESTS[attack]
    if answer.status >= 400:
        assert answer.code
    assert b"root:" not in answer.body
    assert is_responding(target)


def test_internal_urls_reveal_nothing(target: Served) -> None:
    """Each URL has one result with an error, and nothing is fetched."""
    hosts = ["127.0.0.1", f"127.0.0.1:{target.port}", "[::1]", "169.254.169.254", "10.0.0.1", "localhost", "2130706433"]
    body = json.dumps({"urls": [f"http://{host}/x.jpg" for host in hosts]}).encode()
    answer = target.post(REGISTER, body, "application/json")
    results = json.loads(answer.body)["job"]["results"]
    assert [result["error"]["code"] for result in results] == ["unprocessable"] * len(hosts)
    assert len(target.gallery.people) == len({person.name for person in target.gallery.people})


@pytest.mark.parametrize(
    "name",
    ["../../../x.png", "..\\\\..\\\\x.png", "/etc/passwd", "C:\\\\x.png", "a/../../b.png", "x" * 400 + ".png",
     "....//x.png", "~/x.png", "%2e%2e%2fx.png", "con.png", ".ssh", "-rf", "a;b.png", "<script>.png", "a%00.png"],
)  # fmt: skip
def test_file_names_cannot_leave_the_uploads(target: Served, name: str) -> None:
    """With any name the upload is in the folder of uploads, and is removed with its photo."""
    uploads = target.gallery.folder / "uploads"
    outside = target.gallery.folder.parent
    before = {path for path in outside.rglob("*") if uploads not in path.parents}
    answer = target.upload(REGISTER, "files", image_file(zlib.crc32(name.encode()) % 200 + 10), name)
    assert answer.status == 200
    (result,) = json.loads(answer.body)["job"]["results"]
    after = {path for path in outside.rglob("*") if uploads not in path.parents and path.suffix != ".db-wal"}
    assert {path.name for path in after - before} <= {"uploads", "faces.db-wal", "faces.db-shm", "faces.hnsw"}
    assert str(outside) not in answer.body.decode()
    assert result["status"] in ("registered", "duplicate", "unchanged", "no-face")


def test_decoded_pixels_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the files are, at most the pixels of two images are decoded at once."""
    monkeypatch.setattr("faceall.web.registrar._BATCH_PIXELS", 40_000)
    bombs = [("files", f"{number}.png", png(200, 100 - number, rows=100 - number)) for number in range(12)]
    with serving(tmp_path / "gallery") as target:
        given: list[int] = []
        register = target.gallery.register_candidates

        def counted(candidates: Any, **options: Any) -> Any:
            given.append(len(candidates))
            return register(candidates, **options)

        object.__setattr__(target.gallery, "register_candidates", counted)
        answer = target.post(REGISTER, form(*bombs), "multipart/form-data; boundary=----attack")
        results = json.loads(answer.body)["job"]["results"]
    assert [result["status"] for result in results] == ["no-face"] * 12
    assert sum(given) == 12
    assert max(given) == 2


def test_trailing_data_of_an_image_is_not_served(target: Served) -> None:
    """A JPEG with HTML appended is served re-encoded and with nosniff."""
    data = image_file(77, "JPEG", width=300, height=300) + b"<script>alert(1)</script>"
    job = json.loads(target.upload(REGISTER, "files", data, "x.html").body)["job"]
    photo = job["results"][0]["photo"]
    assert photo is not None
    photo_id = photo["id"] if isinstance(photo, dict) else photo
    with socket.create_connection(("127.0.0.1", target.port), 10) as line:
        line.sendall(
            f"GET /api/v1/photos/{photo_id}/image HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        raw = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"Content-Type: image/jpeg" in head
    assert b"nosniff" in head
    assert b"<script>" not in body


def test_slow_senders_are_cut_off_and_do_not_keep_others_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a byte now and then (slow loris) is disconnected at the deadline."""
    monkeypatch.setattr(TimedChannel, "grace_seconds", 0.5)
    with serving(tmp_path / "gallery") as target, ThreadPoolExecutor(40) as pool:
        head = b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        slow_heads = [pool.submit(dribble, target, b"GET / HTTP/1.1\r\nX: ") for _ in range(20)]
        slow_bodies = [pool.submit(dribble, target, head) for _ in range(20)]
        time.sleep(0.2)
        assert is_responding(target)
        for future in slow_heads + slow_bodies:
            assert future.result(120) < 40


def dribble(target: Target, start: bytes) -> float:
    """Send a start, then a byte every 50 ms, until the server closes; return the seconds."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", target.port), 20) as line:
        try:
            line.sendall(start)
            while time.monotonic() - begun < 60:
                line.sendall(b"a")
                time.sleep(0.05)
        except OSError:
            return time.monotonic() - begun
    raise AssertionError("the server never ended the connection")


def test_one_address_cannot_hold_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections beyond the limit of an address are closed; later ones are accepted again."""
    monkeypatch.setattr(TimedChannel, "max_per_address", 10)
    with serving(tmp_path / "gallery") as target:
        with ExitStack() as stack:
            lines = [stack.enter_context(socket.create_connection(("127.0.0.1", target.port), 5)) for _ in range(15)]
            time.sleep(0.3)
            answered = 0
            for line in lines:
                line.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answered += read_answer(line, 0).status == 200
            assert answered == 10
        wait_until(lambda: is_responding(target))


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after a minute."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_an_incomplete_body_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server closes the connection after its timeout."""
    monkeypatch.setattr("faceall.web.server._SILENT_SECONDS", 1)
    monkeypatch.setattr("faceall.web.server._CLEANUP_SECONDS", 1)
    with serving(tmp_path / "gallery") as target:
        head = b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        answer = target.send([head + b"too little"], timeout=60)
        assert answer.status == 0
        assert answer.seconds < 10


def test_a_large_body_without_the_key_is_not_read(tmp_path: Path) -> None:
    """Without the key the head is refused before the body is stored; with the key it is accepted."""
    key = Keys(tmp_path / "gallery" / KEYS_FILE).create()
    with serving(tmp_path / "gallery") as stranger:
        head = "POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\n"
        for more in (
            "",
            "Authorization: Bearer x\r\n",
            "Cookie: faceall_session=x\r\n",
            f"Authorization: Basic {key}\r\n",
        ):
            answer = stranger.send([f"{head}{more}\r\n".encode()])
            assert (answer.status, answer.code) == (401, "unauthorized")
        assert stranger.upload(SEARCH, "file", image_file(3)).status == 401
        friend = Target(stranger.port, key)
        assert friend.upload(SEARCH, "file", jpeg(500)).status == 200
        assert stranger.upload(SEARCH, "file", jpeg(500)).status == 401


def test_a_busy_server_refuses_searches_only(tmp_path: Path) -> None:
    """Searches get 503 with Retry-After; pages, health and metrics still work."""
    with (
        serving(tmp_path / "gallery", pause=0.6, max_concurrent=2, threads=12) as target,
        ThreadPoolExecutor(8) as pool,
    ):
        answers: list[Answer] = list(pool.map(lambda n: target.upload(SEARCH, "file", image_file(n)), range(8)))
        counts = {status: sum(answer.status == status for answer in answers) for status in (200, 503)}
        assert counts[200] >= 2
        assert counts[503] >= 1
        assert counts[200] + counts[503] == 8
        busy = next(answer for answer in answers if answer.status == 503)
        assert busy.code == "busy"
        assert busy.seconds < 0.6
        get = [b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"]
        metrics = target.send(get).body.decode()
        assert f'faceall_rejected_total{{reason="busy"}} {counts[503]}.0' in metrics
        wait_until(lambda: target.worker.load.requests == 0)
        assert is_responding(target)


def test_a_stop_finishes_accepted_searches(tmp_path: Path) -> None:
    """Accepted searches are answered; then the port is closed."""
    with serving(tmp_path / "gallery", pause=0.1) as target, ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(target.upload, SEARCH, "file", image_file(n)) for n in range(10)]
        wait_until(lambda: target.worker.load.requests == 10)
        target.server.stop()
        assert [future.result(20).status for future in asked] == [200] * 10
        wait_until(lambda: target.stopped == [True])
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", target.port), 2)


def test_concurrent_searches_share_batches(tmp_path: Path) -> None:
    """Images of concurrent searches are detected in one batch."""
    with serving(tmp_path / "gallery", pause=0.02) as target, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: target.upload(SEARCH, "file", image_file(n % 7)), range(48)))
        assert [answer.status for answer in answers] == [200] * 48
        assert target.detector.seen == 48

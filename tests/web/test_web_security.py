"""The whole app behind real sockets, attacked: uploads, odd HTTP, slow clients, file names, load."""

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
from attacks import IMAGES, REGISTER, REQUESTS, SEARCH, Answer, Attack, Victim, form, jpeg, png, read_answer
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


class Served(Victim):
    """A server in this process: where it is, its gallery and how to stop it."""

    gallery: Gallery
    detector: ColourDetector
    worker: Worker
    server: Server
    stopped: list[bool]


@contextmanager
def serving(folder: Path, *, key: str | None = None, pause: float = 0.0, **options: Any) -> Iterator[Served]:
    """A server with stand-ins for the nets, on any free port."""
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
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that all attacks share: it has to survive them."""
    with serving(tmp_path_factory.mktemp("attacked") / "gallery") as served:
        yield served


def is_well(victim: Victim) -> bool:
    """Whether a search is still answered."""
    return victim.upload(SEARCH, "file", image_file(3)).status == 200


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_is_refused(victim: Served, name: str) -> None:
    """At once, with the right status, and the server stays well."""
    data, status = IMAGES[name]
    answer = victim.upload(SEARCH, "file", data)
    assert answer.status == status
    assert answer.code == {413: "too_large", 415: "unsupported_media_type", 200: ""}[status]
    assert answer.seconds < 5
    assert is_well(victim)


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_in_a_registration_is_one_result(victim: Served, name: str) -> None:
    """Beside it, a good one is registered."""
    data, status = IMAGES[name]
    body = form(("files", "bad.jpg", data), ("files", "good.png", image_file(5)))
    answer = victim.post(REGISTER, body, "multipart/form-data; boundary=----attack")
    assert answer.status == 200
    bad, good = json.loads(answer.body)["job"]["results"]
    if status == 200:
        assert bad["status"] in ("no-face", "registered", "unchanged")
    else:
        assert bad["error"]["code"] == {413: "too_large", 415: "unsupported_media_type"}[status]
    assert good["status"] in ("registered", "duplicate", "unchanged")


@pytest.mark.parametrize("attack", REQUESTS, ids=lambda attack: attack.__name__)
def test_an_odd_request_is_answered(victim: Served, attack: Attack) -> None:
    """With the right status, errors in the one shape, also those that never reach the app."""
    answer = attack(victim)
    assert answer.status in REQUESTS[attack]
    if answer.status >= 400:
        assert answer.code
    assert b"root:" not in answer.body
    assert is_well(victim)


def test_urls_to_inner_addresses_tell_nothing(victim: Served) -> None:
    """Each is one result with an error; nothing is fetched."""
    hosts = ["127.0.0.1", f"127.0.0.1:{victim.port}", "[::1]", "169.254.169.254", "10.0.0.1", "localhost", "2130706433"]
    body = json.dumps({"urls": [f"http://{host}/x.jpg" for host in hosts]}).encode()
    answer = victim.post(REGISTER, body, "application/json")
    results = json.loads(answer.body)["job"]["results"]
    assert [result["error"]["code"] for result in results] == ["unprocessable"] * len(hosts)
    assert len(victim.gallery.people) == len({person.name for person in victim.gallery.people})


@pytest.mark.parametrize(
    "name",
    ["../../../x.png", "..\\\\..\\\\x.png", "/etc/passwd", "C:\\\\x.png", "a/../../b.png", "x" * 400 + ".png",
     "....//x.png", "~/x.png", "%2e%2e%2fx.png", "con.png", ".ssh", "-rf", "a;b.png", "<script>.png", "a%00.png"],
)  # fmt: skip
def test_a_file_name_leads_nowhere(victim: Served, name: str) -> None:
    """Whatever it says, the upload lies below the gallery's uploads, and it goes with its photo."""
    uploads = victim.gallery.folder / "uploads"
    outside = victim.gallery.folder.parent
    before = {path for path in outside.rglob("*") if uploads not in path.parents}
    answer = victim.upload(REGISTER, "files", image_file(zlib.crc32(name.encode()) % 200 + 10), name)
    assert answer.status == 200
    (result,) = json.loads(answer.body)["job"]["results"]
    after = {path for path in outside.rglob("*") if uploads not in path.parents and path.suffix != ".db-wal"}
    assert {path.name for path in after - before} <= {"uploads", "faces.db-wal", "faces.db-shm", "faces.hnsw"}
    assert str(outside) not in answer.body.decode()
    assert result["status"] in ("registered", "duplicate", "unchanged", "no-face")


def test_many_large_images_in_small_files_are_not_decoded_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small their files are, the gallery gets only so many pixels at a time, here those of two images."""
    monkeypatch.setattr("faceall.web.registrar._BATCH_PIXELS", 40_000)
    bombs = [("files", f"{number}.png", png(200, 100 - number, rows=100 - number)) for number in range(12)]
    with serving(tmp_path / "gallery") as victim:
        given: list[int] = []
        register = victim.gallery.register_candidates

        def counted(candidates: Any, **options: Any) -> Any:
            given.append(len(candidates))
            return register(candidates, **options)

        object.__setattr__(victim.gallery, "register_candidates", counted)
        answer = victim.post(REGISTER, form(*bombs), "multipart/form-data; boundary=----attack")
        results = json.loads(answer.body)["job"]["results"]
    assert [result["status"] for result in results] == ["no-face"] * 12
    assert sum(given) == 12
    assert max(given) == 2


def test_what_lies_behind_a_image_is_never_served(victim: Served) -> None:
    """A JPEG with HTML behind it comes back as pixels only, and no browser may guess that it is a page."""
    data = image_file(77, "JPEG", width=300, height=300) + b"<script>alert(1)</script>"
    job = json.loads(victim.upload(REGISTER, "files", data, "x.html").body)["job"]
    photo = job["results"][0]["photo"]
    assert photo is not None
    photo_id = photo["id"] if isinstance(photo, dict) else photo
    with socket.create_connection(("127.0.0.1", victim.port), 10) as line:
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
    """A byte now and then (slow loris), in the head or in the body: the time is over, however alive it looks."""
    monkeypatch.setattr(TimedChannel, "grace_seconds", 0.5)
    with serving(tmp_path / "gallery") as victim, ThreadPoolExecutor(40) as pool:
        head = b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        slow_heads = [pool.submit(dribble, victim, b"GET / HTTP/1.1\r\nX: ") for _ in range(20)]
        slow_bodies = [pool.submit(dribble, victim, head) for _ in range(20)]
        time.sleep(0.2)
        assert is_well(victim)
        for future in slow_heads + slow_bodies:
            assert future.result(20) < 5


def dribble(victim: Victim, start: bytes) -> float:
    """Send a start, then a byte every 50 ms, until the server ends it; returns the seconds that it took."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", victim.port), 20) as line:
        try:
            line.sendall(start)
            while time.monotonic() - begun < 15:
                line.sendall(b"a")
                time.sleep(0.05)
        except OSError:
            return time.monotonic() - begun
    raise AssertionError("the server never ended the connection")


def test_one_address_cannot_hold_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next ones are closed at once; after they are gone, new ones come in."""
    monkeypatch.setattr(TimedChannel, "max_per_address", 10)
    with serving(tmp_path / "gallery") as victim:
        with ExitStack() as stack:
            lines = [stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), 5)) for _ in range(15)]
            time.sleep(0.3)
            answered = 0
            for line in lines:
                line.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answered += read_answer(line, 0).status == 200
            assert answered == 10
        wait_until(lambda: is_well(victim))


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for what other threads do; fail after ten seconds."""
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_body_shorter_than_announced_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is ended by the server's own clock."""
    monkeypatch.setattr("faceall.web.server._SILENT_SECONDS", 1)
    monkeypatch.setattr("faceall.web.server._CLEANUP_SECONDS", 1)
    with serving(tmp_path / "gallery") as victim:
        head = b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        answer = victim.send([head + b"too little"], patience=60)
        assert answer.status == 0
        assert answer.seconds < 10


def test_without_its_key_a_large_body_is_refused_by_its_head(tmp_path: Path) -> None:
    """Before a byte of it is kept; with the key it is taken."""
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
        friend = Victim(stranger.port, key)
        assert friend.upload(SEARCH, "file", jpeg(500)).status == 200
        assert stranger.upload(SEARCH, "file", jpeg(500)).status == 401


def test_beyond_its_places_the_server_says_when_to_ask_again(tmp_path: Path) -> None:
    """Searches are refused with 503; pages, health and metrics are answered all the same."""
    with (
        serving(tmp_path / "gallery", pause=0.6, max_concurrent=2, threads=12) as victim,
        ThreadPoolExecutor(8) as pool,
    ):
        answers: list[Answer] = list(pool.map(lambda n: victim.upload(SEARCH, "file", image_file(n)), range(8)))
        counts = {status: sum(answer.status == status for answer in answers) for status in (200, 503)}
        assert counts[200] >= 2
        assert counts[503] >= 1
        assert counts[200] + counts[503] == 8
        busy = next(answer for answer in answers if answer.status == 503)
        assert busy.code == "busy"
        assert busy.seconds < 0.6
        get = [b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"]
        metrics = victim.send(get).body.decode()
        assert f'faceall_rejected_total{{reason="busy"}} {counts[503]}.0' in metrics
        wait_until(lambda: victim.worker.load.requests == 0)
        assert is_well(victim)


def test_a_stop_answers_everybody_who_was_let_in(tmp_path: Path) -> None:
    """Searches that were accepted are answered; then nobody listens any more."""
    with serving(tmp_path / "gallery", pause=0.1) as victim, ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(victim.upload, SEARCH, "file", image_file(n)) for n in range(10)]
        wait_until(lambda: victim.worker.load.requests == 10)
        victim.server.stop()
        assert [future.result(20).status for future in asked] == [200] * 10
        wait_until(lambda: victim.stopped == [True])
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", victim.port), 2)


def test_concurrent_searches_share_batches(tmp_path: Path) -> None:
    """What comes together is looked at together."""
    with serving(tmp_path / "gallery", pause=0.02) as victim, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: victim.upload(SEARCH, "file", image_file(n % 7)), range(48)))
        assert [answer.status for answer in answers] == [200] * 48
        assert victim.detector.seen == 48

"""Images from URLs: results, and refusal of every URL that could reach an internal service."""

from __future__ import annotations

import io
import itertools
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest
from little_server import LittleServer, Talk, answer, closed_port
from PIL import Image as PillowImage

from faceall.web.fetch.addresses import Address, is_public
from faceall.web.fetch.fetcher import Fetcher, FetchLimits
from faceall.web.refusal import FetchError


def image_file(kind: str = "JPEG", size: tuple[int, int] = (8, 6)) -> bytes:
    """Encode a small image."""
    file = io.BytesIO()
    PillowImage.new("RGB", size, (200, 100, 50)).save(file, kind)
    return file.getvalue()


JPEG = image_file()


def loopback(address: Address) -> bool:
    """Permit the loopback interface, only as 127.0.0.1."""
    return str(address) == "127.0.0.1"


def fetcher(*ports: int, permit: Callable[[Address], bool] = loopback, **limits: float) -> Fetcher:
    """Make a fetcher that resolves every name to 127.0.0.1."""
    bounds = FetchLimits(ports=ports, **limits)  # type: ignore[arg-type]
    return Fetcher(bounds, resolve=lambda host, port: ["127.0.0.1"], permit=permit)


def fetch_error(url: str, by: Fetcher) -> str:
    """Return the error message for a URL."""
    with pytest.raises(FetchError) as caught:
        by.fetch(url)
    return str(caught.value)


def test_an_image_has_its_name_and_type() -> None:
    """The request names the host, asks for no compression and has no credentials."""
    with LittleServer(answer(JPEG)) as server:
        got = fetcher(server.port).fetch(f"http://images.example:{server.port}/of/Anna%20B.jpg?x=1#part")
    assert (got.data, got.name, got.content_type) == (JPEG, "Anna B.jpg", "image/jpeg")
    (head,) = server.requests
    assert head.startswith("GET /of/Anna%20B.jpg?x=1 HTTP/1.1\r\n")
    assert f"Host: images.example:{server.port}\r\n" in head
    assert "Accept-Encoding: identity\r\n" in head
    assert "Authorization" not in head
    assert "Cookie" not in head


@pytest.mark.parametrize(
    ("path", "name"),
    [("", "photo"), ("/", "photo"), ("/..", "photo"), ("/a/..%2f..%2fetc%2fpasswd", "....etcpasswd"[4:]),
     ("/%00x.jpg", "x.jpg"), ("/" + "y" * 300, "y" * 100), ("/%e5%bc%a0.png", "张.png"), ("/a%0d%0ab.jpg", "ab.jpg")],
)  # fmt: skip
def test_the_name_is_a_plain_file_name(path: str, name: str) -> None:
    """The name has no folders, control characters or line ends, and a limited length."""
    with LittleServer(answer(JPEG)) as server:
        assert fetcher(server.port).fetch(f"http://a.example:{server.port}{path}").name == name


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.example/x.jpg", "gopher://a.example/", "data:image/png;base64,AAAA",
     "//a.example/x", "a.example/x.jpg", "", "javascript:alert(1)", "dict://a.example:11211/", "http:///x", "http://", "jar:http://a/x"],
)  # fmt: skip
def test_only_http_and_https_are_fetched(url: str) -> None:
    """Other schemes are refused before a name is resolved."""
    assert "is not" in fetch_error(url, Fetcher(resolve=never))


def never(host: str, port: int) -> list[str]:
    """Fail if a name is resolved."""
    raise AssertionError(f"{host} was resolved")


INNER = (
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.20.0.1", "192.168.0.1", "169.254.169.254", "100.64.1.1",
    "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[fe80::1]", "[fc00::1]",
    "[fd00:ec2::254]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[ff02::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", INNER)
def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    """A private address is refused before resolving or connecting."""
    assert "is not a public address" in fetch_error(f"http://{host}/x.jpg", Fetcher(resolve=never))


ODD = (
    "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "127.0.0.1.",
    "\u2460\u2461\u2466.0.0.1", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021",
    "[fe80::1%25eth0]", "[::1%lo]", "%31%32%37.0.0.1", "a..example",
)  # fmt: skip


@pytest.mark.parametrize("host", ODD)
def test_a_host_in_an_odd_notation_is_refused(host: str) -> None:
    """Decimal, octal, hex, short, full-width and escaped hosts never reach the resolver."""
    assert "canonical notation" in fetch_error(f"http://{host}/x.jpg", Fetcher(resolve=never))


@pytest.mark.parametrize(
    "url",
    ["http://user:secret@a.example/", "http://user@a.example/", "http://a.example@127.0.0.1/", "http://@127.0.0.1/",
     "http://a.example:80@127.0.0.1/"],
)  # fmt: skip
def test_credentials_are_refused_and_not_repeated(url: str) -> None:
    """Credentials in a URL are neither sent nor shown in the error."""
    text = fetch_error(url, Fetcher(resolve=never))
    assert "user name or password" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "url",
    ["http://a.example\\@127.0.0.1/", "http://a.example/ x", "http://a.example/\r\nHost: b", "http://a.ex\tample/",
     "http://a.example/\x00", " http://a.example/", "http://a.example/\x7f"],
)  # fmt: skip
def test_spaces_control_characters_and_backslashes_are_refused(url: str) -> None:
    """Characters that allow request smuggling or ambiguous hosts are refused."""
    assert "control characters" in fetch_error(url, Fetcher(resolve=never))


@pytest.mark.parametrize("port", [22, 25, 6379, 11211, 3306, 1, 0])
def test_ports_of_other_services_are_refused(port: int) -> None:
    """Only ports of web servers are allowed."""
    assert "port" in fetch_error(f"http://a.example:{port}/", Fetcher(resolve=never))


@pytest.mark.parametrize("port", ["x", "99999", "-1", "8 0"])
def test_an_invalid_port_is_refused(port: str) -> None:
    """An invalid port gives a one-line error, no traceback."""
    fetch_error(f"http://a.example:{port}/", Fetcher(resolve=never))


def test_internal_unknown_and_closed_hosts_give_the_same_error() -> None:
    """The error does not reveal names and ports of internal networks."""
    with closed_port() as port:
        bounds = FetchLimits(ports=(port,), connect_seconds=1)
        closed = Fetcher(bounds, resolve=lambda host, port: ["127.0.0.1"], permit=loopback)
        inner = Fetcher(bounds, resolve=lambda host, port: ["10.0.0.1"])
        missing = Fetcher(bounds, resolve=unknown_name)
        mixed = Fetcher(bounds, resolve=lambda host, port: ["127.0.0.1", "10.0.0.1"], permit=loopback)
        none = Fetcher(bounds, resolve=lambda host, port: [])
        url = f"http://a.example:{port}/x.jpg"
        texts = {fetch_error(url, by) for by in (closed, inner, missing, mixed, none)}
    assert texts == {f"{url}: cannot be reached at a public address"}


def unknown_name(host: str, port: int) -> list[str]:
    """Raise the system's error for an unknown name."""
    raise socket.gaierror(-2, "Name or service not known")


def test_a_silent_server_gives_the_error_of_a_closed_port() -> None:
    """A server that sends nothing, or no HTTP, is reported as unreachable."""
    for talk in (lambda line: time.sleep(2), lambda line: line.sendall(b"SSH-2.0-OpenSSH_9\r\n")):
        with LittleServer(talk) as server:
            text = fetch_error(f"http://a.example:{server.port}/", fetcher(server.port, seconds=0.5))
        assert text.endswith("cannot be reached at a public address")


def test_one_internal_address_refuses_the_name() -> None:
    """Every address of a name is checked, not only the first."""
    with LittleServer(answer(JPEG)) as server:
        by = Fetcher(
            FetchLimits(ports=(server.port,)), resolve=lambda host, port: ["127.0.0.1", "127.0.0.2"], permit=loopback
        )
        fetch_error(f"http://a.example:{server.port}/", by)
    assert server.connections == 0


def test_a_name_is_resolved_only_once() -> None:
    """The connection uses the checked address, so that DNS rebinding has no effect."""
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["127.0.0.2"]))
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with LittleServer(answer(JPEG)) as server:
        by = Fetcher(FetchLimits(ports=(server.port,)), resolve=rebinding, permit=loopback)
        assert by.fetch(f"http://rebinding.example:{server.port}/x.jpg").data == JPEG
    assert asked == ["rebinding.example"]


def test_the_second_address_is_tried_if_the_first_fails() -> None:
    """If the first address refuses the connection, the next one is used."""
    with LittleServer(answer(JPEG)) as server:
        both = FetchLimits(ports=(server.port,))
        by = Fetcher(both, resolve=lambda host, port: ["127.0.0.3", "127.0.0.1"], permit=lambda address: True)
        assert by.fetch(f"http://a.example:{server.port}/x.jpg").data == JPEG


def test_redirects_are_limited() -> None:
    """Redirects, also relative ones, are followed up to a limit."""

    def talk(line: socket.socket) -> None:
        step = len(server.requests)
        answer(
            JPEG if step == 4 else b"", status="200 OK" if step == 4 else "302 Found", more=f"Location: /{step}.jpg\r\n"
        )(line)

    with LittleServer(talk) as server:
        assert fetcher(server.port).fetch(f"http://a.example:{server.port}/x").name == "3.jpg"
    with LittleServer(talk) as server:
        text = fetch_error(f"http://a.example:{server.port}/x", fetcher(server.port, redirects=2))
        assert "more than 2 times" in text
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("place", "reason"),
    [(f"http://{host}/", "public") for host in INNER]
    + [(f"http://{host}/", "canonical notation") for host in ("2130706433", "0x7f.1", "127.1")]
    + [("file:///etc/passwd", "http or https"), ("ftp://a.example/", "http or https"), ("", "without a location"),
       ("http://u:p@b.example/", "password"), ("http://a.example:22/", "port 22"),
       ("http://inner.example:80/", "public")],
)  # fmt: skip
def test_a_redirect_is_checked(place: str, reason: str) -> None:
    """The target of a redirect is checked like a first URL, and the error does not show it."""
    names = {"a.example": ["127.0.0.1"], "inner.example": ["10.0.0.7"]}
    with LittleServer(answer(b"", status="302 Found", more=f"Location: {place}\r\n")) as server:
        by = Fetcher(
            FetchLimits(ports=(80, server.port)),
            resolve=lambda host, port: names[host],
            permit=lambda address: loopback(address) if server.connections == 0 else is_public(address),
        )
        text = fetch_error(f"http://a.example:{server.port}/x", by)
    assert reason in text
    assert "10.0.0.7" not in text
    assert server.connections == 1


def test_too_large_a_body_is_refused() -> None:
    """A too large body is refused with a declared length, without one, and in chunks."""
    big = JPEG + b"\0" * 100_000

    def endless(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            line.sendall(b"10000\r\n" + b"\xff" * 0x10000 + b"\r\n")

    def lengthless(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + big)

    for talk in (answer(big), endless, lengthless):
        with LittleServer(talk) as server:
            text = fetch_error(f"http://a.example:{server.port}/", fetcher(server.port, max_bytes=50_000))
        assert "bytes" in text
        assert "50,000" in text


def slow_head(line: socket.socket) -> None:
    """Send a head byte by byte without end."""
    for letter in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(ord("a"))):
        line.sendall(bytes([letter]))
        time.sleep(0.02)


def slow_body(line: socket.socket) -> None:
    """Send a body without end."""
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + JPEG)
    while True:
        line.sendall(b"\0")
        time.sleep(0.02)


def hundred_continues(line: socket.socket) -> None:
    """Send interim responses without end."""
    while True:
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


@pytest.mark.parametrize("talk", [slow_head, slow_body, hundred_continues])
def test_the_deadline_covers_the_whole_response(talk: Talk) -> None:
    """The deadline is for the whole response, not for the time between two bytes."""
    with LittleServer(talk) as server:
        text = fetch_error(f"http://a.example:{server.port}/", fetcher(server.port, seconds=0.6))  # or without end
    assert "longer than 0.6 seconds" in text or "cannot be reached" in text


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    """The deadline also ends waiting for the system's resolver."""
    ended = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        ended.wait(60)
        return ["127.0.0.1"]

    start = time.monotonic()
    fetch_error("http://a.example/", Fetcher(FetchLimits(seconds=0.3), resolve=hanging, permit=loopback))
    assert time.monotonic() - start < 30
    ended.set()


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html></html>", "text/html"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
     (b"", "image/png"), (b"%PDF-1.7", "image/jpeg"), (b"root:x:0:0:root:/root:/bin/bash", "image/jpeg"),
     (b"GIF89a", "image/gif")],
)  # fmt: skip
def test_a_file_that_is_not_an_image_is_refused(body: bytes, kind: str) -> None:
    """The first bytes decide, and the error shows nothing of the body."""
    with LittleServer(answer(body, kind=kind)) as server:
        text = fetch_error(f"http://a.example:{server.port}/", fetcher(server.port))
    assert "image" in text
    assert "root" not in text


def test_an_image_with_a_wrong_content_type_is_accepted() -> None:
    """The content type of the server is ignored."""
    with LittleServer(answer(image_file("PNG"), kind="application/octet-stream")) as server:
        assert fetcher(server.port).fetch(f"http://a.example:{server.port}/").data.startswith(b"\x89PNG")


def test_an_image_with_too_many_pixels_is_refused() -> None:
    """An image is refused by the size in its header."""
    with LittleServer(answer(image_file(size=(40, 40)))) as server:
        assert "limit is 1,000" in fetch_error(
            f"http://a.example:{server.port}/", fetcher(server.port, max_pixels=1000)
        )


def test_a_truncated_body_is_refused() -> None:
    """A body shorter than its declared length is refused."""
    with LittleServer(answer(JPEG, length=len(JPEG) + 5)) as server:
        assert "broke" in fetch_error(f"http://a.example:{server.port}/", fetcher(server.port))


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "206 Partial Content", "204 No Content", "304 Same"])
def test_any_other_status_is_reported(status: str) -> None:
    """The error has the number of the status, without the server's text."""
    with LittleServer(answer(b"secret words", status=status)) as server:
        text = fetch_error(f"http://a.example:{server.port}/", fetcher(server.port))
    assert text.endswith(f"the server responded with status {status[:3]}")


def test_a_compressed_body_is_refused() -> None:
    """A compressed body is refused, because none was requested and it could be a bomb."""
    with LittleServer(answer(b"\x1f\x8b", more="Content-Encoding: gzip\r\n")) as server:
        assert "compressed" in fetch_error(f"http://a.example:{server.port}/", fetcher(server.port))


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the environment are ignored, because they would resolve names unchecked."""
    with LittleServer(answer(b"", status="502 Bad Gateway")) as proxy, LittleServer(answer(JPEG)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetcher(server.port).fetch(f"http://a.example:{server.port}/").data == JPEG
    assert proxy.connections == 0


def test_failed_fetches_leak_nothing() -> None:
    """A hundred failures leave no thread and no socket open."""
    with LittleServer(answer(b"no")) as server:
        by = fetcher(server.port)
        before = threading.active_count()
        for _ in range(100):
            fetch_error(f"http://a.example:{server.port}/", by)
        end = time.monotonic() + 60
        while threading.active_count() > before + 3:
            assert time.monotonic() < end, f"{threading.active_count() - before} more threads"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate and a key for secure.example."""
    if which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=secure.example", "-addext", "subjectAltName=DNS:secure.example", "-keyout", "key.pem", "-out",
         "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_https_checks_the_name_of_the_url(certificate: Path) -> None:
    """The connection is to an address; SNI, certificate check and Host header use the URL's name."""
    asked: list[str | None] = []
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    serving.sni_callback = lambda line, name, context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with LittleServer(answer(JPEG), serving) as server:
        by = Fetcher(
            FetchLimits(ports=(server.port,)), resolve=lambda h, p: ["127.0.0.1"], permit=loopback, tls=trusting
        )
        assert by.fetch(f"https://secure.example:{server.port}/x.jpg").data == JPEG
        assert asked == ["secure.example"]
        assert f"Host: secure.example:{server.port}\r\n" in server.requests[0]
        fetch_error(f"https://other.example:{server.port}/x.jpg", by)
        fetch_error(f"https://secure.example:{server.port}/x.jpg", fetcher(server.port))
        assert len(server.requests) == 1

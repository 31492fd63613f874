"""Accepted Host and Origin headers, and the security headers of responses."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from faceall.web.refusal import RefusedError
from faceall.web.security.headers import HEADERS, Hosts, add_headers, check_origin, host_name, is_loopback

OWN = "http://localhost:8000"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_the_loopback_is_known(host: str) -> None:
    """All addresses of 127.0.0.0/8 are the loopback interface."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "192.168.1.2", "faces.example", "localhost.example", "127.0.0.1.x"]
)
def test_everything_else_is_beyond_the_loopback(host: str) -> None:
    """Other addresses, and names, whose meaning may change, are not the loopback interface."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "name"),
    [("localhost", "localhost"), ("LOCALHOST:8000", "localhost"), ("127.0.0.1:80", "127.0.0.1"), ("[::1]:8000", "::1"),
     ("faces.example.", "faces.example"), ("", None), (":80", None), ("a b", None), ("a/b", None), ("a@b", None),
     ("a:x", None), ("a:99999", None), ("[::1", None), ("a\\b", None), ("ä.example", None),
     ("a?b", None), ("a#b", None)],
)  # fmt: skip
def test_the_name_in_a_host_header(header: str, name: str | None) -> None:
    """The name is in lower case without port; None for an invalid host."""
    assert host_name(header) == name


@pytest.mark.parametrize(
    "header", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:1", "LocalHost.", "here.example"]
)
def test_own_names_are_accepted(header: str) -> None:
    """Names of the loopback interface and allowed names are accepted."""
    Hosts("127.0.0.1", ["Here.example"]).check(header)


@pytest.mark.parametrize(
    "header",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.example", "192.168.1.7", "127.0.0.2",
     "x" * 5000],
)  # fmt: skip
def test_foreign_names_are_refused(header: str) -> None:
    """A foreign name in the Host header, as in DNS rebinding, is refused."""
    with pytest.raises(RefusedError, match="--allowed-host") as caught:
        Hosts("127.0.0.1").check(header)
    assert caught.value.status == 403
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("header", [None, "", "a b", "evil.example/localhost", "localhost@evil.example"])
def test_an_invalid_host_header_is_refused(header: str | None) -> None:
    """An invalid Host header is a bad request."""
    with pytest.raises(RefusedError) as caught:
        Hosts("127.0.0.1").check(header)
    assert caught.value.status == 400


def test_beyond_the_loopback_every_address_is_accepted() -> None:
    """Any address is accepted as host, because a server may have many; names must be allowed."""
    hosts = Hosts("0.0.0.0", ["faces.lan"])
    for header in ("192.168.1.7:8000", "[2001:db8::7]:8000", "faces.lan", "localhost"):
        hosts.check(header)
    with pytest.raises(RefusedError):
        hosts.check("evil.example")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": OWN},
     {"Sec-Fetch-Site": "same-origin", "Origin": OWN}, {"Sec-Fetch-Site": "same-origin", "Origin": "null"}],
)  # fmt: skip
def test_changes_come_from_own_pages_and_from_programs(headers: dict[str, str]) -> None:
    """Requests from own pages, and requests of programs without Origin, may change something."""
    for method in ("POST", "PATCH", "DELETE", "PUT", "ANYTHING"):
        check_origin(method, Headers(headers), OWN)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "x"},
     {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://localhost:9000"},
     {"Origin": "https://localhost:8000"}, {"Origin": OWN + ".evil.example"},
     {"Sec-Fetch-Site": "cross-site", "Origin": OWN}],
)  # fmt: skip
def test_changes_from_other_pages_are_refused(headers: dict[str, str]) -> None:
    """Another site, port or scheme and the origin "null" may read but not change."""
    with pytest.raises(RefusedError) as caught:
        check_origin("POST", Headers(headers), OWN)
    assert (caught.value.status, caught.value.code) == (403, "forbidden")
    for method in ("GET", "HEAD", "OPTIONS"):
        check_origin(method, Headers(headers), OWN)


def test_every_response_gets_the_headers() -> None:
    """Inline scripts, frames and other sites are forbidden; nothing is cached unless the route allows it."""
    headers = Headers({"Content-Security-Policy": "default-src *"})
    add_headers(headers)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=(self)" in headers["Permissions-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert set(HEADERS) <= set(headers.keys())
    kept = Headers({"Cache-Control": "private, max-age=60"})
    add_headers(kept)
    assert kept["Cache-Control"] == "private, max-age=60"

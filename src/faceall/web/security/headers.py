"""What browsers are told about every answer, and which of their requests are not ours to answer.

Three dangers come through a browser that visits a bad page while this server runs on the same machine. The page may
send requests here (CSRF): browsers say where a request comes from, and other places are refused. It may point its own
name at 127.0.0.1 (DNS rebinding): the Host header still carries that name, and only known names are answered. It may
show our pages inside itself, or load our pictures: the headers of every answer forbid it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from faceall.web.refusal import RefusedError

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_OWN_SITES = frozenset(("same-origin", "none"))
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_SHOWN = 100


def add_headers(headers: Headers) -> None:
    """Give an answer the headers of every answer; what holds pictures of people is not kept by caches unasked."""
    headers.update(HEADERS)
    headers.setdefault("Cache-Control", "no-store")


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Hosts:
    """The names by which a server may be called.

    bound    the host that it listens on
    allowed  further names, without ports

    Beyond the loopback any address is taken: it is a name that a rebinding page needs, an address is nobody's.
    """

    def __init__(self, bound: str, allowed: Iterable[str] = ()) -> None:
        self._names = {_plain(name) for name in (*_LOOPBACK, bound, *allowed)}
        self._any_address = not is_loopback(bound)

    def check(self, header: str | None) -> None:
        """Raise RefusedError for the Host header of a request that was meant for another name."""
        name = host_name(header or "")
        if name is None:
            raise RefusedError("the Host header is no host", status=400, code="bad_request")
        if name not in self._names and not (self._any_address and _is_address(name)):
            raise RefusedError(
                f"this server is not called '{name[:_LONGEST_SHOWN]}'; if it should be, start it with --allowed-host",
                status=403,
                code="forbidden",
            )


def host_name(header: str) -> str | None:
    """The name in a Host header, small and without its port; None where it is no host."""
    if any(letter in header for letter in "/\\@?# \t") or not header.isascii():
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError:
        return None
    return _plain(parts.hostname) if parts.hostname else None


def check_origin(method: str, headers: Headers, origin: str) -> None:
    """Refuse a request that changes something and that a browser sends for a page of another place.

    headers  of the request; programs that are no browsers send neither `Sec-Fetch-Site` nor `Origin`, and pass
    origin   of this server as the request names it, "http://localhost:8000"

    Raises RefusedError, 403.
    """
    if method in _SAFE_METHODS:
        return
    site, sender = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is None and sender is None:
        return
    if site in _OWN_SITES if site is not None else sender == origin:
        return
    raise RefusedError("changes are taken from this server's own pages only", status=403, code="forbidden")


def _plain(name: str) -> str:
    return name.strip("[]").lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

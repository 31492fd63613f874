"""Security headers of each response, and the checks of the Host and Origin headers.

They protect a local server from web pages that are open in the same browser:

- Cross-site requests (CSRF): requests with a foreign `Sec-Fetch-Site` or `Origin` are refused.
- DNS rebinding: only known names are accepted in the Host header.
- Framing and cross-origin reads: the response headers forbid both.
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
    "X-Permitted-Cross-Domain-Policies": "none",
}
STRICT_TRANSPORT_SECURITY = "max-age=31536000"

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_OWN_SITES = frozenset(("same-origin", "none"))
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MAX_SHOWN = 100


def add_headers(headers: Headers, *, secure: bool = False) -> None:
    """Set the security headers, and `Cache-Control: no-store` unless the route has set another value.

    Parameters
    ----------
    headers : Headers
        Of the response.
    secure : bool
        Whether the request came over TLS; the browser then uses TLS for the following year (HSTS).
    """
    headers.update(HEADERS)
    if secure:
        headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
    headers.setdefault("Cache-Control", "no-store")


def add_cors_headers(headers: Headers, origin: str) -> None:
    """Let scripts of another website read a response (CORS); cookies are never sent with their requests."""
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE"
    headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Last-Event-ID"
    headers["Access-Control-Expose-Headers"] = "Retry-After"
    headers["Access-Control-Max-Age"] = "600"
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    headers.add("Vary", "Origin")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Hosts:
    """The host names that requests may be addressed to.

    Parameters
    ----------
    bound : str
        The host that the server listens on.
    allowed : iterable of str
        Additional names, without ports.

    Notes
    -----
    A server that is reachable from other machines accepts any IP address in the Host header: DNS rebinding needs a
    name.
    """

    def __init__(self, bound: str, allowed: Iterable[str] = ()) -> None:
        self._names = {_plain(name) for name in (*_LOOPBACK, bound, *allowed)}
        self._any_address = not is_loopback(bound)

    def check(self, header: str | None) -> None:
        """Check the Host header of a request.

        Raises
        ------
        RefusedError
            400 for an invalid header, 403 for an unknown name.
        """
        name = host_name(header or "")
        if name is None:
            raise RefusedError("the Host header is invalid", status=400, code="bad_request")
        if name not in self._names and not (self._any_address and _is_address(name)):
            raise RefusedError(
                f"unknown host name '{name[:_MAX_SHOWN]}'; to allow it, start the server with --allowed-host",
                status=403,
                code="forbidden",
            )


def host_name(header: str) -> str | None:
    """Return the name in a Host header, in lower case and without its port; None if the header is invalid."""
    if any(letter in header for letter in "/\\@?# \t") or not header.isascii():
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return None
    return _plain(parts.hostname) if parts.hostname else None


def check_origin(method: str, headers: Headers, origin: str) -> None:
    """Refuse a cross-site request that changes something.

    Parameters
    ----------
    method : str
        The HTTP method; safe methods are always accepted.
    headers : Headers
        Of the request. Clients that are not browsers send neither `Sec-Fetch-Site` nor `Origin` and are accepted.
    origin : str
        Of this server, as the request addresses it, for example "http://localhost:8000".

    Raises
    ------
    RefusedError
        403 for a request from another site.
    """
    if method in _SAFE_METHODS:
        return
    site, sender = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is None and sender is None:
        return
    if site in _OWN_SITES if site is not None else sender == origin:
        return
    raise RefusedError(
        "cross-site requests cannot change anything; use this server's own pages",
        status=403,
        code="forbidden",
    )


def _plain(name: str) -> str:
    return name.strip("[]").lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""Parsing of URLs from clients; ambiguous URLs are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from faceall.web.fetch.addresses import plain_host
from faceall.web.refusal import FetchError

_PORTS = {"http": 80, "https": 443}
_SHOWN = 200  # characters of a URL in an error message
_UNUSUAL = re.compile(r"[\x00-\x20\x7f\\]")
_KEPT_IN_PATHS = "/%:@!$&'()*+,;=-._~"


@dataclass(frozen=True)
class Target:
    """A checked URL: canonical host, and the path with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def header(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(url: str) -> Target:
    """Parse a URL.

    Raises
    ------
    FetchError
        If it is not an unambiguous http or https URL.
    """
    if _UNUSUAL.search(url):
        raise FetchError("contains spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("is not a URL") from error
    if parts.scheme not in _PORTS:
        raise FetchError("is not an http or https URL")
    if "@" in parts.netloc:
        raise FetchError("contains a user name or password, which is not allowed")
    try:
        host = plain_host(parts.hostname or "")
    except ValueError as error:
        raise FetchError("the host is not a name or an IP address in canonical notation") from error
    return Target(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, _path_of(parts))


def _path_of(parts: SplitResult) -> str:
    """Return path and query in ASCII."""
    path = quote(parts.path or "/", safe=_KEPT_IN_PATHS)
    return f"{path}?{quote(parts.query, safe=_KEPT_IN_PATHS + '?')}" if parts.query else path


def file_name(path: str) -> str:
    """Return the file name at the end of a path without unsafe characters; "photo" if there is none."""
    name = unquote(path.partition("?")[0].rpartition("/")[2])
    kept = "".join(letter for letter in name if letter.isprintable() and letter not in '/\\:*?"<>|').strip(" .")
    return kept[:100] or "photo"


def shown_url(url: str) -> str:
    """Return a URL for an error message: without user and password, shortened."""
    head, separator, rest = url.partition("://")
    place = rest.partition("/")[0]
    if "@" in place:
        url = f"{head}{separator}{rest[place.rindex('@') + 1 :]}"
    return url if len(url) <= _SHOWN else f"{url[:_SHOWN]}..."

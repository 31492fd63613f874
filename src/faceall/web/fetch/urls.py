"""A URL that a stranger gave, taken apart, or refused where two readers could understand it differently."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from faceall.web.fetch.addresses import plain_host
from faceall.web.refusal import FetchError

_PORTS = {"http": 80, "https": 443}
_SHOWN = 200  # characters of a URL in an error
_UNUSUAL = re.compile(r"[\x00-\x20\x7f\\]")
_KEPT_IN_PATHS = "/%:@!$&'()*+,;=-._~"


@dataclass(frozen=True)
class Target:
    """A checked URL, taken apart: `host` is plain, `path` is what the request asks for."""

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
    """A URL taken apart; raises FetchError where it is not a plain http or https one."""
    if _UNUSUAL.search(url):
        raise FetchError("has spaces, control characters or backslashes in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("is not a URL") from error
    if parts.scheme not in _PORTS:
        raise FetchError("is not an http or https URL")
    if "@" in parts.netloc:
        raise FetchError("holds a user name or a password; URLs with them are not fetched")
    try:
        host = plain_host(parts.hostname or "")
    except ValueError as error:
        raise FetchError("its host is not a name or an address in the usual notation") from error
    return Target(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, _path_of(parts))


def _path_of(parts: SplitResult) -> str:
    """What to ask the host for: path and query, in ASCII."""
    path = quote(parts.path or "/", safe=_KEPT_IN_PATHS)
    return f"{path}?{quote(parts.query, safe=_KEPT_IN_PATHS + '?')}" if parts.query else path


def file_name(path: str) -> str:
    """The file name at the end of a path, fit to be shown; "picture" where there is none."""
    name = unquote(path.partition("?")[0].rpartition("/")[2])
    kept = "".join(letter for letter in name if letter.isprintable() and letter not in '/\\:*?"<>|').strip(" .")
    return kept[:100] or "picture"


def shown_url(url: str) -> str:
    """A URL as an error shows it: without a user and password, and not beyond all measure."""
    head, separator, rest = url.partition("://")
    place = rest.partition("/")[0]
    if "@" in place:
        url = f"{head}{separator}{rest[place.rindex('@') + 1 :]}"
    return url if len(url) <= _SHOWN else f"{url[:_SHOWN]}..."

"""Slow-client protection for waitress.

waitress closes silent connections, but one byte now and then keeps a connection open. Here a request has to arrive at a
minimum rate, one address may only open a part of the connections, and a large body is refused by the request's headers
if the client is not authenticated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser

from faceall.web.security.headers import HEADERS

GRACE_SECONDS = 20.0
"""Seconds that any request may take to arrive."""

MIN_RATE = 10_000
"""Bytes per second at which a larger request has to arrive."""

MAX_PER_ADDRESS = 200
"""Open connections per address."""

SMALL_BODY = 64 << 10
"""Bytes of a request body that are accepted without authentication; the app then answers."""

MaySend = Callable[[Mapping[str, str]], bool]
"""Decides by the headers (CGI names: AUTHORIZATION, COOKIE) whether a request may send a large body."""

_CODES = {400: "bad_request", 401: "unauthorized", 413: "too_large", 431: "too_large", 501: "bad_request"}
_TEXTS = {413: "the request is too large", 431: "the request headers are too large"}


class TimedChannel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection whose requests have to arrive at a minimum rate."""

    grace_seconds = GRACE_SECONDS
    max_per_address = MAX_PER_ADDRESS

    def __init__(self, server: Any, sock: Any, addr: Any, *args: Any, **given: Any) -> None:
        super().__init__(server, sock, addr, *args, **given)
        self.parser_class = partial(Parser, may_send=server.may_send)
        self._began: float | None = None
        self._arrived = 0
        others = list(server.active_channels.values())
        if sum(channel.addr[0] == addr[0] for channel in others) > self.max_per_address:
            self.will_close = True

    def received(self, data: bytes) -> bool:
        """Receive bytes; close the connection if the request arrives too slowly."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._arrived = now, 0
        self._arrived += len(data)
        taken = bool(super().received(data))
        if self.request is None:  # the request is complete
            self._began = None
        elif now - self._began > self.grace_seconds + self._arrived / MIN_RATE:
            self.will_close = True
        return taken


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request parser that reports errors in the app's JSON format."""

    def __init__(self, adj: Any, *, may_send: MaySend) -> None:
        super().__init__(adj)
        self.error: Any = None
        self._may_send = may_send
        self._checked = False

    def received(self, data: bytes) -> int:
        """Receive bytes of the request; returns how many were used."""
        count = int(super().received(data))
        if self.headers_finished and not self._checked:
            self._checked = True
            if self.error is None:
                self._check()
        error = self.error
        if error is not None and not isinstance(error, Failure):
            self.error = Failure(error.code, error.reason, _TEXTS.get(error.code, error.body))
        return count

    def _check(self) -> None:
        """Refuse a request by its headers, before its body arrives."""
        if self.chunked and "CONTENT_LENGTH" in self.headers:  # request smuggling
            self._refuse(400, "Bad Request", "a chunked request must not have a Content-Length")
        elif (self.chunked or self.content_length > SMALL_BODY) and not self._may_send(self.headers):
            self._refuse(401, "Unauthorized", "an API key is required: send it as 'Authorization: Bearer KEY'")

    def _refuse(self, status: int, reason: str, text: str) -> None:
        self.error = Failure(status, reason, text)
        self.completed = True


class Failure:
    """An error response of waitress, sent before the app is called."""

    def __init__(self, code: int, reason: str, body: str) -> None:
        self.code, self.reason, self.body = code, reason, body

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return the status line, headers and body."""
        error = {"code": _CODES.get(self.code, "bad_request"), "message": self.body}
        headers = [("Content-Type", "application/json"), *HEADERS.items()]
        if self.code == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        return f"{self.code} {self.reason}", headers, json.dumps({"error": error}).encode()

"""Connections that cannot be held or filled without use.

waitress ends connections that are silent, but one byte now and then keeps a connection for ever, and only so many may
be open. So a request has to arrive at a rate, and one address may only hold a part of the connections. A large body is
taken only from somebody who may send it: before its first byte is kept, not after its last.
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

PATIENCE = 20.0
"""Seconds that a request may take to arrive, however small it is."""

LEAST_RATE = 10_000
"""Bytes per second at which the rest has to arrive."""

MOST_PER_ADDRESS = 200
"""Connections of one address at the same time."""

SMALL_BODY = 64 << 10
"""Bytes that are taken from anybody; the app answers then."""

MaySend = Callable[[Mapping[str, str]], bool]
"""Whether a request with these headers may send a large body; their names are as in CGI: AUTHORIZATION, COOKIE."""

_CODES = {400: "bad_request", 401: "unauthorized", 413: "too_large", 431: "too_large", 501: "bad_request"}
_BODY_CAP = "the request is larger than the server takes"
_TEXTS = {413: _BODY_CAP, 431: "the headers are larger than the server takes"}


class PromptChannel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection whose requests have to arrive in good time."""

    patience = PATIENCE
    most_per_address = MOST_PER_ADDRESS

    def __init__(self, server: Any, sock: Any, addr: Any, *args: Any, **given: Any) -> None:
        super().__init__(server, sock, addr, *args, **given)
        self.parser_class = partial(Parser, may_send=server.may_send)
        self._began: float | None = None
        self._arrived = 0
        others = list(server.active_channels.values())
        if sum(channel.addr[0] == addr[0] for channel in others) > self.most_per_address:
            self.will_close = True

    def received(self, data: bytes) -> bool:
        """Take bytes; close where the request that they belong to is late."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._arrived = now, 0
        self._arrived += len(data)
        taken = bool(super().received(data))
        if self.request is None:  # it is complete
            self._began = None
        elif now - self._began > self.patience + self._arrived / LEAST_RATE:
            self.will_close = True
        return taken


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request; what is wrong with it is told in the app's one shape of errors."""

    def __init__(self, adj: Any, *, may_send: MaySend) -> None:
        super().__init__(adj)
        self.error: Any = None
        self._may_send = may_send
        self._judged = False

    def received(self, data: bytes) -> int:
        """Take bytes of the request; returns how many."""
        count = int(super().received(data))
        if self.headers_finished and not self._judged:
            self._judged = True
            if self.error is None:
                self._judge()
        error = self.error
        if error is not None and not isinstance(error, Failure):
            self.error = Failure(error.code, error.reason, _TEXTS.get(error.code, error.body))
        return count

    def _judge(self) -> None:
        """Refuse a request by its headers, before its body comes."""
        if self.chunked and "CONTENT_LENGTH" in self.headers:  # two readers could see two requests
            self._refuse(400, "Bad Request", "a chunked request has no Content-Length")
        elif (self.chunked or self.content_length > SMALL_BODY) and not self._may_send(self.headers):
            self._refuse(401, "Unauthorized", "a key is needed: send it as 'Authorization: Bearer KEY'")

    def _refuse(self, status: int, reason: str, text: str) -> None:
        self.error = Failure(status, reason, text)
        self.completed = True


class Failure:
    """An answer of waitress itself, given before the app is asked."""

    def __init__(self, code: int, reason: str, body: str) -> None:
        self.code, self.reason, self.body = code, reason, body

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status line, headers and body."""
        error = {"code": _CODES.get(self.code, "bad_request"), "message": self.body}
        headers = [("Content-Type", "application/json"), *HEADERS.items()]
        if self.code == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        return f"{self.code} {self.reason}", headers, json.dumps({"error": error}).encode()

"""Connections that cannot be held without use: who sends a request too slowly, or opens too many, is cut off.

waitress ends connections that are silent, but one byte now and then keeps a connection for ever, and only so many may
be open. So a request has to arrive at a rate, and one address may only hold a part of the connections.
"""

from __future__ import annotations

import time
from typing import Any

from waitress.channel import HTTPChannel

PATIENCE = 20.0
"""Seconds that a request may take to arrive, however small it is."""

LEAST_RATE = 10_000
"""Bytes per second at which the rest has to arrive."""

MOST_PER_ADDRESS = 200
"""Connections of one address at the same time."""


class PromptChannel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection whose requests have to arrive in good time."""

    patience = PATIENCE
    most_per_address = MOST_PER_ADDRESS

    def __init__(self, server: Any, sock: Any, addr: Any, *args: Any, **given: Any) -> None:
        super().__init__(server, sock, addr, *args, **given)
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

"""Limits on the requests of a client."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from faceall.web.refusal import RefusedError


class RateLimit:
    """A token bucket per client.

    Parameters
    ----------
    rate : float
        Tokens per second.
    burst : int
        Initial and maximum number of tokens of a client.
    max_clients : int
        Clients that are remembered; the least recent is dropped first.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(
        self, rate: float, burst: int, *, max_clients: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._max_clients, self._clock = rate, burst, max_clients, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, *, tokens: float = 1.0) -> int:
        """Take tokens for a client; returns 0, or the whole seconds until there are enough, when none is taken."""
        now = self._clock()
        with self._lock:
            left = self._left(client, now)
            enough = left >= tokens
            self._buckets[client] = (left - tokens if enough else left, now)
            self._buckets.move_to_end(client)
            while len(self._buckets) > self._max_clients:
                self._buckets.popitem(last=False)
        return 0 if enough else max(1, math.ceil((tokens - left) / self._rate))

    def wait_of(self, client: str) -> int:
        """Return the whole seconds until a client has a token, 0 if it has one; takes none."""
        with self._lock:
            left = self._left(client, self._clock())
        return 0 if left >= 1 else max(1, math.ceil((1 - left) / self._rate))

    def check(self, client: str) -> None:
        """Take a token.

        Raises
        ------
        RefusedError
            429 if there is none.
        """
        wait = self.take(client)
        if wait:
            raise too_many(wait)

    def _left(self, client: str, now: float) -> float:
        left, when = self._buckets.get(client, (float(self._burst), now))
        return min(self._burst, left + (now - when) * self._rate)


def client_of(address: str | None) -> str:
    """Return the identity of a client for rate limits: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def too_many(seconds: int) -> RefusedError:
    """Make an error with status 429."""
    return RefusedError(
        f"too many requests; try again in {seconds} s", status=429, code="too_many_requests", retry_after=seconds
    )

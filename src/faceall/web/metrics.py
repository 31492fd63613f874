"""`Metrics`: what Prometheus asks for at /metrics, and the line that the log gets of every request.

Labels are routes as they are written in the program (`/api/v1/people/<int:person>`), never what a request puts in
their place, so their number is bounded and neither metrics nor log tell who is in the gallery.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

UNKNOWN_ROUTE = "unknown"
"""What a request is called that no route takes."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16)


class Metrics:
    """Counts of one server; each server has its own, so that several can be in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._requests = Counter(
            "faceall_requests", "Requests answered", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "faceall_request_seconds", "How long answers took", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self._rejected = Counter(
            "faceall_rejected", "Requests refused before their work began", ("reason",), registry=self._registry
        )
        self._batches = Histogram(
            "faceall_batch_size",
            "Pictures (detect) or faces (embed) that went through a net together",
            ("net",),
            buckets=_SIZES,
            registry=self._registry,
        )
        self._faces = Counter("faceall_faces", "Faces turned into vectors", registry=self._registry)
        self._registered = Counter(
            "faceall_registrations", "Pictures that were to be registered", ("result",), registry=self._registry
        )

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; `route` is its template, None where none takes it."""
        name = route or UNKNOWN_ROUTE
        self._requests.labels(method if method in _METHODS else "other", name, str(status)).inc()
        self._seconds.labels(name).observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a refusal; `reason` is the code of its error."""
        self._rejected.labels(reason).inc()

    def ran(self, net: str, size: int) -> None:
        """Count a go of a net: "detect" with so many pictures, or "embed" with so many faces."""
        self._batches.labels(net).observe(size)
        if net == "embed":
            self._faces.inc(size)

    def registered(self, result: str) -> None:
        """Count a picture that was to be registered; `result` is one of the few words for what became of it."""
        self._registered.labels(result).inc()

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read when somebody asks, as `faceall_NAME`."""
        Gauge(f"faceall_{name}", text, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return bytes(generate_latest(self._registry))


def access_line(
    *,
    client: str,
    method: str,
    route: str | None,
    status: int,
    sent: int | None,
    seconds: float,
    key: str | None = None,
) -> str:
    """The line of one request in the log: when, who, what, with what result.

    client  the address
    route   the template; what stood in its place, and after a "?", may name people and stays out
    sent    bytes of the answer, None where they are not known
    key     the id of the API key, never the key
    """
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    verb = method if method in _METHODS else "other"
    size = "-" if sent is None else str(sent)
    return f"{when} {client} {verb} {route or UNKNOWN_ROUTE} {status} {size} {seconds * 1000:.0f}ms key={key or '-'}"

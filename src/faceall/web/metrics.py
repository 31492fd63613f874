"""`Metrics` for Prometheus at /metrics, and the line of each request in the access log.

Routes are given as templates (`/api/v1/people/<int:person>`), so the number of labels is bounded and neither metrics
nor log contain names of people.
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
"""Label of requests without a route."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16)


class Metrics:
    """The metrics of one server; several servers can run in one process."""

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
            "faceall_rejected", "Requests refused before they were processed", ("reason",), registry=self._registry
        )
        self._batches = Histogram(
            "faceall_batch_size",
            "Images (detect) or faces (embed) per batch of a network",
            ("network",),
            buckets=_SIZES,
            registry=self._registry,
        )
        self._faces = Counter("faceall_faces", "Faces embedded", registry=self._registry)
        self._registered = Counter(
            "faceall_registrations", "Photos processed by registrations", ("result",), registry=self._registry
        )

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; `route` is its template, None if there is none."""
        name = route or UNKNOWN_ROUTE
        self._requests.labels(method if method in _METHODS else "other", name, str(status)).inc()
        self._seconds.labels(name).observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a refused request; `reason` is the code of its error."""
        self._rejected.labels(reason).inc()

    def ran(self, network: str, size: int) -> None:
        """Count a batch of a network: "detect" with `size` images, or "embed" with `size` faces."""
        self._batches.labels(network).observe(size)
        if network == "embed":
            self._faces.inc(size)

    def registered(self, result: str) -> None:
        """Count a registered photo; `result` is its status."""
        self._registered.labels(result).inc()

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add the gauge `faceall_NAME`, whose value is read at each request of /metrics."""
        Gauge(f"faceall_{name}", text, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
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
    """Format the line of a request in the access log.

    Parameters
    ----------
    client : str
        The client's address.
    method : str
        HTTP method.
    route : str, optional
        Template of the route; the path and the query may contain names of people and are left out.
    status : int
        HTTP status.
    sent : int, optional
        Bytes of the response body.
    seconds : float
        Processing time.
    key : str, optional
        Id of the API key.
    """
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    verb = method if method in _METHODS else "other"
    size = "-" if sent is None else str(sent)
    return f"{when} {client} {verb} {route or UNKNOWN_ROUTE} {status} {size} {seconds * 1000:.0f}ms key={key or '-'}"

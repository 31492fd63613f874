"""Routes for health and status."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from flask import Blueprint

from faceall.caffe.engines import DEFAULT_ENGINE
from faceall.errors import FaceallError
from faceall.gallery import Gallery
from faceall.gallery.addresses import is_address
from faceall.index.graph.graph import GraphOptions
from faceall.version import __version__
from faceall.web import serializers
from faceall.web.serializers import Json
from faceall.web.services import Services, services

_CACHE_SECONDS = 60.0  # of the problems: finding them reads the whole database


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes /health and /status."""
    blueprint.get("/health")(health)
    blueprint.get("/status")(status)


def health() -> Json:
    """Return that the server is running."""
    return {"status": "ok"}


def status() -> Json:
    """Return the counts of the gallery, its model and detector, and the state of its index."""
    return read_status(services())


def read_status(shared: Services) -> dict[str, Any]:
    """Return the status as JSON, for the API and the status page."""
    gallery = shared.gallery
    counted = gallery.status()
    return {
        "faces": counted.faces,
        "people": gallery.people.page(named=True, limit=0).total,
        "photos": counted.photos,
        "unnamed_clusters": gallery.people.page(named=False, limit=0).total,
        "unnamed_faces": counted.unnamed,
        "missing_files": counted.vanished,
        "model": None if counted.model is None else {"name": counted.model, "size": counted.dimension},
        "detector": gallery.detector,
        "engine": os.environ.get("FACEALL_ENGINE") or DEFAULT_ENGINE,
        "index": _index(gallery, counted.size),
        "threshold": serializers.threshold(_threshold(gallery)),
        "uptime_seconds": round(time.monotonic() - shared.started, 1),
        "queue": {"photos": shared.jobs.waiting, "jobs": shared.jobs.running},
        "version": __version__,
    }


def _threshold(gallery: Gallery) -> Any:
    """Return the threshold of matches; None if no model with one is installed."""
    try:
        return gallery.match_threshold
    except FaceallError:
        return None


def _index(gallery: Gallery, size: int) -> Json:
    found = gallery.index.statistics().index
    return {
        "problems": _problems.of(gallery),
        "recall_wanted": GraphOptions().recall,
        "recall_reached": found.recall,
        "exact": found.graph == 0 and not is_address(gallery.place),  # Milvus has an index of its own
        "vectors": found.vectors,
        "dimension": found.dimension,
        "bytes": size,
    }


class _Problems:
    """The problems of a gallery, cached."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[str, float, list[str]] | None = None

    def of(self, gallery: Gallery) -> list[str]:
        """Return the problems, one line each, at most a minute old."""
        name, now = gallery.place, time.monotonic()
        with self._lock:
            if self._known is None or self._known[0] != name or now - self._known[1] > _CACHE_SECONDS:
                self._known = (name, now, [line.replace(name, "the gallery") for line in gallery.index.problems()])
            return self._known[2]


_problems = _Problems()

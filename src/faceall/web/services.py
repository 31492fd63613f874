"""`Services`: the objects that all requests of one app share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

from faceall.gallery import Gallery
from faceall.web.fetch.fetcher import Fetcher
from faceall.web.options import ServerOptions
from faceall.web.registrar import Registrar
from faceall.web.security.decoding import DecodeBudget
from faceall.web.security.guard import Guard
from faceall.web.serializers import Serializer
from faceall.web.work.batching import Worker
from faceall.web.work.jobs import Jobs
from faceall.web.work.uploads import Uploads

if TYPE_CHECKING:
    from flask import Flask

EXTENSION = "faceall"


@dataclass
class Services:
    """The objects that all requests of one app share.

    Attributes
    ----------
    worker : Worker or None
        Runs the networks for all requests; None if the gallery runs them itself.
    started : float
        Start time on the monotonic clock, in seconds.
    """

    gallery: Gallery
    options: ServerOptions
    uploads: Uploads
    serializer: Serializer
    jobs: Jobs
    registrar: Registrar
    fetcher: Fetcher
    decoding: DecodeBudget
    guard: Guard
    worker: Worker | None
    started: float


def services() -> Services:
    """Return the services of the current app."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """Return the services of an app."""
    return cast(Services, app.extensions[EXTENSION])

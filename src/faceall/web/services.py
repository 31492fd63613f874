"""`Services`: what every request of one server shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

from faceall.gallery import Gallery
from faceall.web.api.serializers import Shapes
from faceall.web.fetch.fetcher import Fetcher
from faceall.web.options import ServerOptions
from faceall.web.security.guard import Guard
from faceall.web.security.limits import PictureGate
from faceall.web.work.batching import Worker
from faceall.web.work.jobs import Jobs
from faceall.web.work.registrar import Registrar
from faceall.web.work.uploads import Uploads

if TYPE_CHECKING:
    from flask import Flask

EXTENSION = "faceall"


@dataclass
class Services:
    """The parts of one server.

    worker   runs the nets for all requests; None where the gallery runs them itself
    started  a time of the monotonic clock, in seconds
    """

    gallery: Gallery
    options: ServerOptions
    uploads: Uploads
    shapes: Shapes
    jobs: Jobs
    registrar: Registrar
    fetcher: Fetcher
    pictures: PictureGate
    guard: Guard
    worker: Worker | None
    started: float


def services() -> Services:
    """Those of the app that answers the request at hand."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """Those of an app."""
    return cast(Services, app.extensions[EXTENSION])

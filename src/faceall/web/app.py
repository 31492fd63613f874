"""`create_app`: the web app on a gallery."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from flask import Flask

from faceall.gallery import Gallery
from faceall.web import api, errors
from faceall.web.api import faceall_routes
from faceall.web.api.forms import FormRequest
from faceall.web.api.serializers import Shapes
from faceall.web.fetch.fetcher import Fetcher, FetchLimits
from faceall.web.metrics import Metrics
from faceall.web.openapi import document as openapi
from faceall.web.options import ServerOptions
from faceall.web.pages import routes as pages
from faceall.web.security import login
from faceall.web.security.guard import Guard
from faceall.web.security.keys import KEYS_FILE, Keys
from faceall.web.security.limits import PictureGate
from faceall.web.services import EXTENSION, Services
from faceall.web.work.batching import Worker
from faceall.web.work.jobs import Item, Jobs, Result
from faceall.web.work.registrar import Registrar
from faceall.web.work.uploads import Uploads

ON_PICTURES = frozenset(
    (
        "api.cluster",
        "api.compare",
        "api.register",
        "api.search",
        "faceall.face_register",
        "faceall.face_register_batch",
        "faceall.face_retrieve",
        "pages.register_answer",
        "pages.retrieve_answer",
    )
)
"""The routes that work on pictures, of which only so many are taken at a time."""


def create_app(
    gallery: Gallery,
    options: ServerOptions | None = None,
    *,
    fetcher: Fetcher | None = None,
    worker: Worker | None = None,
    metrics: Metrics | None = None,
) -> Flask:
    """The web app: pages, API and FaceAll's routes. End it with `close_app`.

    gallery  open for writing; the caller closes it afterwards
    fetcher  what downloads pictures; by default only from public addresses
    worker   what the gallery looks at pictures with, where it is shared by many threads
    metrics  what counts
    """
    chosen = options or ServerOptions()
    app = Flask(__name__, static_folder=None)
    app.request_class = FormRequest
    app.config["MAX_CONTENT_LENGTH"] = chosen.most_request_bytes
    app.config["MAX_FORM_PARTS"] = chosen.most_files + chosen.most_urls + 20
    app.json.ensure_ascii = True  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    services = _services(gallery, chosen, fetcher, worker, metrics or Metrics())
    app.extensions[EXTENSION] = services
    errors.install(app, gallery.place)
    services.guard.install(app)
    blueprint = api.make_blueprint()
    blueprint.get("/openapi.json")(openapi.document)
    app.register_blueprint(blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(login.blueprint)
    app.register_blueprint(faceall_routes.make_blueprint())
    return app


def close_app(app: Flask, timeout: float | None = None) -> bool:
    """Finish the registrations that were accepted; returns whether that was done in time."""
    services: Services = app.extensions[EXTENSION]
    done = services.jobs.stop(timeout)
    if done:
        services.registrar.close()
        services.uploads.close()
    return done


def _services(
    gallery: Gallery, options: ServerOptions, fetcher: Fetcher | None, worker: Worker | None, metrics: Metrics
) -> Services:
    uploads = Uploads(gallery)
    if uploads.claim():
        uploads.sweep()
    shapes = Shapes(uploads)
    pictures = PictureGate(most_bytes=options.most_file_bytes, most_pixels=options.most_pixels)
    limits = FetchLimits(most_bytes=options.most_file_bytes, most_pixels=options.most_pixels)
    chosen = fetcher or Fetcher(limits)
    registrar = Registrar(gallery, uploads, shapes, chosen, pictures)

    def register(items: Sequence[Item]) -> Iterator[Result]:
        for result in registrar.register(items):
            metrics.registered(result["status"])
            yield result

    jobs = Jobs(
        register,
        threads=options.register_threads,
        most_waiting=options.most_waiting,
        most_streams=max(1, options.threads // 4),
    )
    guard = _guard(gallery, options, worker, metrics)
    _watch(metrics, jobs, worker)
    return Services(
        gallery,
        options,
        uploads,
        shapes,
        jobs,
        registrar,
        chosen,
        pictures,
        guard,
        worker,
        time.monotonic(),
    )


def _guard(gallery: Gallery, options: ServerOptions, worker: Worker | None, metrics: Metrics) -> Guard:
    return Guard(
        host=options.host,
        keys=Keys(gallery.folder / KEYS_FILE),
        allowed_hosts=options.allowed_hosts,
        metrics=metrics,
        admit=worker.admit if worker else None,
        heavy=ON_PICTURES,
    )


def _watch(metrics: Metrics, jobs: Jobs, worker: Worker | None) -> None:
    """Show how much work waits."""
    metrics.watch("registrations_waiting", "Pictures that are accepted but not registered", lambda: jobs.waiting)
    if worker is not None:
        metrics.watch("requests_inside", "Requests that work on pictures", lambda: worker.load.inside)
        metrics.watch("queue_pictures", "Pictures that wait for the detector", lambda: worker.load.pictures)
        metrics.watch("queue_faces", "Faces that wait for the embedder", lambda: worker.load.crops)

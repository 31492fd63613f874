"""`create_app` makes the Flask app of a gallery, `close_app` ends its background work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from flask import Flask

from faceall.arguments import checked
from faceall.gallery import Gallery
from faceall.web import api, errors
from faceall.web.api import faceall_routes
from faceall.web.api.forms import FormRequest
from faceall.web.fetch.fetcher import Fetcher, FetchLimits
from faceall.web.metrics import Metrics
from faceall.web.openapi import document as openapi
from faceall.web.options import ServerOptions
from faceall.web.pages import login, routes
from faceall.web.registrar import Registrar
from faceall.web.security.decoding import DecodeBudget
from faceall.web.security.guard import Admission, Guard
from faceall.web.security.keys import KEYS_FILE, Keys
from faceall.web.security.proxy import install_proxy
from faceall.web.serializers import Serializer
from faceall.web.services import EXTENSION, Services
from faceall.web.work.batching import Worker
from faceall.web.work.jobs import Item, Jobs, Result
from faceall.web.work.memory import return_large_blocks
from faceall.web.work.uploads import Uploads

IMAGE_ENDPOINTS = frozenset(
    (
        "api.add_face",
        "api.cluster",
        "api.compare",
        "api.find_faces",
        "api.register",
        "api.search",
        "faceall.face_register",
        "faceall.face_register_batch",
        "faceall.face_retrieve",
        "pages.register_answer",
        "pages.search_answer",
    )
)
"""The endpoints that process images; their number of concurrent requests is limited."""


def create_app(
    gallery: Gallery,
    options: ServerOptions | None = None,
    *,
    fetcher: Fetcher | None = None,
    worker: Worker | None = None,
    metrics: Metrics | None = None,
) -> Flask:
    """Make the web app: pages, API and the legacy routes of FaceAll. End it with `close_app`.

    Parameters
    ----------
    gallery : Gallery
        An open gallery; the caller closes it after `close_app`.
    options : ServerOptions, optional
        Limits of the server.
    fetcher : Fetcher, optional
        Downloads images; by default from public addresses only.
    worker : Worker, optional
        Runs the networks of the gallery for many threads; see `open_shared`.
    metrics : Metrics, optional
        Counts requests and batches.

    Returns
    -------
    Flask
        A WSGI application.

    Raises
    ------
    ApiKeyError
        If the gallery's API keys cannot be read.
    FaceallError
        If the folder of uploads cannot be written.
    """
    return_large_blocks()
    chosen = options or ServerOptions()
    app = Flask(__name__, static_folder=None)
    app.request_class = FormRequest
    app.config["MAX_CONTENT_LENGTH"] = chosen.max_request_bytes
    app.config["MAX_FORM_PARTS"] = chosen.max_files + chosen.max_urls + 20
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
    app.register_blueprint(routes.make_blueprint())
    app.register_blueprint(login.blueprint)
    app.register_blueprint(faceall_routes.make_blueprint())
    install_proxy(app, chosen)
    return app


@checked
def close_app(app: Flask, timeout: float | None = None) -> bool:
    """Finish accepted registrations and release the uploads.

    Parameters
    ----------
    app : Flask
        Made by `create_app`.
    timeout : float, optional
        Seconds to wait; None waits until all is done.

    Returns
    -------
    bool
        Whether all registrations were finished in time.
    """
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
    if uploads.lock():
        uploads.remove_orphans()
    serializer = Serializer(uploads)
    decoding = DecodeBudget(max_bytes=options.max_file_bytes, max_pixels=options.max_pixels)
    limits = FetchLimits(max_bytes=options.max_file_bytes, max_pixels=options.max_pixels)
    chosen = fetcher or Fetcher(limits)
    registrar = Registrar(gallery, uploads, serializer, chosen, decoding)

    def register(items: Sequence[Item]) -> Iterator[Result]:
        for result in registrar.register(items):
            metrics.registered(result["status"])
            yield result

    jobs = Jobs(
        register,
        threads=options.register_threads,
        max_waiting=options.max_waiting,
        max_streams=max(1, options.threads // 4),
    )
    guard = _guard(gallery, options, worker, metrics)
    _watch(metrics, jobs, worker)
    return Services(
        gallery,
        options,
        uploads,
        serializer,
        jobs,
        registrar,
        chosen,
        decoding,
        guard,
        worker,
        time.monotonic(),
    )


def _guard(gallery: Gallery, options: ServerOptions, worker: Worker | None, metrics: Metrics) -> Guard:
    return Guard(
        host=options.host,
        keys=Keys(gallery.folder / KEYS_FILE),
        allowed_hosts=options.allowed_hosts,
        allowed_origins=options.allowed_origins,
        metrics=metrics,
        admission=Admission(worker.admit, IMAGE_ENDPOINTS) if worker else None,
    )


def _watch(metrics: Metrics, jobs: Jobs, worker: Worker | None) -> None:
    """Add gauges of the waiting work."""
    metrics.watch("registrations_waiting", "Photos that are accepted but not registered", lambda: jobs.waiting)
    if worker is not None:
        metrics.watch("requests_processing", "Requests that process images", lambda: worker.load.requests)
        metrics.watch("queue_images", "Images that wait for the detector", lambda: worker.load.images)
        metrics.watch("queue_faces", "Faces that wait for the embedder", lambda: worker.load.crops)

"""`create_app`: the web app on a gallery."""

from __future__ import annotations

import time

from flask import Flask

from faceall.gallery import Gallery
from faceall.web import api, errors, faceall_routes, openapi, pages
from faceall.web.fetching import Fetcher, FetchLimits
from faceall.web.jobs import Jobs
from faceall.web.limits import PictureGate
from faceall.web.options import ServerOptions
from faceall.web.registering import Registrar
from faceall.web.services import EXTENSION, Services
from faceall.web.shapes import Shapes
from faceall.web.uploads import Uploads


def create_app(gallery: Gallery, options: ServerOptions | None = None, *, fetcher: Fetcher | None = None) -> Flask:
    """The web app: pages, API and FaceAll's routes. End it with `close_app`.

    gallery  open for writing; the caller closes it afterwards
    fetcher  what downloads pictures; by default only from public addresses
    """
    chosen = options or ServerOptions()
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = chosen.most_request_bytes
    app.config["MAX_FORM_PARTS"] = chosen.most_files + chosen.most_urls + 20
    app.json.ensure_ascii = True  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    app.extensions[EXTENSION] = _services(gallery, chosen, fetcher)
    errors.install(app, str(gallery.folder))
    blueprint = api.make_blueprint()
    blueprint.get("/openapi.json")(openapi.document)
    app.register_blueprint(blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(faceall_routes.make_blueprint())
    return app


def close_app(app: Flask, timeout: float | None = None) -> bool:
    """Finish the registrations that were accepted; returns whether that was done in time."""
    services: Services = app.extensions[EXTENSION]
    done = services.jobs.stop(timeout)
    if done:
        services.registrar.close()
    return done


def _services(gallery: Gallery, options: ServerOptions, fetcher: Fetcher | None) -> Services:
    uploads = Uploads(gallery)
    uploads.sweep()
    shapes = Shapes(uploads)
    pictures = PictureGate(most_bytes=options.most_file_bytes, most_pixels=options.most_pixels)
    limits = FetchLimits(most_bytes=options.most_file_bytes, most_pixels=options.most_pixels)
    chosen = fetcher or Fetcher(limits)
    registrar = Registrar(gallery, uploads, shapes, chosen, pictures)
    jobs = Jobs(
        registrar.register,
        threads=options.register_threads,
        most_waiting=options.most_waiting,
        most_streams=max(1, options.threads // 2),
    )
    return Services(gallery, options, uploads, shapes, jobs, registrar, chosen, pictures, time.monotonic())

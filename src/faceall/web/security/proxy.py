"""Headers of a reverse proxy, and a path below which the app is reachable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from faceall.web.options import ServerOptions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RootPath:
    """WSGI middleware that serves an app below a path; a proxy may remove the path or leave it.

    Parameters
    ----------
    app : callable
        The WSGI application.
    root_path : str
        For example "/faces".
    """

    def __init__(self, app: WSGIApplication, root_path: str) -> None:
        self._app, self._root = app, root_path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        path = environ.get("PATH_INFO", "")
        if path == self._root or path.startswith(f"{self._root}/"):
            environ["PATH_INFO"] = path[len(self._root) :] or "/"
        environ["SCRIPT_NAME"] = self._root
        return self._app(environ, start_response)


def install_proxy(app: Flask, options: ServerOptions) -> None:
    """Wrap an app as `ServerOptions.behind_proxy` and `root_path` say."""
    wrapped: Any = app.wsgi_app
    if options.root_path:
        wrapped = RootPath(wrapped, options.root_path)
    if options.behind_proxy:
        wrapped = ProxyFix(wrapped, x_for=1, x_proto=1, x_host=1, x_prefix=1)
    app.wsgi_app = wrapped  # type: ignore[method-assign]  # as Flask documents it

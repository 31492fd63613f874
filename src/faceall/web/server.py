"""`serve` runs the app under waitress until SIGTERM or Ctrl-C, then finishes accepted work."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask
from waitress.server import create_server

from faceall.analysis.analyser import FaceEmbedder
from faceall.arguments import checked
from faceall.errors import FaceallError
from faceall.signals import stoppable
from faceall.web.app import close_app, create_app
from faceall.web.metrics import Metrics
from faceall.web.options import ServerOptions
from faceall.web.security.guard import ACCESS_LOG, check_reach
from faceall.web.security.keys import KEYS_FILE, Keys
from faceall.web.security.slow_clients import TimedChannel
from faceall.web.services import services_of
from faceall.web.work.sharing import open_shared

_log = logging.getLogger(__name__)
_MAX_HEADER_BYTES = 32 << 10
_CONNECTIONS = 500
_SILENT_SECONDS = 60
_CLEANUP_SECONDS = 10  # between two searches for silent connections
_QUIET = 0.3  # seconds without a request, after which a shutdown ends
_STEP = 0.02


class Server:
    """A listening server; `run` serves requests until `stop` is called from any thread.

    Parameters
    ----------
    app : Flask
        Made by `create_app`.
    options : ServerOptions
        Address and limits.

    Attributes
    ----------
    address : str
        The URL of the server.

    Raises
    ------
    FaceallError
        If the address cannot be listened on.
    """

    def __init__(self, app: Flask, options: ServerOptions) -> None:
        self._app, self._options = app, options
        self._stopping = threading.Event()
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns if there are more requests than threads
        self._server = _listen(app, options)
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.address = f"http://{host}:{self._server.effective_port}/"

    def run(self) -> bool:
        """Serve requests until `stop`; returns whether all accepted work was finished in time."""
        loop = threading.Thread(target=self._server.run, name="faceall-server", daemon=True)
        loop.start()
        while not self._stopping.wait(1.0):  # with a timeout, so that signals are handled on every system
            pass
        return self._finish(time.monotonic() + self._options.stop_seconds)

    def stop(self) -> None:
        """Make `run` finish accepted work and return."""
        self._stopping.set()

    def _finish(self, deadline: float) -> bool:
        """Stop listening, finish requests and registrations, and release everything."""
        self._server.accepting = False
        self._server.del_channel()  # first, because the loop would end at a closed socket
        self._server.socket.close()  # open connections continue
        done = close_app(self._app, max(0.0, deadline - time.monotonic()))
        quiet_since = time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - quiet_since < _QUIET:
            if self._is_answering():
                quiet_since = time.monotonic()
            self._close_idle()
            time.sleep(_STEP)
        done = done and not self._is_answering()
        self._server.task_dispatcher.shutdown(timeout=1)
        self._server.close()
        return done

    def _close_idle(self) -> None:
        """Close idle connections, so that clients that send requests all the time do not keep the server running."""
        for channel in list(self._server.active_channels.values()):
            if not channel.requests and not channel.total_outbufs_len:
                channel.will_close = True
        self._server.pull_trigger()  # wakes the loop, which closes them

    def _is_answering(self) -> bool:
        """Return whether a request is being processed or a response being sent."""
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def _listen(app: Flask, options: ServerOptions):  # type: ignore[no-untyped-def]
    """Make a waitress server with the limits of the options."""
    try:
        # one address: for a name with several addresses waitress would make several servers
        address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][4][0]
        server = create_server(
            app,
            host=address,
            port=options.port,
            threads=options.threads,
            max_request_body_size=options.max_request_bytes + (1 << 20),
            max_request_header_size=_MAX_HEADER_BYTES,
            connection_limit=_CONNECTIONS,
            channel_timeout=_SILENT_SECONDS,
            cleanup_interval=_CLEANUP_SECONDS,
            asyncore_use_poll=True,  # select supports file descriptors up to 1024 only
            ident="faceall",
            clear_untrusted_proxy_headers=not options.behind_proxy,
        )
        server.channel_class = TimedChannel
        server.may_send = services_of(app).guard.may_send
        return server
    except (OSError, ValueError) as error:
        raise FaceallError(_explain(error, options)) from error


def _explain(error: OSError | ValueError, options: ServerOptions) -> str:
    place = f"{options.host}:{options.port}"
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"{place} is in use by another program; choose another port with --port (0: any free port)"
    if number == errno.EACCES:
        return f"{place} needs more privileges; choose a port above 1023 with --port"
    reason = getattr(error, "strerror", None) or error
    return f"cannot listen on {place} ({reason}); choose an address of this machine with --host"


@checked
def serve(
    folder: str | os.PathLike[str] | None,
    options: ServerOptions,
    *,
    embedder: FaceEmbedder | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> bool:
    """Serve a gallery until SIGTERM or Ctrl-C.

    Parameters
    ----------
    folder : path, optional
        Of the gallery; None is the default gallery.
    options : ServerOptions
        Address and limits.
    embedder : FaceEmbedder, optional
        By default the one that made the gallery's embeddings.
    announce : callable
        Receives the address when the server is ready, a line per request, and a line at the end.

    Returns
    -------
    bool
        Whether all accepted work was finished in time.

    Raises
    ------
    FaceallError
        If the address cannot be listened on, other machines can reach it and the gallery has no API key, or no model is
        installed.
    """
    metrics = Metrics()
    shared = open_shared(folder, embedder=embedder, max_requests=options.max_concurrent, observe=metrics.ran)
    with shared as (gallery, worker), _access_log(announce):
        check_reach(options.host, Keys(gallery.folder / KEYS_FILE))
        app = create_app(gallery, options, worker=worker, metrics=metrics)
        server = Server(app, options)
        try:
            worker.warm_up()
        except BaseException:
            server.stop()
            server.run()
            raise
        with stoppable(call=server.stop):
            announce(f"serving {gallery.place} at {server.address} (press Ctrl-C to stop)")
            done = server.run()
        announce("stopped" if done else "stopped before all accepted work was finished")
        return done


@contextmanager
def _access_log(announce: Callable[[str], None]) -> Iterator[None]:
    """Send the lines of the access log to `announce`."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            announce(record.getMessage())

    log, handler = logging.getLogger(ACCESS_LOG), Lines(logging.INFO)
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)

"""`serve`: the app under waitress, until it is told to stop; then what was accepted is finished."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask
from waitress.server import create_server

from faceall.analysis.analyser import FaceEmbedder
from faceall.errors import FaceallError
from faceall.web.app import close_app, create_app
from faceall.web.metrics import Metrics
from faceall.web.options import ServerOptions
from faceall.web.security.guard import ACCESS_LOG, check_reach
from faceall.web.security.keys import KEYS_FILE, Keys
from faceall.web.security.slow_clients import PromptChannel
from faceall.web.services import services_of
from faceall.web.work.sharing import open_shared

_log = logging.getLogger(__name__)
_MOST_HEADER_BYTES = 32 << 10
_CONNECTIONS = 500
_SILENT_SECONDS = 60
_LOOK_SECONDS = 10  # between two looks for silent connections
_QUIET = 0.3  # seconds without a request after which nobody is waiting for an answer
_STEP = 0.02


class Server:
    """An app that listens; `run` answers until `stop` is called, from any thread.

    address  where it listens, as a URL

    Raises FaceallError where the address cannot be had.
    """

    def __init__(self, app: Flask, options: ServerOptions) -> None:
        self._app, self._options = app, options
        self._stopping = threading.Event()
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # more requests than threads are no news
        self._server = _listen(app, options)
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.address = f"http://{host}:{self._server.effective_port}/"

    def run(self) -> bool:
        """Answer requests until `stop`; returns whether all accepted work was finished in time."""
        loop = threading.Thread(target=self._server.run, name="faceall-server", daemon=True)
        loop.start()
        while not self._stopping.wait(1.0):  # with a timeout, so that signals are heard on every system
            pass
        return self._finish(time.monotonic() + self._options.stop_seconds)

    def stop(self) -> None:
        """Make `run` finish what was accepted and return."""
        self._stopping.set()

    def _finish(self, deadline: float) -> bool:
        """Listen no more, let requests and registrations end, and release everything."""
        self._server.accepting = False
        self._server.del_channel()  # first, for the loop would take a closed socket for the end of everything
        self._server.socket.close()  # it goes on with the connections that it has
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
        """End connections on which nothing goes on, so that nobody who asks again and again keeps the server."""
        for channel in list(self._server.active_channels.values()):
            if not channel.requests and not channel.total_outbufs_len:
                channel.will_close = True
        self._server.pull_trigger()  # wakes the loop, which closes them

    def _is_answering(self) -> bool:
        """Whether a request waits for its answer, or an answer for its way out."""
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def _listen(app: Flask, options: ServerOptions):  # type: ignore[no-untyped-def]
    """waitress with the bounds of the options."""
    try:
        # one address: waitress listens at each that a name has, but then as several servers
        address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][4][0]
        server = create_server(
            app,
            host=address,
            port=options.port,
            threads=options.threads,
            max_request_body_size=options.most_request_bytes + (1 << 20),
            max_request_header_size=_MOST_HEADER_BYTES,
            connection_limit=_CONNECTIONS,
            channel_timeout=_SILENT_SECONDS,
            cleanup_interval=_LOOK_SECONDS,
            asyncore_use_poll=True,  # select knows numbers of files up to 1024 only
            ident="faceall",
            clear_untrusted_proxy_headers=True,
        )
        server.channel_class = PromptChannel
        server.may_send = services_of(app).guard.may_send
        return server
    except (OSError, ValueError) as error:
        raise FaceallError(_trouble(error, options)) from error


def _trouble(error: OSError | ValueError, options: ServerOptions) -> str:
    place = f"{options.host}:{options.port}"
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"{place} is taken by another program; choose another port with --port (0: any that is free)"
    if number == errno.EACCES:
        return f"{place} may not be used without more rights; choose a port above 1023 with --port"
    reason = getattr(error, "strerror", None) or error
    return f"{place} cannot be listened on ({reason}); name an address of this machine"


def serve(
    folder: str | os.PathLike[str] | None,
    options: ServerOptions,
    *,
    embedder: FaceEmbedder | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> bool:
    """Serve the gallery in a folder until SIGTERM or Ctrl-C; returns whether all accepted work was finished.

    announce  is told the address when the server answers, a line about every request, and that it is stopping

    Raises FaceallError where the address cannot be had, it is beyond this machine and there is no key, or no model is
    installed.
    """
    metrics = Metrics()
    shared = open_shared(folder, embedder=embedder, places=options.most_inside, observe=metrics.ran)
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
        with _signals(server.stop):
            announce(f"faceall serves {gallery.place} at {server.address} (Ctrl-C stops)")
            done = server.run()
        announce("stopped" if done else "stopped; some work was not finished in time")
        return done


@contextmanager
def _access_log(announce: Callable[[str], None]) -> Iterator[None]:
    """Let lines about requests go to `announce`."""

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


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C call `stop`; a second one ends the process as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def once(number: int, frame: object) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        stop()

    for number in before:
        signal.signal(number, once)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

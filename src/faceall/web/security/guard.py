"""`Guard`: what stands before every route of the app, and after it.

In this order: is the request meant for this server, who sends it, does a browser send it for another page, does the
client ask too often, and is there a place for the work. Then the answer gets its headers, a line in the log, and is
counted. Errors are raised as `RefusedError`, which the app answers in its one shape.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from urllib.parse import quote

from flask import Flask, Response, g, redirect, request
from werkzeug.http import parse_cookie
from werkzeug.wrappers import Response as AnyResponse

from faceall.errors import FaceallError
from faceall.web.metrics import CONTENT_TYPE, Metrics, access_line
from faceall.web.refusal import RefusedError
from faceall.web.security.headers import Hosts, add_headers, check_origin, is_loopback
from faceall.web.security.keys import Key, Keys, Sessions
from faceall.web.security.limits import RateLimit, client_of, too_many

COOKIE = "faceall_session"
LOGIN = "/login"
ACCESS_LOG = "faceall.web.access"
"""The logger that gets a line for every request."""

_FAILURES_PER_SECOND = 0.2
_FAILURES = 10
_REQUESTS_PER_SECOND = 50.0
_REQUESTS = 500  # a page of people asks for hundreds of thumbnails at once
OPEN_ENDPOINTS = frozenset(("api.health", "login.show", "login.sign_in", "pages.preferences", "pages.static"))
_access = logging.getLogger(ACCESS_LOG)

Admit = Callable[[], AbstractContextManager[None]]


class Guard:
    """The rules for one server.

    host            where it listens
    keys            the API keys; one is asked for where there are any, and always beyond the loopback
    allowed_hosts   further names of the server
    metrics         gets the counts
    admit           gives a place for a request that works on pictures; see `Worker.admit`
    heavy           endpoints that need such a place
    failures        how many wrong keys an address may show
    requests        how often a client from elsewhere may ask; this machine's own may at any rate
    """

    def __init__(
        self,
        *,
        host: str,
        keys: Keys,
        allowed_hosts: tuple[str, ...] = (),
        metrics: Metrics | None = None,
        admit: Admit | None = None,
        heavy: frozenset[str] = frozenset(),
        failures: RateLimit | None = None,
        requests: RateLimit | None = None,
    ) -> None:
        self._hosts = Hosts(host, allowed_hosts)
        self._keys = keys
        self.sessions = Sessions(keys)
        self._locked = bool(keys.all) or not is_loopback(host)
        self.metrics = metrics or Metrics()
        self._admit, self._heavy = admit, heavy
        self._failures = failures or RateLimit(_FAILURES_PER_SECOND, _FAILURES)
        self._requests = requests or RateLimit(_REQUESTS_PER_SECOND, _REQUESTS)

    def install(self, app: Flask) -> None:
        """Stand before and after every route of an app, and add /metrics."""
        app.before_request(self._before)
        app.after_request(self._after)
        app.teardown_request(self._leave)
        app.add_url_rule("/metrics", "metrics", self._show_metrics, methods=["GET"])

    @property
    def locked(self) -> bool:
        """Whether a key is asked for: at once when the gallery gets its first one, and then for good."""
        if not self._locked:
            self._locked = bool(self._keys.all)
        return self._locked

    # -- keys -------------------------------------------------------------------------------------------------------

    def sign_in(self, text: str, response: AnyResponse) -> bool:
        """Give a browser that shows a key a session; returns whether the key fits.

        Raises RefusedError, 429, after too many wrong ones.
        """
        key = self._known(text)
        if key is None:
            return False
        word = self.sessions.open(key)
        response.set_cookie(
            COOKIE,
            word,
            max_age=int(self.sessions.seconds),
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
            path="/",
        )
        return True

    def may_send(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may send a large body: with a key or a session, where one is asked for.

        headers  as CGI names them; wrong keys are not counted here but by the app
        """
        if not self.locked:
            return True
        scheme, _, text = headers.get("AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._keys.find(text.strip()) is not None
        word = parse_cookie(headers.get("COOKIE", "")).get(COOKIE, "")
        return self.sessions.find(word) is not None

    def sign_out(self, response: AnyResponse) -> None:
        """End the session of the browser that asks."""
        self.sessions.close(request.cookies.get(COOKIE, ""))
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")

    @property
    def signed_in(self) -> bool:
        """Whether the request at hand belongs to a session."""
        return self.sessions.find(request.cookies.get(COOKIE, "")) is not None

    def _known(self, text: str) -> Key | None:
        """The key that a request shows; who shows too many wrong ones is not listened to for a while."""
        client = client_of(request.remote_addr)
        wait = self._failures.wait_of(client)
        if wait:
            raise too_many(wait)
        key = self._keys.find(text)
        if key is None:
            self._failures.take(client)
        return key

    def _identify(self) -> str | None:
        """The id of the key by which the request comes. Raises RefusedError: 401 for a wrong one, 429 for many."""
        header = request.headers.get("Authorization")
        if header is None:
            return self.sessions.find(request.cookies.get(COOKIE, ""))
        scheme, _, text = header.partition(" ")
        key = self._known(text.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise _unauthorized("this key is not known")
        return key.id

    # -- before and after a route -----------------------------------------------------------------------------------

    def _before(self) -> AnyResponse | None:
        g.began = time.monotonic()
        try:
            return self._check()
        except RefusedError as error:
            self.metrics.rejected(error.code)
            raise

    def _check(self) -> AnyResponse | None:
        self._hosts.check(request.headers.get("Host"))
        if self.locked:
            g.key = self._identify()
            if g.key is None and request.endpoint not in OPEN_ENDPOINTS:
                return self._ask_for_key()
        check_origin(request.method, request.headers, f"{request.scheme}://{request.host}")
        if not is_loopback(request.remote_addr or ""):
            self._requests.check(client_of(request.remote_addr))
        if self._admit is not None and request.endpoint in self._heavy:
            place = self._admit()
            place.__enter__()
            g.place = place
        return None

    def _ask_for_key(self) -> AnyResponse:
        """Send a browser that wants a page to the login; everybody else is told."""
        page = (request.endpoint or "").startswith("pages.") and request.method in ("GET", "HEAD")
        if not page:
            raise _unauthorized("a key is needed: send it as 'Authorization: Bearer KEY'")
        return redirect(f"{LOGIN}?next={quote(request.full_path.removesuffix('?'), safe='/')}", 303)

    def _after(self, response: Response) -> Response:
        add_headers(response.headers)
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        seconds = time.monotonic() - g.get("began", time.monotonic())
        route = request.url_rule.rule if request.url_rule else None
        self.metrics.answered(request.method, route, response.status_code, seconds)
        _access.info(
            access_line(
                client=request.remote_addr or "-",
                method=request.method,
                route=route,
                status=response.status_code,
                sent=None if response.is_streamed else response.content_length,
                seconds=seconds,
                key=g.get("key"),
            )
        )
        return response

    def _leave(self, error: BaseException | None) -> None:
        place: AbstractContextManager[None] | None = g.pop("place", None)
        if place is not None:
            place.__exit__(None, None, None)

    def _show_metrics(self) -> Response:
        return Response(self.metrics.render(), content_type=CONTENT_TYPE)


def check_reach(host: str, keys: Keys) -> None:
    """Refuse to listen beyond this machine without a key. Raises FaceallError."""
    if not is_loopback(host) and not keys.all:
        raise FaceallError(
            f"--host {host} lets other machines in, and this gallery has no key yet: "
            "make one first with faceall serve --create-key"
        )


def _unauthorized(text: str) -> RefusedError:
    return RefusedError(text, status=401, code="unauthorized")

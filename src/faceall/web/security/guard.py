"""`Guard`: the checks before each route, and the headers, log line and metrics after it.

The checks, in order: Host header, API key or session, Origin header, request rate, and capacity for image processing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import quote

from flask import Flask, Response, g, redirect, request
from werkzeug.http import parse_cookie
from werkzeug.wrappers import Response as AnyResponse

from faceall.errors import FaceallError
from faceall.web.metrics import CONTENT_TYPE, Metrics, access_line
from faceall.web.refusal import RefusedError
from faceall.web.security.headers import Hosts, add_cors_headers, add_headers, check_origin, is_loopback
from faceall.web.security.keys import Key, Keys, Sessions
from faceall.web.security.rates import RateLimit, client_of, too_many

COOKIE = "faceall_session"
LOGIN = "/login"
ACCESS_LOG = "faceall.web.access"
"""Name of the logger that writes a line per request."""

_FAILURES_PER_SECOND = 0.2
_FAILURES = 10
_REQUESTS_PER_SECOND = 50.0
_REQUESTS = 500  # a page of people loads hundreds of thumbnails at once
OPEN_ENDPOINTS = frozenset(("api.health", "login.show", "login.sign_in", "pages.preferences", "pages.static"))
_access = logging.getLogger(ACCESS_LOG)


@dataclass(frozen=True)
class Admission:
    """The limit on requests that process images at the same time.

    Attributes
    ----------
    admit : callable
        Returns a context manager that holds a place, or raises RefusedError; see `Worker.admit`.
    endpoints : frozenset of str
        Endpoints that process images.
    """

    admit: Callable[[], AbstractContextManager[None]]
    endpoints: frozenset[str]


@dataclass(frozen=True)
class ClientRates:
    """The limits on what one client sends.

    Attributes
    ----------
    failures : RateLimit
        Of wrong keys.
    requests : RateLimit
        Of all requests; clients on this machine are not limited.
    """

    failures: RateLimit = field(default_factory=lambda: RateLimit(_FAILURES_PER_SECOND, _FAILURES))
    requests: RateLimit = field(default_factory=lambda: RateLimit(_REQUESTS_PER_SECOND, _REQUESTS))


class Guard:
    """The access rules of one server.

    Parameters
    ----------
    host : str
        The address that the server listens on.
    keys : Keys
        The API keys. A key is required if there is any, and always beyond the loopback interface.
    allowed_hosts : tuple of str
        Additional host names of the server.
    allowed_origins : tuple of str
        Origins of other websites whose scripts may use the API.
    metrics : Metrics, optional
        Receives the counts.
    admission : Admission, optional
        Limits the requests that process images at once.
    rates : ClientRates, optional
        Limits the requests and the wrong keys of a client.
    """

    def __init__(
        self,
        *,
        host: str,
        keys: Keys,
        allowed_hosts: tuple[str, ...] = (),
        allowed_origins: tuple[str, ...] = (),
        metrics: Metrics | None = None,
        admission: Admission | None = None,
        rates: ClientRates | None = None,
    ) -> None:
        self._hosts = Hosts(host, allowed_hosts)
        self._origins = frozenset(allowed_origins)
        self._keys = keys
        self.sessions = Sessions(keys)
        self._locked = bool(keys.all) or not is_loopback(host)
        self.metrics = metrics or Metrics()
        self._admission = admission
        self._rates = rates or ClientRates()

    def install(self, app: Flask) -> None:
        """Add the checks to an app, and the route /metrics."""
        app.before_request(self._before)
        app.after_request(self._after)
        app.teardown_request(self._leave)
        app.add_url_rule("/metrics", "metrics", self._show_metrics, methods=["GET"])

    @property
    def locked(self) -> bool:
        """Whether a key is required. This stays true after the first key was created, also when it is revoked."""
        if not self._locked:
            self._locked = bool(self._keys.all)
        return self._locked

    # -- keys -------------------------------------------------------------------------------------------------------

    def sign_in(self, text: str, response: AnyResponse) -> bool:
        """Open a session and set its cookie; returns whether the key is valid.

        Raises
        ------
        RefusedError
            429 after too many wrong keys.
        """
        key = self._known(text)
        if key is None:
            return False
        token = self.sessions.open(key)
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(self.sessions.seconds),
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
            path=_cookie_path(),
        )
        return True

    def may_send(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request may send a large body: it needs a valid key or session, if keys are required.

        Parameters
        ----------
        headers : mapping
            The request headers with their CGI names. Wrong keys are not counted here.
        """
        if not self.locked:
            return True
        scheme, _, text = headers.get("AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._keys.find(text.strip()) is not None
        token = parse_cookie(headers.get("COOKIE", "")).get(COOKIE, "")
        return self.sessions.find(token) is not None

    def sign_out(self, response: AnyResponse) -> None:
        """Close the session of the current request and delete its cookie."""
        self.sessions.close(request.cookies.get(COOKIE, ""))
        response.delete_cookie(COOKIE, path=_cookie_path(), httponly=True, samesite="Strict")
        response.headers["Clear-Site-Data"] = '"cache", "storage"'

    @property
    def signed_in(self) -> bool:
        """Whether the current request belongs to a session."""
        return self.sessions.find(request.cookies.get(COOKIE, "")) is not None

    def _known(self, text: str) -> Key | None:
        """Return the key with this text; raises RefusedError (429) after too many wrong keys.

        A valid key is always accepted: behind a proxy all clients may share one address.
        """
        key = self._keys.find(text)
        if key is None:
            wait = self._rates.failures.take(client_of(request.remote_addr))
            if wait:
                raise too_many(wait)
        return key

    def _identify(self) -> str | None:
        """Return the id of the key of the current request; raises RefusedError (401, 429) for a wrong key."""
        header = request.headers.get("Authorization")
        if header is None:
            return self.sessions.find(request.cookies.get(COOKIE, ""))
        scheme, _, text = header.partition(" ")
        key = self._known(text.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise _unauthorized("unknown API key")
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
        if request.method == "OPTIONS" and self._is_allowed_origin():
            return Response(status=204)  # a CORS preflight request, which has no key; `_after` adds its headers
        if self.locked:
            g.key = self._identify()
            if g.key is None and request.endpoint not in OPEN_ENDPOINTS:
                return self._ask_for_key()
        by_header = g.get("key") is not None and "Authorization" in request.headers
        if not by_header and not self._is_allowed_origin():  # browsers never add a key by themselves
            check_origin(request.method, request.headers, f"{request.scheme}://{request.host}")
        if not is_loopback(request.remote_addr or ""):
            self._rates.requests.check(client_of(request.remote_addr))
        if self._admission is not None and request.endpoint in self._admission.endpoints:
            slot = self._admission.admit()
            slot.__enter__()
            g.slot = slot
        return None

    def _is_allowed_origin(self) -> bool:
        """Return whether the current request comes from a script of an allowed website and is for the API."""
        return request.headers.get("Origin") in self._origins and request.path.startswith("/api/")

    def _ask_for_key(self) -> AnyResponse:
        """Redirect a browser to the login page; raise RefusedError (401) for other clients."""
        page = (request.endpoint or "").startswith("pages.") and request.method in ("GET", "HEAD")
        if not page:
            raise _unauthorized("an API key is required: send it as 'Authorization: Bearer KEY'")
        wanted = quote(request.script_root + request.full_path.removesuffix("?"), safe="/")
        return redirect(f"{request.script_root}{LOGIN}?next={wanted}", 303)

    def _after(self, response: Response) -> Response:
        add_headers(response.headers, secure=request.is_secure)
        if self._is_allowed_origin():
            add_cors_headers(response.headers, request.headers["Origin"])
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
        slot: AbstractContextManager[None] | None = g.pop("slot", None)
        if slot is not None:
            slot.__exit__(None, None, None)

    def _show_metrics(self) -> Response:
        return Response(self.metrics.render(), content_type=CONTENT_TYPE)


def check_reach(host: str, keys: Keys) -> None:
    """Check that a server that other machines can reach has an API key.

    Raises
    ------
    FaceallError
        If it has none.
    """
    if not is_loopback(host) and not keys.all:
        raise FaceallError(
            f"--host {host} makes the server reachable from other machines, and this gallery has no API key; "
            "create one first with faceall serve --create-key"
        )


def _cookie_path() -> str:
    return f"{request.script_root}/"


def _unauthorized(text: str) -> RefusedError:
    return RefusedError(text, status=401, code="unauthorized")

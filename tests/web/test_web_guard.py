"""The guard of a small app: hosts, keys, sessions, origins, rate limits, places, headers and the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient

from faceall.errors import FaceallError
from faceall.web import errors
from faceall.web.security.guard import COOKIE, Admission, ClientRates, Guard, check_reach
from faceall.web.security.keys import KEYS_FILE, Keys
from faceall.web.security.rates import RateLimit
from faceall.web.work.batching import BusyError

BEYOND = {"REMOTE_ADDR": "203.0.113.5"}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return an empty key store."""
    return Keys(tmp_path / KEYS_FILE)


class OnePlace:
    """Admit one request at a time."""

    def __init__(self) -> None:
        self.inside = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold the place, or raise BusyError."""
        if self.inside:
            raise BusyError(7)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


def client_of(guard: Guard) -> FlaskClient:
    """Return a client of a small app behind a guard."""
    app = Flask("guarded", static_folder=None)
    errors.install(app, "/secret/folder")
    guard.install(app)
    app.get("/people/<int:person_id>", endpoint="pages.person")(lambda person_id: "somebody")
    app.get("/people", endpoint="api.people")(lambda: {"people": []})
    app.get("/health", endpoint="api.health")(lambda: {"status": "ok"})
    app.post("/search", endpoint="api.search")(lambda: {"faces": []})
    app.post("/break", endpoint="api.break")(lambda: 1 / 0)

    def sign_in() -> Response:
        response = Response("in")
        return response if guard.sign_in(request.form["key"], response) else Response("no", 401)

    def sign_out() -> Response:
        response = Response("out")
        guard.sign_out(response)
        return response

    app.post("/login", endpoint="login.sign_in")(sign_in)
    app.post("/out", endpoint="api.out")(sign_out)
    return app.test_client()


def test_loopback_without_keys_needs_no_login(keys: Keys) -> None:
    """Without keys, a server on the loopback interface answers every local client."""
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    assert client.get("/people").status_code == 200
    assert client.post("/search").status_code == 200


def test_the_first_key_takes_effect_at_once(keys: Keys) -> None:
    """A running server requires the first key without a restart, and stays locked when it is revoked."""
    guard = Guard(host="127.0.0.1", keys=keys)
    client = client_of(guard)
    assert client.get("/people").status_code == 200
    text = keys.create("a")
    assert client.get("/people").status_code == 401
    assert not guard.may_send({})
    assert client.get("/people", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    keys.revoke(keys.all[0].id)
    assert client.get("/people").status_code == 401


def test_foreign_host_names_are_refused(keys: Keys) -> None:
    """With a foreign Host header every path is refused, also unknown ones and the health check."""
    client = client_of(Guard(host="127.0.0.1", keys=keys, allowed_hosts=("faces.example",)))
    for path in ("/people", "/health", "/nothing", "/metrics"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert answer.status_code == 403
        assert answer.get_json()["error"]["code"] == "forbidden"
    assert client.get("/people", headers={"Host": "faces.example:80"}).status_code == 200


def test_pages_of_other_sites_cannot_change_anything(keys: Keys) -> None:
    """Changes from other sites are refused; those of programs and own pages are accepted."""
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/search", headers=headers).status_code == 403
    for headers in ({}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}):
        assert client.post("/search", headers=headers).status_code == 200


def test_every_request_needs_the_key(keys: Keys) -> None:
    """API and metrics give 401, pages redirect to the login; the health check stays open."""
    text = keys.create("a")
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    for path in ("/people", "/metrics", "/nothing"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.get_json()["error"]["code"] == "unauthorized"
    assert client.post("/search").status_code == 401
    assert client.get("/health").status_code == 200
    page = client.get("/people/3?page=2&q=Anna B")
    assert (page.status_code, page.headers["Location"]) == (303, "/login?next=/people/3%3Fpage%3D2%26q%3DAnna%20B")
    bearer = {"Authorization": f"Bearer {text}"}
    for path in ("/people", "/people/3", "/metrics"):
        assert client.get(path, headers=bearer).status_code == 200
    assert client.get("/nothing", headers=bearer).status_code == 404
    for wrong in ("Bearer x", "Bearer", "", f"Basic {text}", f"Bearer {text}x", text):
        assert client.get("/people", headers={"Authorization": wrong}).status_code == 401


def test_wrong_keys_are_rate_limited(keys: Keys) -> None:
    """After ten wrong keys an address must wait; a valid key from it is always accepted."""
    text = keys.create()
    client = client_of(Guard(host="0.0.0.0", keys=keys, rates=ClientRates(failures=RateLimit(0.001, 10))))
    codes = [
        client.get("/people", headers={"Authorization": f"Bearer x{n}"}, environ_base=BEYOND).status_code
        for n in range(12)
    ]
    assert codes == [401] * 10 + [429] * 2
    right = {"Authorization": f"Bearer {text}"}
    assert client.get("/people", headers=right, environ_base=BEYOND).status_code == 200
    refused = client.get("/people", headers={"Authorization": "Bearer x"}, environ_base=BEYOND)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    elsewhere = {"REMOTE_ADDR": "203.0.113.6"}
    assert client.get("/people", headers={"Authorization": "Bearer x"}, environ_base=elsewhere).status_code == 401


def test_a_session_replaces_the_key_in_a_browser(keys: Keys) -> None:
    """The cookie is HttpOnly, SameSite and not the key; signing out or revoking the key ends the session."""
    text = keys.create()
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    assert client.post("/login", data={"key": "x"}).status_code == 401
    answer = client.post("/login", data={"key": text})
    cookie = answer.headers["Set-Cookie"]
    assert answer.status_code == 200
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert text not in cookie
    assert client.get("/people").status_code == client.get("/people/3").status_code == 200
    assert client.post("/search", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    client.post("/out")
    assert client.get("/people").status_code == 401
    client.post("/login", data={"key": text})
    assert client.get("/people").status_code == 200
    keys.revoke(keys.all[0].id)
    assert client.get("/people").status_code == 401


def test_a_stale_cookie_is_not_a_wrong_key(keys: Keys) -> None:
    """Cookies from before a restart do not count as wrong keys."""
    keys.create()
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    client.set_cookie(COOKIE, "old")
    assert {client.get("/people").status_code for _ in range(30)} == {401}


def test_remote_clients_have_a_rate_limit(keys: Keys) -> None:
    """Remote clients beyond the rate must wait; local clients have no limit."""
    bearer = {"Authorization": f"Bearer {keys.create()}"}
    client = client_of(Guard(host="0.0.0.0", keys=keys, rates=ClientRates(requests=RateLimit(0.001, 5))))
    codes = [client.get("/people", headers=bearer, environ_base=BEYOND).status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2
    assert client.get("/people", headers=bearer).status_code == 200


def test_work_on_images_needs_a_place(keys: Keys) -> None:
    """A place is released also after a failure; without a free one the response is 503 with Retry-After."""
    place = OnePlace()
    guard = Guard(host="127.0.0.1", keys=keys, admission=Admission(place.admit, frozenset(("api.search", "api.break"))))
    client = client_of(guard)
    assert client.post("/search").status_code == 200
    assert client.post("/break").status_code == 500
    assert place.inside == 0
    with place.admit():
        answer = client.post("/search")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        assert answer.get_json()["error"]["code"] == "busy"
        assert client.get("/people").status_code == 200
    assert 'faceall_rejected_total{reason="busy"} 1.0' in client.get("/metrics").get_data(as_text=True)


def test_every_response_has_the_headers(keys: Keys) -> None:
    """Responses of every kind, also errors, have the security headers."""
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    for answer in (client.get("/people"), client.get("/nothing"), client.post("/break"), client.get("/break"),
                   client.get("/people", headers={"Host": "evil.example"}), client.get("/metrics")):  # fmt: skip
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Permitted-Cross-Domain-Policies"] == "none"


def test_the_log_has_no_names_and_no_keys(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line per request, with the route and the id of the key."""
    text = keys.create("Berta's phone")
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    with caplog.at_level(logging.INFO, "faceall"):
        client.get("/people/7?q=Berta", headers={"Authorization": f"Bearer {text}"})
        client.get("/Berta", headers={"Authorization": f"Bearer wrong-{text}"})
        client.post("/login", data={"key": text})
    lines = [record.getMessage() for record in caplog.records if record.name == "faceall.web.access"]
    assert [line.split(" ")[2:5] for line in lines] == [
        ["GET", "/people/<int:person_id>", "200"], ["GET", "unknown", "401"], ["POST", "/login", "200"],
    ]  # fmt: skip
    assert lines[0].endswith(f"key={keys.all[0].id}")
    assert "Berta" not in caplog.text
    assert text not in caplog.text


def test_beyond_the_loopback_a_key_is_required(keys: Keys) -> None:
    """Without a key the server does not start, and the error says what to do."""
    check_reach("127.0.0.1", keys)
    for host in ("0.0.0.0", "::", "192.168.1.5", "faces.example"):
        with pytest.raises(FaceallError, match="--create-key"):
            check_reach(host, keys)
    keys.create()
    check_reach("0.0.0.0", keys)


def test_unreadable_keys_lock_the_server(keys: Keys) -> None:
    """If the key file cannot be read, requests are refused without showing its path."""
    keys.create()
    client = client_of(Guard(host="127.0.0.1", keys=keys))
    keys.path.write_text("{")
    answer = client.get("/people", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 500
    assert str(keys.path.parent) not in answer.get_data(as_text=True)

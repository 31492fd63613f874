"""The real app behind a key: every route requires it, the login gives a session, commands manage keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from images_for_forms import image_file, sent

from faceall.gallery import Gallery
from faceall.web import ServerOptions
from faceall.web.app import IMAGE_ENDPOINTS
from faceall.web.security.guard import OPEN_ENDPOINTS
from faceall.web.security.headers import HEADERS
from faceall.web.security.keys import KEYS_FILE, Keys
from faceall_cli.main import main

PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9"}


@pytest.fixture
def key(gallery: Gallery) -> str:
    """Create the gallery's key."""
    return Keys(gallery.folder / KEYS_FILE).create("test")


@pytest.fixture
def locked(key: str, make_app: Callable[..., Any]) -> Any:
    """Return an app that requires the key."""
    return make_app()


def addresses(app: Any) -> Iterator[tuple[str, str, str]]:
    """Return every route of an app: method, a matching path, endpoint."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:int:)?\w+>|<path:\w+>", "1", rule.rule)
        yield from ((method, path, rule.endpoint) for method in rule.methods - {"OPTIONS", "HEAD"})


def test_the_named_routes_exist(app: Any) -> None:
    """The endpoints that need a place and those that are open exist in the app."""
    assert set(app.view_functions) >= IMAGE_ENDPOINTS | OPEN_ENDPOINTS


def test_every_route_that_works_on_images_needs_a_place(app: Any) -> None:
    """All other changing routes are listed here, so that new ones are noticed."""
    light = {
        "api.merge", "api.remove", "api.remove_face", "api.remove_photo", "api.rename", "api.split",
    "api.unassign", "api.assign_face", "api.answer", "api.discard", "api.erase", "api.hide", "api.restore",
        "api.set_details", "api.show_again", "api.undo",
        "api.give", "api.hide_faces", "api.merge_many", "api.propose", "api.show_faces", "api.unassign_faces",
        "api.unname",
        "login.sign_in", "pages.preferences",
    }  # fmt: skip
    writing = {endpoint for method, _, endpoint in addresses(app) if method != "GET"}
    assert writing == IMAGE_ENDPOINTS | light


def test_every_route_requires_the_key(locked: Any) -> None:
    """Pages redirect to the login, others give 401; only health, login, language and styles are open."""
    client = locked.test_client()
    seen = 0
    for method, path, endpoint in addresses(locked):
        if endpoint in OPEN_ENDPOINTS:
            continue
        answer = client.open(path, method=method)
        if endpoint.startswith("pages.") and method == "GET":
            assert (answer.status_code, answer.headers["Location"][:12]) == (303, "/login?next="), path
        else:
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "unauthorized"), path
        seen += 1
    assert seen > 25
    assert client.get("/api/v1/health").status_code == 200


def test_every_response_of_the_app_has_the_headers(app: Any) -> None:
    """Every route's response has the security headers, and no page has inline scripts or styles."""
    client = app.test_client()
    for method, path, _ in addresses(app):
        answer = client.open(path, method=method, headers=PAGE)
        assert {name: answer.headers.get(name) for name in HEADERS} == dict(HEADERS), path
        if answer.mimetype == "text/html":
            text = answer.get_data(as_text=True)
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), path


def test_the_login_redirects_to_the_requested_page(locked: Any, key: str) -> None:
    """The login sets a session cookie, reports a wrong key, and signing out ends the session."""
    client = locked.test_client()
    assert client.get("/people?q=x").headers["Location"] == "/login?next=/people%3Fq%3Dx"
    form = client.get("/login?next=/people%3Fq%3Dx", headers=PAGE)
    assert form.status_code == 200
    assert "/people?q=x" in form.get_data(as_text=True)
    wrong = client.post("/login", data={"key": "x", "next": "/people"}, headers=PAGE)
    assert wrong.status_code == 401
    assert "Set-Cookie" not in wrong.headers
    right = client.post("/login", data={"key": f" {key}\n", "next": "/people?q=x"})
    assert (right.status_code, right.headers["Location"]) == (303, "/people?q=x")
    assert client.get("/people?q=x", headers=PAGE).status_code == 200
    assert client.get("/login").status_code == 303
    left = client.post("/preferences", data={"sign_out": "yes", "next": "/"})
    assert left.headers["Clear-Site-Data"] == '"cache", "storage"'  # also photos in the browser's cache
    assert client.get("/people").status_code == 303


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_the_login_redirects_to_own_pages_only(locked: Any, key: str, place: str) -> None:
    """The login never redirects to another server."""
    answer = locked.test_client().post("/login", data={"key": key, "next": place})
    assert answer.headers["Location"] == "/"


def test_without_a_key_there_is_no_login(app: Any) -> None:
    """Without a key the login page redirects to the first page."""
    assert app.test_client().get("/login").headers["Location"] == "/"


def test_a_session_does_not_serve_other_sites(locked: Any, key: str) -> None:
    """A form of another site is refused even if the browser sends the cookie."""
    client = locked.test_client()
    client.post("/login", data={"key": key})
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    answer = client.post("/api/v1/register", data={"files": sent(image_file(1))}, headers=headers)
    assert answer.status_code == 403
    assert client.delete("/api/v1/people/1", headers=headers).status_code == 403


def test_metrics_count_routes_not_people(app: Any) -> None:
    """The metrics count a search, a registration and its result, and have no person's name."""
    client = app.test_client()
    client.post("/api/v1/register?wait=true", data={"files": sent(image_file(1), "Berta.png"), "person": "Berta"})
    client.get("/api/v1/people?q=Berta")
    client.get("/api/v1/people/1")
    text = client.get("/metrics").get_data(as_text=True)
    assert 'faceall_registrations_total{result="registered"} 1.0' in text
    assert re.search(r'faceall_requests_total\{method="GET",route="/api/v1/people/<int:\w+>",status="200"\} 1.0', text)
    assert "Berta" not in text


def test_the_commands_make_list_and_revoke_keys(tmp_path: Path) -> None:
    """The key is printed alone on stdout, once; lists have ids and labels only."""
    folder = str(tmp_path / "gallery")
    run = CliRunner().invoke
    made = run(main, ["serve", "--create-key", "--label", "Anna", "--gallery", folder, "--quiet"])
    assert made.exit_code == 0
    text = made.stdout.strip()
    store = Keys(tmp_path / "gallery" / KEYS_FILE)
    found = store.find(text)
    assert found is not None
    listed = run(main, ["serve", "--list-keys", "--gallery", folder])
    assert found.id in listed.output
    assert "Anna" in listed.output
    assert text not in listed.output
    assert run(main, ["serve", "--revoke-key", "nope", "--gallery", folder]).exit_code == 1
    assert run(main, ["serve", "--revoke-key", found.id, "--gallery", folder]).exit_code == 0
    assert store.find(text) is None


def test_beyond_this_machine_serve_refuses_to_start_without_a_key(tmp_path: Path) -> None:
    """The one-line error says how to create a key."""
    result = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--port", "0", "--gallery", str(tmp_path / "g")])
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1
    assert "faceall serve --create-key" in result.output


def test_an_allowed_host_is_accepted(make_app: Callable[..., Any]) -> None:
    """A name given with `--allowed-host` is accepted."""
    client = make_app(ServerOptions(allowed_hosts=("faces.lan",))).test_client()
    assert client.get("/api/v1/health", headers={"Host": "faces.lan:8000"}).status_code == 200
    assert client.get("/api/v1/health", headers={"Host": "other.lan"}).status_code == 403

"""The app behind a reverse proxy, below a root path, and used by scripts of other websites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from faceall.errors import ArgumentError
from faceall.gallery import Gallery
from faceall.web import Keys, ServerOptions

API = "/api/v1"
FORWARDED = {
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "photos.example",
}
ORIGIN = "https://site.example"


def test_forwarded_headers_count_behind_a_proxy_only(make_app: Callable[..., Any]) -> None:
    """Scheme, host and address are those of the proxy's headers only with the option."""
    options = ServerOptions(behind_proxy=True, allowed_hosts=("photos.example",))
    trusting = make_app(options).test_client().get(f"{API}/health", headers=FORWARDED)
    assert trusting.status_code == 200
    assert "Strict-Transport-Security" in trusting.headers
    plain = make_app().test_client().get(f"{API}/health", headers=FORWARDED)
    assert plain.status_code == 200
    assert "Strict-Transport-Security" not in plain.headers


def test_the_session_cookie_is_secure_behind_tls(make_app: Callable[..., Any], gallery: Gallery) -> None:
    """The cookie is Secure if the proxy's scheme is https."""
    key = Keys.of_gallery(gallery.folder).create()
    app = make_app(ServerOptions(behind_proxy=True, allowed_hosts=("photos.example",)))
    signed_in = app.test_client().post("/login", data={"key": key}, headers=FORWARDED)
    assert "Secure" in signed_in.headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["/faces/people", "/people"])
def test_all_addresses_are_below_the_root_path(make_app: Callable[..., Any], path: str) -> None:
    """Links and files are below the root path, whether the proxy removes it or not."""
    client = make_app(ServerOptions(root_path="/faces")).test_client()
    page = client.get(path)
    assert page.status_code == 200
    links = [part.split('"')[0] for part in page.text.split('href="')[1:] + page.text.split('src="')[1:]]
    assert all(link.startswith(("/faces/", "#", "data:")) for link in links), links
    assert '<meta name="root" content="/faces">' in page.text


def test_cookies_and_redirects_stay_below_the_root_path(make_app: Callable[..., Any], gallery: Gallery) -> None:
    """The login page, its redirect and the cookie are below the root path."""
    key = Keys.of_gallery(gallery.folder).create()
    client = make_app(ServerOptions(root_path="/faces")).test_client()
    asked = client.get("/faces/people")
    assert asked.headers["Location"].startswith("/faces/login?next=/faces/people")
    signed_in = client.post("/faces/login", data={"key": key, "next": "/faces/people"})
    assert signed_in.headers["Location"] == "/faces/people"
    assert "Path=/faces/" in signed_in.headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["faces", "/faces/", "/a b", "//x", "/a?b"])
def test_a_root_path_is_checked(path: str) -> None:
    """A root path must begin with a slash and not end with one."""
    with pytest.raises(ArgumentError, match="expected a path such as /faces"):
        ServerOptions(root_path=path)


@pytest.mark.parametrize("origin", ["site.example", "https://site.example/", "*", "https://"])
def test_an_allowed_origin_is_checked(origin: str) -> None:
    """An origin must have a scheme and a host, and no path."""
    with pytest.raises(ArgumentError, match=r"expected scheme and host"):
        ServerOptions(allowed_origins=(origin,))


def test_scripts_of_an_allowed_website_can_use_the_api(make_app: Callable[..., Any], gallery: Gallery) -> None:
    """Preflight and requests with a key work; other websites and other pages get no permission."""
    key = Keys.of_gallery(gallery.folder).create()
    client = make_app(ServerOptions(allowed_origins=(ORIGIN,))).test_client()
    cross = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
    preflight = client.options(f"{API}/people", headers={**cross, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    answer = client.post(f"{API}/cluster", headers={**cross, "Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert client.get(f"{API}/people", headers=cross).status_code == 401
    for path, origin in ((f"{API}/people", "https://evil.example"), ("/people", ORIGIN)):
        other = client.options(path, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in other.headers


def test_a_valid_key_is_never_refused_for_its_origin(make_app: Callable[..., Any], gallery: Gallery) -> None:
    """A key is valid with any origin, as browser extensions send; session cookies stay protected."""
    key = Keys.of_gallery(gallery.folder).create()
    client = make_app().test_client()
    foreign = {"Origin": "chrome-extension://abc", "Sec-Fetch-Site": "cross-site"}
    bearer = {"Authorization": f"Bearer {key}"}
    assert client.post(f"{API}/cluster", headers={**foreign, **bearer}).status_code == 200
    client.post("/login", data={"key": key})
    assert client.post(f"{API}/cluster").status_code == 200
    assert client.post(f"{API}/cluster", headers=foreign).status_code == 403

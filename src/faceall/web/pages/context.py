"""Values that each page needs: language, theme, formatted numbers, names of people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, make_response, redirect, render_template, request, url_for

from faceall.web.pages.texts import LANGUAGES, Texts, load_texts
from faceall.web.services import services

LANGUAGE_COOKIE = "faceall-language"
THEME_COOKIE = "faceall-theme"
THEMES = ("light", "dark")

MAX_NAMES = 2000
"""Number of names that forms offer for completion."""

_YEAR = 365 * 24 * 3600
_CLUSTER = re.compile(r"unnamed (\d+)")
_BLANK = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="  # one clear pixel
_UNITS = (("days", 24 * 3600), ("hours", 3600), ("minutes", 60), ("seconds", 1))


def texts() -> Texts:
    """Return the texts in the chosen language, else in the browser's preferred one."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen not in LANGUAGES:
        chosen = request.accept_languages.best_match(list(LANGUAGES), default="en")
    return load_texts(chosen or "en")


def render(template: str, section: str = "", *, status: int = 200, **values: Any) -> Response:
    """Render a page; `section` is the entry of the navigation that it belongs to."""
    words, guard = texts(), services().guard
    here = request.full_path.removesuffix("?") if request.method == "GET" else request.path
    shared = {
        "t": words,
        "n": words.count,
        "language": words.language,
        "languages": LANGUAGES,
        "texts_for_scripts": json.dumps(words.for_scripts(), ensure_ascii=False, separators=(",", ":")),
        "theme": _theme(),
        "root": request.script_root,
        "here": request.script_root + here,
        "section": section,
        "blank_image": _BLANK,
        "photo_image": photo_image,
        "face_url": lambda face: url_for("api.thumbnail", face_id=face),
        "shown_name": lambda person: shown_name(words, person),
        "signed_in": guard.locked and guard.signed_in,
        "locked": False,
        "waiting": services().jobs.waiting,
    }
    response = make_response(render_template(template, **{**shared, **values}), status)
    response.headers["Cache-Control"] = "no-store"  # faces are private, and pages change with the gallery
    response.headers["Content-Language"] = words.language
    response.vary.update(("Accept-Language", "Cookie"))
    return response


def keep_preferences() -> Response:
    """Store the language or theme of the form in a cookie, and redirect to the page that sent it."""
    response = redirect(local_address(request.form.get("next", ""), f"{request.script_root}/"))
    if request.form.get("sign_out"):
        services().guard.sign_out(response)
    for cookie, field, known in ((LANGUAGE_COOKIE, "language", LANGUAGES), (THEME_COOKIE, "theme", THEMES)):
        value = request.form.get(field)
        if value and value in known:
            response.set_cookie(cookie, value, max_age=_YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
    return response  # type: ignore[return-value]  # werkzeug's response is flask's here


def local_address(address: str, start: str = "/") -> str:
    """Return an address of this site unchanged, and `start` for any other, to prevent open redirects."""
    safe = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if safe else start


def photo_image(photo: int, max_side: int, face: int | None = None) -> str:
    """Return the address of a photo's image of at most `max_side` pixels per side, with a face marked."""
    return url_for("api.image", photo_id=photo, max=max_side, face=face)


def shown_name(words: Texts, person: Mapping[str, Any] | None) -> str:
    """Return the name of a person in the language of the page; clusters have numbers."""
    if person is None:
        return words("common.unassigned")
    number = _CLUSTER.fullmatch(person["name"]) if person["unnamed"] else None
    return words("common.unnamed_number", number=number[1]) if number else str(person["name"])


def duration(words: Texts, seconds: float) -> str:
    """Format a duration in its two largest units: "2 hours 5 minutes"."""
    parts: list[str] = []
    left = max(int(seconds), 0)
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "seconds" and not parts):
            parts.append(words.count(f"status.{unit}", count))
    return " ".join(parts[:2])


def add_filters(blueprint: Blueprint) -> None:
    """Add the number formats of the templates."""
    blueprint.add_app_template_filter(lambda share: f"{max(share, 0) * 100:.0f}%", "percent")
    blueprint.add_app_template_filter(lambda share: f"{share * 100:.4g}%", "fine_percent")
    blueprint.add_app_template_filter(lambda value: f"{value:.2f}", "distance")
    blueprint.add_app_template_filter(lambda value: f"{value:,}", "number")
    blueprint.add_app_template_filter(clock, "clock")


def clock(seconds: float) -> str:
    """Format a time in a video: "0:07", "1:02:05"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def wants_page() -> bool:
    """Return whether the client is a browser that navigates, not a program or a script."""
    if request.path.startswith(("/api/", "/static/")) or "X-Piece" in request.headers:
        return False
    return request.accept_mimetypes["text/html"] > request.accept_mimetypes["application/json"] and bool(
        current_app.blueprints.get("pages")
    )


def _theme() -> str | None:
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None

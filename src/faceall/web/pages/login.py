"""The page that exchanges an API key for a session."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for

from faceall.web.pages.context import local_address, render, texts
from faceall.web.security.guard import LOGIN
from faceall.web.services import services

blueprint = Blueprint("login", __name__)


@blueprint.get(LOGIN)
def show() -> Response:
    """Show the form; redirect if there is a session already."""
    guard = services().guard
    if guard.signed_in or not guard.locked:
        return _onward(request.args.get("next", ""))
    return _form(request.args.get("next", ""))


@blueprint.post(LOGIN)
def sign_in() -> Response:
    """Open a session with the form's key, or show that it is wrong."""
    onward = _onward(request.form.get("next", ""))
    if services().guard.sign_in(request.form.get("key", "").strip(), onward):
        return onward
    return _form(request.form.get("next", ""), problem=texts()("login.wrong"), status=401)


def _form(onward: str, *, problem: str = "", status: int = 200) -> Response:
    return render(
        "login.html",
        status=status,
        locked=True,
        login_url=url_for("login.sign_in"),
        next=local_address(onward),
        problem=problem,
    )


def _onward(address: str) -> Response:
    return redirect(local_address(address, f"{request.script_root}/"), 303)  # type: ignore[return-value]  # werkzeug's response is flask's here

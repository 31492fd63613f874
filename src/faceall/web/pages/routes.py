"""The routes of the pages and their error page.

The pages show the data of the API.
"""

from __future__ import annotations

from flask import Blueprint, Response

from faceall.web.pages import forms, people, photos, state
from faceall.web.pages.context import add_filters, keep_preferences, render, texts, wants_page
from faceall.web.pages.results import problem_text


def make_blueprint() -> Blueprint:
    """Make the blueprint of the pages."""
    made = Blueprint(
        "pages", "faceall.web", template_folder="templates", static_folder="static", static_url_path="/static"
    )
    add_filters(made)
    made.get("/")(forms.register)
    made.post("/")(forms.register_answer)
    made.get("/search")(forms.search)
    made.post("/search")(forms.search_answer)
    made.get("/people")(people.people)
    made.get("/people/<int:person_id>")(people.person)
    made.get("/photos")(photos.photos)
    made.get("/photos/<int:photo_id>")(photos.photo)
    made.get("/review")(state.review)
    made.get("/history")(state.history)
    made.get("/status")(state.status)
    made.get("/explorer")(state.explorer)
    made.post("/preferences", endpoint="preferences")(keep_preferences)
    made.after_app_request(show_problem)
    return made


def show_problem(response: Response) -> Response:
    """Show errors as a page if the client is a browser; the headers stay."""
    if response.status_code < 400 or response.mimetype != "application/json" or not wants_page():
        return response
    words, error = texts(), response.get_json()["error"]
    if response.status_code == 404:
        title, message = words("problem.not_found_title"), words("problem.not_found")
    else:
        title, message = words("problem.title"), problem_text(words, error)
    page = render("problem.html", title=title, message=message)
    response.set_data(page.get_data())
    response.mimetype = "text/html"
    return response

"""The pages of a long list: how many entries each has, and the links between them."""

from __future__ import annotations

from flask import request, url_for

from faceall.web.api.inputs import whole
from faceall.web.serializers import Json

PEOPLE_PER_PAGE = 60
FACES_PER_PAGE = 120
CHANGES_PER_PAGE = 100


def page_number(size: int) -> tuple[int, int]:
    """Return the requested page, from 1, and the number of entries before it."""
    number = whole(request.args, "page", 1, low=1, high=10_000_000) or 1
    return number, (number - 1) * size


def page_values(number: int, total: int, size: int) -> Json:
    """Return the values of the pagination template."""

    def page_url(page: int) -> str:
        kept: Json = {key: values for key, values in request.args.lists() if key != "page"}
        return url_for(request.endpoint or "", **{**kept, **(request.view_args or {}), "page": page})

    return {"page": number, "pages": max(1, -(-total // size)), "page_url": page_url}

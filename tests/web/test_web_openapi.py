"""The OpenAPI document is valid, complete, and agrees with the app."""

from __future__ import annotations

import re
from typing import Any

import pytest

PAGES = ("pages.", "login.", "metrics", "faceall.page_")
"""What is made for people's eyes, and the metrics, which are no JSON."""

METHODS = ("get", "post", "put", "patch", "delete")


def test_the_document_is_valid_openapi(client: Any) -> None:
    """The published validator accepts the document as version 3.1."""
    validator = pytest.importorskip("openapi_spec_validator", reason="needs openapi-spec-validator")
    validator.validate(client.get("/api/v1/openapi.json").json, cls=validator.OpenAPIV31SpecValidator)


def test_every_route_is_in_the_document_and_nothing_else(app: Any, client: Any) -> None:
    """The document has exactly the app's paths, methods and path parameters."""
    paths = client.get("/api/v1/openapi.json").json["paths"]
    described = {(path, method) for path, methods in paths.items() for method in methods if method in METHODS}
    real = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith(PAGES)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == real
    assert {path for path, _ in real} >= {"/faceRegister", "/faceRegisterBatch", "/faceRetrieve"}


def test_every_parameter_in_a_path_is_described(client: Any) -> None:
    """Every parameter in braces has a description."""
    for path, methods in client.get("/api/v1/openapi.json").json["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path

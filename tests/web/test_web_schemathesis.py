"""The app agrees with its OpenAPI document for valid and invalid requests on every operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from images_for_forms import TWO_FACES, image_file, register
from stand_ins import ColourDetector, ColourEmbedder

from faceall.gallery import Gallery
from faceall.web.app import close_app, create_app
from faceall.web.openapi.document import build

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")


PEOPLE = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Frida", "Gustav", "Hana", "Ivo")
_apps: list[Any] = []
_statuses: Counter[tuple[str, int]] = Counter()


def forward(environ: Any, start_response: Any) -> Any:
    """Forward requests to the app of the fixture below, which does not exist yet when tests are collected.

    Requests come from this machine, which has no rate limit; requests without an address count as remote.
    """
    return _apps[0]({**environ, "REMOTE_ADDR": "127.0.0.1"}, start_response)


# what a schema cannot express: whether bytes are an image, how many faces it has, whether a URL can be reached, and
# that a form needs one of two fields
_ALSO_RIGHT = {
    "/api/v1/register": [400],
    "/api/v1/search": [415],
    "/api/v1/compare": [415, 422],
    "/faceRegister": [400, 415, 422],
    "/faceRegisterBatch": [422],
    "/faceRetrieve": [400, 415, 422],
}
config = schemathesis.Config.from_dict(
    {
        "operations": [
            {"include-path": path, "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 404, *more]}}}
            for path, more in _ALSO_RIGHT.items()
        ]
    }
)
schema = schemathesis.openapi.from_dict(build(max_urls=100, max_matches=1000), config=config)
schema.app, schema.location = forward, "/api/v1/openapi.json"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Make an app whose gallery has thirty photos of nine people."""
    folder = tmp_path_factory.mktemp("schemathesis") / "gallery"
    with Gallery.open(folder, detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        app = create_app(gallery)
        client = app.test_client()
        for number in range(30):
            register(client, (image_file(number * 7), f"{PEOPLE[number % 9]}/{number}.png"))
        register(client, (image_file(TWO_FACES), "two.png"))
        assert client.get("/api/v1/openapi.json").json == schema.raw_schema
        _apps[:] = [app]
        yield app
        assert close_app(app, 20)


@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@pytest.mark.usefixtures("app")
def test_the_app_agrees_with_the_document(case: Any) -> None:
    """Every check of schemathesis passes: statuses, content types, shapes, refusals and no 500."""
    response = case.call_and_validate()
    _statuses[case.operation.label, response.status_code // 100 if response.status_code != 429 else 429] += 1


def test_the_requests_reached_the_operations() -> None:
    """Nearly every operation succeeded at least once, and no request met the rate limit."""
    if not _statuses:
        pytest.skip("needs the tests above")
    labels = {label for label, _ in _statuses}
    assert not [label for label in labels if _statuses[label, 429]]
    fruitless = {label for label in labels if not _statuses[label, 2]}
    assert fruitless <= {"GET /api/v1/jobs/{job_id}", "GET /api/v1/jobs/{job_id}/events", "POST /faceRegisterBatch"}

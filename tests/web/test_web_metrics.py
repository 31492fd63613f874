"""What Prometheus gets, and the line in the log."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from faceall.web.metrics import Metrics, access_line


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by name and labels, as Prometheus reads it."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_requests_are_counted_by_method_route_and_status() -> None:
    """With a histogram of how long they took."""
    metrics = Metrics()
    for seconds in (0.02, 0.2):
        metrics.answered("GET", "/api/v1/people/<int:person_id>", 200, seconds)
    metrics.answered("GET", "/api/v1/people/<int:person_id>", 404, 0.001)
    found = samples(metrics)
    labels = (("method", "GET"), ("route", "/api/v1/people/<int:person_id>"))
    assert found["faceall_requests_total", (*labels, ("status", "200"))] == 2
    assert found["faceall_requests_total", (*labels, ("status", "404"))] == 1
    route = ("route", "/api/v1/people/<int:person_id>")
    assert found["faceall_request_seconds_count", (route,)] == 3
    assert found["faceall_request_seconds_bucket", (("le", "0.025"), route)] == 2


def test_strangers_cannot_make_labels() -> None:
    """Unknown addresses are one route, unknown methods one method."""
    metrics = Metrics()
    for number in range(1000):
        metrics.answered(f"M{number}", None, 404, 0.001)
    lines = [line for line in metrics.render().decode().splitlines() if line.startswith("faceall_requests_total")]
    assert lines == ['faceall_requests_total{method="other",route="unknown",status="404"} 1000.0']


def test_batches_faces_registrations_and_refusals_are_counted() -> None:
    """Faces are those that went through the embedder."""
    metrics = Metrics()
    metrics.ran("detect", 4)
    metrics.ran("embed", 7)
    metrics.ran("embed", 1)
    metrics.registered("registered")
    metrics.rejected("busy")
    found = samples(metrics)
    assert found["faceall_batch_size_sum", (("network", "detect"),)] == 4
    assert found["faceall_batch_size_count", (("network", "embed"),)] == 2
    assert found["faceall_faces_total", ()] == 8
    assert found["faceall_registrations_total", (("result", "registered"),)] == 1
    assert found["faceall_rejected_total", (("reason", "busy"),)] == 1


def test_a_watched_number_is_read_when_it_is_asked_for() -> None:
    """Such as the length of a queue."""
    metrics, waiting = Metrics(), [3.0]
    metrics.watch("queue_images", "Images that wait", lambda: waiting[0])
    assert samples(metrics)["faceall_queue_images", ()] == 3
    waiting[0] = 5
    assert samples(metrics)["faceall_queue_images", ()] == 5


def test_two_servers_in_one_process_count_apart() -> None:
    """Neither knows of the other."""
    one, other = Metrics(), Metrics()
    one.rejected("busy")
    assert ("faceall_rejected_total", (("reason", "busy"),)) not in samples(other)


def test_the_process_is_measured_too() -> None:
    """Its memory, for one."""
    assert b"process_resident_memory_bytes" in Metrics().render()


def test_a_line_in_the_log_says_who_did_what_with_what_result() -> None:
    """And nothing that could name a person: neither path nor query, but the route."""
    line = access_line(
        client="10.0.0.7",
        method="GET",
        route="/people/<int:person_id>",
        status=200,
        sent=512,
        seconds=0.0123,
        key="ab12",
    )
    stamp, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)
    assert rest == "10.0.0.7 GET /people/<int:person_id> 200 512 12ms key=ab12"
    odd = access_line(client="-", method="G\nET", route=None, status=404, sent=None, seconds=1)
    assert odd.split(" ", 1)[1] == "- other unknown 404 - 1000ms key=-"

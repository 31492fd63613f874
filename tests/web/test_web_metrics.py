"""The metrics for Prometheus, and the request log."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from faceall.web.metrics import Metrics, access_line


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Parse every sample by name and labels, as Prometheus does."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_requests_are_counted_by_method_route_and_status() -> None:
    """Requests are counted, with a histogram of their durations."""
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


def test_clients_cannot_create_labels() -> None:
    """Unknown paths are counted as one route, unknown methods as one method."""
    metrics = Metrics()
    for number in range(1000):
        metrics.answered(f"M{number}", None, 404, 0.001)
    lines = [line for line in metrics.render().decode().splitlines() if line.startswith("faceall_requests_total")]
    assert lines == ['faceall_requests_total{method="other",route="unknown",status="404"} 1000.0']


def test_batches_faces_registrations_and_refusals_are_counted() -> None:
    """Faces are counted when they are embedded."""
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


def test_gauges_are_read_on_request() -> None:
    """A gauge, such as the length of a queue, is read when the metrics are requested."""
    metrics, waiting = Metrics(), [3.0]
    metrics.watch("queue_images", "Images that wait", lambda: waiting[0])
    assert samples(metrics)["faceall_queue_images", ()] == 3
    waiting[0] = 5
    assert samples(metrics)["faceall_queue_images", ()] == 5


def test_two_servers_in_one_process_count_separately() -> None:
    """Each server has its own counters."""
    one, other = Metrics(), Metrics()
    one.rejected("busy")
    assert ("faceall_rejected_total", (("reason", "busy"),)) not in samples(other)


def test_the_process_is_measured_too() -> None:
    """The metrics include the memory of the process."""
    assert b"process_resident_memory_bytes" in Metrics().render()


def test_a_log_line_has_no_personal_data() -> None:
    """A line has the route instead of path and query, which could contain a name."""
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

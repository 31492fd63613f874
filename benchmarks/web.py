"""Measure the web app under load: requests per second, latency, and memory over many requests.

It starts the real `faceall serve` on a new gallery, as a process of its own, and asks it over HTTP from threads of this
one, which keep their connections. Every client sends its next request when it has the answer to the last.

Usage: python benchmarks/web.py PHOTO_FOLDER [--clients N ...] [--requests N] [--many N] [--json FILE]
  PHOTO_FOLDER    images, at any depth; each is registered once, so there have to be enough of them
  --requests N    register and retrieve so many images with each number of clients
  --many N        then send so many requests of all kinds and look at the server's memory (0: do not)
  --model NAME    the embedder, as for `faceall serve`
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import print_table, write_json

from faceall.images import find_images

_STARTED = re.compile(r"http://127\.0\.0\.1:(\d+)/")
_BOUNDARY = "----benchmark"
_WARM_UP = 8
_SAMPLES = 10  # of the memory

Request = tuple[str, str, bytes, str]
"""Method, path, body, content type."""


@dataclass(eq=False)
class Measured:
    """Result of a load: seconds per request, responses by status, and total seconds."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    elapsed: float = 0.0

    def quantile(self, share: float) -> float:
        """Return a percentile of the latency in milliseconds."""
        return 1000 * sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


class Server:
    """A running `faceall serve`."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def get(self, path: str) -> bytes:
        """Return the body of a GET request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        return connection.getresponse().read()

    def memory(self) -> float:
        """Return the resident memory in megabytes (Linux)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def processor(self) -> float:
        """Return the processor seconds used by all threads (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """Return one value of its metrics."""
        for line in self.get("/metrics").decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0


@contextmanager
def serving(folder: Path, model: str | None) -> Iterator[Server]:
    """Run `faceall serve` on a new gallery, on a free port."""
    command = [sys.executable, "-c", "from faceall_cli.main import main; main()", "serve", "--port", "0"]
    command += ["--gallery", str(folder), *(["--model", model] if model else [])]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    try:
        found = None
        while not found:
            line = process.stderr.readline()
            if not line:
                raise SystemExit("the server did not start")
            found = _STARTED.search(line)
        log = process.stderr
        threading.Thread(target=lambda: [None for _ in log], daemon=True).start()  # or its pipe would fill
        yield Server(process, int(found[1]))
    finally:
        process.terminate()
        process.wait(60)


def image_request(path: str, field_name: str, file: Path) -> Request:
    """Make a form request with one image."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field_name}"; filename="{file.name}"\r\n\r\n'
    body = head.encode() + file.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return "POST", path, body, f"multipart/form-data; boundary={_BOUNDARY}"


def load(
    server: Server, clients: int, requests: Iterator[Request], after: Callable[[int], None] = lambda n: None
) -> Measured:
    """Send requests from several concurrent clients; `after` is called with the number of completed requests."""
    measured, lock = Measured(), threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        while True:
            with lock:
                request = next(requests, None)
            if request is None:
                return
            method, path, body, kind = request
            start = time.perf_counter()
            connection.request(method, path, body or None, {"Content-Type": kind} if body else {})
            answer = connection.getresponse()
            answer.read()
            seconds = time.perf_counter() - start
            with lock:
                measured.seconds.append(seconds)
                measured.statuses[answer.status] += 1
                after(len(measured.seconds))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    measured.elapsed = time.perf_counter() - start
    return measured


def row(server: Server, what: str, clients: int, requests: list[Request]) -> dict[str, Any]:
    """Return one row of the table: a load and its effect on the server."""
    names = [f'faceall_batch_size_{kind}{{net="{net}"}}' for net in ("detect", "embed") for kind in ("sum", "count")]
    before, used = [server.metric(name) for name in names], server.processor()
    measured = load(server, clients, iter(requests))
    used = server.processor() - used
    runs = [server.metric(name) - start for name, start in zip(names, before, strict=True)]
    return {
        "what": what,
        "clients": clients,
        "requests": len(requests),
        "per second": len(requests) / measured.elapsed,
        "p50 ms": measured.quantile(0.5),
        "p99 ms": measured.quantile(0.99),
        "refused (503)": measured.statuses[503],
        "other errors": sum(n for status, n in measured.statuses.items() if status not in (200, 503)),
        "images at once": runs[0] / max(runs[1], 1),
        "faces at once": runs[2] / max(runs[3], 1),
        "cores used": used / measured.elapsed,
        "CPU ms per request": 1000 * used / len(requests),
    }


def measure_load(server: Server, files: list[Path], given: argparse.Namespace) -> list[dict[str, Any]]:
    """Register and then search with each number of clients."""
    rows = []
    waiting = iter(files)
    register = "/api/v1/register?wait=true"
    load(server, 1, (image_request(register, "files", file) for file in itertools.islice(waiting, _WARM_UP)))
    for clients in given.clients:
        chosen = [image_request(register, "files", file) for file in itertools.islice(waiting, given.requests)]
        rows.append(row(server, "register", clients, chosen))
    for clients in given.clients:
        chosen = [image_request("/api/v1/search", "file", file) for file in files[-given.requests :]]
        rows.append(row(server, "retrieve", clients, chosen))
    return rows


def mixed(server: Server, files: list[Path], count: int) -> Iterator[Request]:
    """Yield requests of all kinds in a fixed order."""
    chosen = random.Random(6)
    faces = [face["id"] for face in json.loads(server.get("/api/v1/faces?limit=100"))["faces"]]
    people = [person["id"] for person in json.loads(server.get("/api/v1/people?limit=100"))["people"]]
    for _ in range(count):
        file, face, person = chosen.choice(files), chosen.choice(faces), chosen.choice(people)
        yield chosen.choices(
            (
                image_request("/api/v1/search", "file", file),
                image_request("/api/v1/register?wait=true", "files", file),
                ("GET", f"/api/v1/faces/{face}/thumbnail", b"", ""),
                ("GET", f"/api/v1/people/{person}", b"", ""),
                ("GET", "/api/v1/people?limit=50", b"", ""),
                ("GET", f"/people/{person}", b"", ""),
                ("GET", "/", b"", ""),
            ),
            (25, 5, 30, 15, 10, 10, 5),
        )[0]


def measure_memory(server: Server, files: list[Path], count: int, clients: int) -> list[dict[str, Any]]:
    """Measure the memory of the server before, during and after many requests of all kinds."""
    load(server, clients, mixed(server, files, max(1, count // 20)))  # what is made once, is made now
    rows = [{"requests": 0, "memory MB": server.memory()}]

    def note(done: int) -> None:
        if done % max(1, count // _SAMPLES) == 0:
            rows.append({"requests": done, "memory MB": server.memory()})

    measured = load(server, clients, mixed(server, files, count), note)
    statuses = ", ".join(f"{number} x {status}" for status, number in sorted(measured.statuses.items()))
    print(f"{count} requests of all kinds from {clients} clients in {measured.elapsed:.0f} s: {statuses}")
    return rows


def explain(rows: list[dict[str, Any]]) -> str:
    """Report what limits the server, from its metrics."""
    cores = os.cpu_count() or 1
    busy = max(line["cores used"] for line in rows)
    cost = {what: statistics.median(line["CPU ms per request"] for line in rows if line["what"] == what)
            for what in ("register", "retrieve")}  # fmt: skip
    limit = (
        "the processor" if busy > 0.7 * cores else "not the server: it waits for clients, the disk or other programs"
    )
    return (
        f"limit: {limit}; at most {busy:.2f} of {cores} cores were busy in the server, "
        f"{cost['register']:.0f} ms of them per registration and {cost['retrieve']:.0f} ms per retrieval"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--model")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    files = find_images(given.photos)
    random.Random(1).shuffle(files)
    needed = _WARM_UP + len(given.clients) * given.requests
    if len(files) < needed:
        raise SystemExit(f"{given.photos} has {len(files)} images, {needed} are needed; ask for fewer --requests")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch) / "gallery", given.model) as server:
        if given.requests:
            rows += measure_load(server, files[:needed], given)
            print_table(rows)
            print(explain(rows))
        if given.many:
            memory = measure_memory(server, files[: min(len(files), 300)], given.many, 8)
            print_table(memory)
            rows += memory
    write_json(given.json, rows)


if __name__ == "__main__":
    main()

"""`Jobs`: registrations that go on after their request was answered, and what has become of each picture."""

from __future__ import annotations

import json
import logging
import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from faceall.web.refusal import RefusedError

_log = logging.getLogger(__name__)

Result = dict[str, Any]
Register = Callable[[Sequence["Item"]], Iterator[Result]]
"""Registers pictures, in order: a result for each."""

INTERNAL = {"code": "internal", "message": "it could not be registered; the server's log tells why"}
"""The error of a picture that nobody foresaw."""

STREAM_SECONDS = 20.0
"""After which an event stream ends; a browser then asks for the rest by itself."""

_KEPT = 200  # finished jobs
_KEPT_RESULTS = 20_000  # of finished jobs
_KEPT_SECONDS = 3600.0
_RETRY_AFTER = 5
_HEARTBEAT = 10.0  # seconds; a connection that nothing is said on may be cut


@dataclass(frozen=True, eq=False)
class Item:
    """A picture to register.

    name    what it is called in results
    upload  where it lies, if it is there already
    url     where it is to be downloaded from
    error   why it cannot be registered, as `{"code", "message"}`, where that is known already
    person  whose it is; None for nobody's
    refile  whether a known photo becomes that person's
    """

    name: str
    upload: Path | None = None
    url: str | None = None
    error: dict[str, Any] | None = None
    person: str | None = None
    refile: bool = False


@dataclass(eq=False)
class Job:
    """A registration of some pictures; `results` grows in their order."""

    total: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: Literal["queued", "running", "done"] = "queued"
    results: list[Result] = field(default_factory=list)
    finished: float | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def record(self) -> dict[str, Any]:
        """The job as JSON, with the results so far."""
        with self.changed:
            results = list(self.results)
            return {
                "id": self.id,
                "state": self.state,
                "done": len(results),
                "total": self.total,
                "results": results,
            }

    def add(self, result: Result) -> None:
        """Note what became of the next picture."""
        with self.changed:
            self.results.append(result)
            self.changed.notify_all()

    def become(self, state: Literal["running", "done"]) -> None:
        """Change the state."""
        with self.changed:
            self.state = state
            self.finished = time.monotonic() if state == "done" else None
            self.changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; returns whether it has come."""
        with self.changed:
            return self.changed.wait_for(lambda: self.state == "done", timeout)

    def events(self, *, after: int, seconds: float) -> Iterator[str]:
        """Server-sent events: one `result` per picture, numbered from 1, then `done`.

        after    results that the client has already
        seconds  after which the stream ends; a browser then asks for the rest
        """
        deadline = time.monotonic() + seconds
        yield "retry: 500\n\n"
        while True:
            news, done = self._news(after, max(0.0, min(_HEARTBEAT, deadline - time.monotonic())))
            for result in news:
                after += 1
                yield f"id: {after}\nevent: result\ndata: {json.dumps(result)}\n\n"
            if done:
                summary = {"id": self.id, "state": "done", "done": after, "total": self.total}
                yield f"event: done\ndata: {json.dumps(summary)}\n\n"
                return
            if time.monotonic() >= deadline:
                return
            if not news:
                yield ": still at work\n\n"

    def _news(self, after: int, patience: float) -> tuple[list[Result], bool]:
        """The results after the first so many, waited for if there are none, and whether the job is done."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.results) > after or self.state == "done", patience)
            return self.results[after:], self.state == "done"


class Stream:
    """An event stream that gives its place back when it is closed, even if nobody has read of it."""

    def __init__(self, events: Iterator[str], release: Callable[[], None]) -> None:
        self._events, self._release = events, release
        self._open = True

    def __iter__(self) -> Iterator[str]:
        return self._events

    def close(self) -> None:
        """End it; a second call does nothing."""
        if self._open:
            self._open = False
            self._release()


class Jobs:
    """Runs registrations in threads of its own.

    register      what registers pictures
    threads       jobs that run at the same time
    most_waiting  pictures that are accepted but not done
    most_streams  event streams at the same time: each holds a thread of the server
    """

    def __init__(self, register: Register, *, threads: int, most_waiting: int, most_streams: int) -> None:
        self._register = register
        self._most_waiting = most_waiting
        self._streams = threading.BoundedSemaphore(most_streams)
        self._waiting = 0
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._queue: queue.SimpleQueue[tuple[Job, Sequence[Item]] | None] = queue.SimpleQueue()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"faceall-register-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Pictures that are accepted but not done."""
        with self._lock:
            return self._waiting

    @property
    def running(self) -> int:
        """Jobs that are not done."""
        with self._lock:
            return sum(job.state != "done" for job in self._jobs.values())

    def check_room(self, pictures: int) -> None:
        """Raise RefusedError (503) where so many pictures more are too many, before they are taken."""
        with self._lock:
            self._check_room(pictures)

    def _check_room(self, pictures: int) -> None:
        if self._stopping:
            raise RefusedError("the server is stopping", status=503, code="busy", retry_after=_RETRY_AFTER)
        if self._waiting + pictures > self._most_waiting:
            text = f"{self._waiting:,} pictures are waiting to be registered; try again in some seconds"
            raise RefusedError(text, status=503, code="busy", retry_after=_RETRY_AFTER)

    def submit(self, items: Sequence[Item]) -> Job:
        """Register pictures, in order, as soon as a thread is free. Raises RefusedError (503) for too many."""
        job = Job(len(items))
        with self._lock:
            self._check_room(len(items))
            self._waiting += len(items)
            self._drop_old()
            self._jobs[job.id] = job
            self._queue.put((job, items))
        return job

    def _drop_old(self) -> None:
        """Forget finished jobs: old ones, and the oldest of very many."""
        done = [job for job in self._jobs.values() if job.finished is not None]
        results = 0
        for number, job in enumerate(reversed(done), 1):
            results += job.total
            too_old = time.monotonic() - (job.finished or 0) > _KEPT_SECONDS
            if too_old or number > _KEPT or results > _KEPT_RESULTS:
                del self._jobs[job.id]

    def find(self, job_id: str) -> Job:
        """The job of an id. Raises RefusedError (404)."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise RefusedError(
                "there is no such job; an hour after its end it is forgotten", status=404, code="not_found"
            )
        return job

    def stream(self, job: Job, *, after: int, seconds: float = STREAM_SECONDS) -> Stream:
        """The events of a job, as `Job.events`. Raises RefusedError (503) where too many streams are open."""
        if not self._streams.acquire(blocking=False):
            text = "too many clients follow registrations; ask for the job itself instead, or try again"
            raise RefusedError(text, status=503, code="busy", retry_after=_RETRY_AFTER)
        return Stream(job.events(after=after, seconds=seconds), self._streams.release)

    def stop(self, timeout: float | None = None) -> bool:
        """Take no more, finish what was taken; returns whether everything is done."""
        with self._lock:
            first, self._stopping = not self._stopping, True
        if first:
            for _ in self._threads:
                self._queue.put(None)
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            job, items = task
            job.become("running")
            try:
                for result in self._register(items):
                    self._note(job, result)
            except Exception:  # noqa: BLE001 - the log has it, the pictures get answers, and the thread lives on
                _log.exception("a registration failed")
            for item in items[len(job.results) :]:  # every picture gets an answer, whatever happens
                self._note(job, failure(item.name, INTERNAL))
            job.become("done")

    def _note(self, job: Job, result: Result) -> None:
        with self._lock:
            self._waiting -= 1
        job.add(result)


def failure(name: str, error: dict[str, Any]) -> Result:
    """The result for a picture that could not be registered."""
    status = {"too_large": "too-large", "unsupported_media_type": "unreadable"}.get(error["code"], "failed")
    return {
        "name": name,
        "status": status,
        "message": error["message"],
        "person": None,
        "photo": None,
        "width": None,
        "height": None,
        "faces": [],
        "error": error,
    }

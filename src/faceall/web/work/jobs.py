"""`Jobs`: registrations that continue after their request was answered, with a result per photo."""

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
from typing import Any, Literal

from faceall.web.refusal import RefusedError
from faceall.web.work.uploads import Upload

_log = logging.getLogger(__name__)

Result = dict[str, Any]
Register = Callable[[Sequence["Item"]], Iterator[Result]]
"""Registers photos; yields a result per photo, in order."""

INTERNAL = {"code": "internal", "message": "the photo could not be registered; see the server's log"}
"""The error of an unexpected failure."""

STREAM_SECONDS = 20.0
"""Duration of an event stream; a browser then reconnects by itself."""

_KEPT = 200  # finished jobs
_KEPT_RESULTS = 20_000  # of finished jobs
_KEPT_SECONDS = 3600.0
_RETRY_AFTER = 5
_HEARTBEAT = 10.0  # seconds; proxies close silent connections


@dataclass(frozen=True, eq=False)
class Item:
    """A photo to register: an upload, a URL, or an error that is known already.

    Attributes
    ----------
    name : str
        Its name in results.
    upload : Upload, optional
        The uploaded file.
    url : str, optional
        The address to download it from.
    error : dict, optional
        Why it cannot be registered, as `{"code", "message"}`.
    person : str, optional
        The name of the person; None leaves new faces without a name.
    reassign : bool
        Whether the faces of a known photo are moved to this person.
    """

    name: str
    upload: Upload | None = None
    url: str | None = None
    error: dict[str, Any] | None = None
    person: str | None = None
    reassign: bool = False


@dataclass(eq=False)
class Job:
    """A registration; `results` grows in the order of the photos."""

    total: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: Literal["queued", "running", "done"] = "queued"
    results: list[Result] = field(default_factory=list)
    finished: float | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def record(self) -> dict[str, Any]:
        """Return the job and its results so far as JSON."""
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
        """Append the result of the next photo."""
        with self.changed:
            self.results.append(result)
            self.changed.notify_all()

    def set_state(self, state: Literal["running", "done"]) -> None:
        """Change the state."""
        with self.changed:
            self.state = state
            self.finished = time.monotonic() if state == "done" else None
            self.changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; returns whether it was reached in time."""
        with self.changed:
            return self.changed.wait_for(lambda: self.state == "done", timeout)

    def events(self, *, after: int, seconds: float) -> Iterator[str]:
        """Yield server-sent events: one `result` per photo, numbered from 1, then `done`.

        Parameters
        ----------
        after : int
            Number of results that the client has already.
        seconds : float
            Duration of the stream; a browser then reconnects.
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
                yield ": still running\n\n"

    def _news(self, after: int, timeout: float) -> tuple[list[Result], bool]:
        """Wait for results after the first `after`; returns them and whether the job is done."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.results) > after or self.state == "done", timeout)
            return self.results[after:], self.state == "done"


class Stream:
    """An event stream that calls `release` when it is closed, also if it was never read."""

    def __init__(self, events: Iterator[str], release: Callable[[], None]) -> None:
        self._events, self._release = events, release
        self._open = True

    def __iter__(self) -> Iterator[str]:
        return self._events

    def close(self) -> None:
        """End the stream; a second call does nothing."""
        if self._open:
            self._open = False
            self._release()


class Jobs:
    """Runs registrations in its own threads.

    Parameters
    ----------
    register : callable
        Registers photos.
    threads : int
        Jobs that run at the same time.
    max_waiting : int
        Photos that are accepted but not done.
    max_streams : int
        Concurrent event streams; each uses a thread of the server.
    """

    def __init__(self, register: Register, *, threads: int, max_waiting: int, max_streams: int) -> None:
        self._register = register
        self._max_waiting = max_waiting
        self._streams = threading.BoundedSemaphore(max_streams)
        self._waiting = 0
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._queue: queue.SimpleQueue[tuple[Job, Sequence[Item]] | None] = queue.SimpleQueue()
        self._stopping = False
        self._thread_count = threads
        self._threads: list[threading.Thread] = []

    def _start_threads(self) -> None:
        """Start the threads at the first job (the lock is held), so that an app can be forked before."""
        if self._threads:
            return
        self._threads = [
            threading.Thread(target=self._run, name=f"faceall-register-{number}", daemon=True)
            for number in range(self._thread_count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Photos that are accepted but not done."""
        with self._lock:
            return self._waiting

    @property
    def running(self) -> int:
        """Jobs that are not done."""
        with self._lock:
            return sum(job.state != "done" for job in self._jobs.values())

    def check_capacity(self, photos: int) -> None:
        """Check that a number of photos can be accepted.

        Raises
        ------
        RefusedError
            503 if too many are waiting, or the server is stopping.
        """
        with self._lock:
            self._check_capacity(photos)

    def _check_capacity(self, photos: int) -> None:
        if self._stopping:
            raise RefusedError("the server is stopping", status=503, code="busy", retry_after=_RETRY_AFTER)
        if self._waiting + photos > self._max_waiting:
            text = f"{self._waiting:,} photos are waiting to be registered; try again in {_RETRY_AFTER} seconds"
            raise RefusedError(text, status=503, code="busy", retry_after=_RETRY_AFTER)

    def submit(self, items: Sequence[Item]) -> Job:
        """Queue photos for registration.

        Raises
        ------
        RefusedError
            503 if too many are waiting, or the server is stopping.
        """
        job = Job(len(items))
        with self._lock:
            self._check_capacity(len(items))
            self._start_threads()
            self._waiting += len(items)
            self._drop_old()
            self._jobs[job.id] = job
            self._queue.put((job, items))
        return job

    def _drop_old(self) -> None:
        """Drop finished jobs by age, number and size."""
        done = [job for job in self._jobs.values() if job.finished is not None]
        results = 0
        for number, job in enumerate(reversed(done), 1):
            results += job.total
            too_old = time.monotonic() - (job.finished or 0) > _KEPT_SECONDS
            if too_old or number > _KEPT or results > _KEPT_RESULTS:
                del self._jobs[job.id]

    def find(self, job_id: str) -> Job:
        """Return the job with an id.

        Raises
        ------
        RefusedError
            404 if there is none.
        """
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise RefusedError("unknown job; finished jobs are kept for one hour", status=404, code="not_found")
        return job

    def stream(self, job: Job, *, after: int, seconds: float = STREAM_SECONDS) -> Stream:
        """Return the events of a job, see `Job.events`.

        Raises
        ------
        RefusedError
            503 if too many streams are open.
        """
        if not self._streams.acquire(blocking=False):
            text = "too many event streams are open; request the job itself instead, or try again"
            raise RefusedError(text, status=503, code="busy", retry_after=_RETRY_AFTER)
        return Stream(job.events(after=after, seconds=seconds), self._streams.release)

    def stop(self, timeout: float | None = None) -> bool:
        """Accept no more jobs and finish the accepted ones; returns whether that was done in time."""
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
            job.set_state("running")
            try:
                for result in self._register(items):
                    self._note(job, result)
            except Exception:  # noqa: BLE001 - it is logged, each photo gets a result, and the thread continues
                _log.exception("a registration failed")
            for item in items[len(job.results) :]:  # each photo gets a result
                self._note(job, failure(item.name, INTERNAL))
            job.set_state("done")

    def _note(self, job: Job, result: Result) -> None:
        with self._lock:
            self._waiting -= 1
        job.add(result)


def failure(name: str, error: dict[str, Any]) -> Result:
    """Return the result of a photo that could not be registered."""
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

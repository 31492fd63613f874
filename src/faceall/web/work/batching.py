"""`Worker`: one model for many requests, which are answered together where they come together.

Many threads call `detector` and `embedder`; one thread runs the nets. It takes what waits, a few pictures of everybody
in turn, so that a folder of photos does not hold up a search; faces to embed come before pictures to search, for they
end work that was begun. A picture at which the nets fail is an error for who sent it, and for nobody else.

The queue is bounded at its door: `admit` refuses a request at once when as many as `places` are inside.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceall.analysis.analyser import Analyser, Crops, FaceDetector, FaceEmbedder
from faceall.models import ModelFolder
from faceall.types import Faces, Float32Array, Image
from faceall.web.refusal import RefusedError
from faceall.web.work.queues import In, Order, Out, Stage

PLACES = 64
PICTURES = 8
"""At most so many pictures are searched at a time: more are hardly faster, and each waits for all of them."""
PIXELS = 8_000_000
"""At most so many pixels, unless one picture alone has more."""
CROPS = 16
"""At most so many faces go through the embedder at a time; it does not do more at once."""

_MEAN_OF = 20  # the last so many admissions tell how long one takes
_LONGEST_WAIT = 60


class BusyError(RefusedError):
    """The server has as much work as it takes; the text says when to ask again."""

    def __init__(self, seconds: int) -> None:
        text = f"the server is busy; ask again in {seconds} s"
        super().__init__(text, status=503, code="busy", retry_after=seconds)


class StoppedError(RefusedError):
    """The server is shutting down."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down", status=503, code="busy", retry_after=10)


@dataclass(frozen=True)
class Load:
    """What a worker has to do: requests inside, places, and pictures and faces that wait for the nets."""

    inside: int
    places: int
    pictures: int
    crops: int


class Worker:
    """Runs a detector and an embedder for many threads. Close it; what was accepted is finished first.

    analyser          has the two, or makes them at their first use
    places            requests that may be inside at once
    pictures, pixels  at most so many in one go of the detector
    crops             at most so many in one go of the embedder
    wait              seconds to wait for company when something comes and nothing else is there
    observe           told ("detect" or "embed", how many at once) about every go

    Its `detector` and `embedder` are what the many threads use.
    """

    def __init__(
        self,
        analyser: Analyser,
        *,
        places: int = PLACES,
        pictures: int = PICTURES,
        pixels: int = PIXELS,
        crops: int = CROPS,
        wait: float = 0.0,
        observe: Callable[[str, int], None] = lambda stage, size: None,
    ) -> None:
        self._places, self._wait = places, wait
        self._changed = threading.Condition()
        self._closed = False
        self._inside = 0
        self._seconds: deque[float] = deque([0.1], maxlen=_MEAN_OF)
        self._analyser = analyser
        self._detecting = Stage("detect", self._find, pictures, pixels, _pixels_of, observe)
        self._embedding = Stage("embed", _by_stack(analyser), crops, crops, lambda crop: 1, observe)
        self.detector: FaceDetector = _SharedDetector(self)
        self.embedder: FaceEmbedder = _SharedEmbedder(self, analyser)
        self._thread = threading.Thread(target=self._run, name="faceall-worker", daemon=True)
        self._thread.start()

    def warm_up(self) -> None:
        """Load both nets now; call it before anybody else uses them."""
        self._analyser.warm_up()

    def _find(self, images: Sequence[Image]) -> list[Faces]:
        return self._analyser.detector.detect_batch(images)  # made at the first use

    @contextmanager
    def admit(self) -> Iterator[None]:
        """A place for one request while the block runs. Raises BusyError where there is none, StoppedError."""
        with self._changed:
            if self._closed:
                raise StoppedError
            if self._inside >= self._places:
                raise BusyError(self.retry_after)
            self._inside += 1
        start = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._seconds.append(time.monotonic() - start)
                self._changed.notify_all()

    @property
    def retry_after(self) -> int:
        """Whole seconds after which a place should be free: as long as a request took of late, on average."""
        return min(_LONGEST_WAIT, max(1, math.ceil(sum(self._seconds) / len(self._seconds))))

    @property
    def load(self) -> Load:
        """What there is to do."""
        with self._changed:
            return Load(self._inside, self._places, self._detecting.waiting, self._embedding.waiting)

    def close(self, seconds: float | None = None) -> bool:
        """Admit nobody any more and finish what was accepted; returns whether that was done in time.

        After it every use raises StoppedError. A second call does nothing.
        """
        with self._changed:
            self._closed = True
            left = self._changed.wait_for(lambda: not self._inside, seconds)
            self._stop()
        self._thread.join(seconds)
        return left and not self._thread.is_alive()

    def _stop(self) -> None:
        self._detecting.stopped = self._embedding.stopped = True
        self._changed.notify_all()

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """The faces of pictures, found together with those of others; raises the error of the first that fails."""
        return self._put(self._detecting, images)

    def embed(self, crops: Crops) -> list[Float32Array]:
        """The vectors of crops (n, H, W, 3) uint8, made together with those of others."""
        return self._put(self._embedding, list(crops))

    def _put(self, stage: Stage[In, Out], inputs: Sequence[In]) -> list[Out]:
        if not inputs:
            return []
        order: Order[In, Out] = Order(inputs)
        with self._changed:
            if stage.stopped:
                raise StoppedError
            stage.orders.append(order)
            self._changed.notify_all()
        order.done.wait()
        results: list[Out] = []
        for result in order.results:
            if isinstance(result, BaseException):
                raise result
            results.append(result)
        return results

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next() or self._embedding.stopped)
                stage = self._next()
                if stage is None:
                    return
                if self._wait:
                    self._changed.wait_for(stage.is_full, self._wait)
                batch = stage.take()
            stage.run(batch)

    def _next(self) -> Stage[Any, Any] | None:
        """The net for which something waits, the embedder first."""
        return next((stage for stage in (self._embedding, self._detecting) if stage.orders), None)


class _SharedDetector:
    """A `FaceDetector` that asks a worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """The faces of several pictures."""
        return self._worker.detect(images)


class _SharedEmbedder:
    """A `FaceEmbedder` that asks a worker; cutting faces out is done in the thread that asks."""

    def __init__(self, worker: Worker, analyser: Analyser) -> None:
        self._worker, self._analyser = worker, analyser

    @property
    def size(self) -> int:
        """Numbers per vector."""
        return self._analyser.embedder.size

    @property
    def model(self) -> ModelFolder:
        """The model that makes them."""
        return self._analyser.embedder.model

    def crop(self, image: Image, faces: Faces, /) -> Crops:
        """The parts of a picture that the net gets to see."""
        return self._analyser.embedder.crop(image, faces)

    def embed_crops(self, crops: Crops, /) -> Float32Array:
        """(n, H, W, 3) uint8 -> (n, size) float32 of unit length."""
        if not len(crops):
            return np.zeros((0, self.size), np.float32)
        return np.stack(self._worker.embed(crops))


def _by_stack(analyser: Analyser) -> Callable[[Sequence[Image]], Sequence[Float32Array]]:
    """The embedder as a function of single crops."""
    return lambda crops: list(analyser.embedder.embed_crops(np.stack(crops)))


def _pixels_of(image: Image) -> int:
    """How much work a picture is; arrays that are no pictures are refused by the detector."""
    return int(np.prod(image.shape[:2]))

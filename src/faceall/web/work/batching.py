"""`Worker`: one model for many threads, with dynamic batching.

Many threads call `detector` and `embedder`; one thread runs the networks. A batch takes images of all waiting requests
in turn, so that a large registration does not block a search. Faces to embed come first, because they complete work
that has started. An image for which a network fails is an error of its own request only.

`admit` limits the number of requests; further ones are refused at once.
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
from faceall.web.work.queues import BatchQueue, In, Out, Request

MAX_REQUESTS = 64
"""Requests that are admitted at the same time."""
MAX_IMAGES = 8
"""Images per batch of the detector: larger batches are hardly faster and delay each image."""
MAX_PIXELS = 8_000_000
"""Pixels per batch of the detector, unless one image has more."""
MAX_CROPS = 16
"""Faces per batch of the embedder, which has this batch size."""

_MEAN_OF = 20  # requests that the estimated waiting time is averaged over
_MAX_RETRY_AFTER = 60


class BusyError(RefusedError):
    """The server has no capacity; the message says when to try again."""

    def __init__(self, seconds: int) -> None:
        text = f"the server is busy; try again in {seconds} s"
        super().__init__(text, status=503, code="busy", retry_after=seconds)


class StoppedError(RefusedError):
    """The server is shutting down."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down", status=503, code="busy", retry_after=10)


@dataclass(frozen=True)
class Load:
    """The load of a worker.

    Attributes
    ----------
    requests : int
        Admitted requests.
    max_requests : int
        Their maximum.
    images : int
        Images that wait for the detector.
    crops : int
        Faces that wait for the embedder.
    """

    requests: int
    max_requests: int
    images: int
    crops: int


class Worker:
    """Runs a detector and an embedder for many threads; `close` finishes accepted work first.

    Parameters
    ----------
    analyser : Analyser
        Has the two networks, or loads them at their first use.
    max_requests : int
        Requests that are admitted at the same time.
    max_images, max_pixels : int
        Per batch of the detector.
    max_crops : int
        Per batch of the embedder.
    wait : float
        Seconds to wait for a full batch.
    observe : callable
        Called with "detect" or "embed" and the size of each batch.

    Attributes
    ----------
    detector : FaceDetector
        For use by any thread.
    embedder : FaceEmbedder
        For use by any thread.
    """

    def __init__(
        self,
        analyser: Analyser,
        *,
        max_requests: int = MAX_REQUESTS,
        max_images: int = MAX_IMAGES,
        max_pixels: int = MAX_PIXELS,
        max_crops: int = MAX_CROPS,
        wait: float = 0.0,
        observe: Callable[[str, int], None] = lambda network, size: None,
    ) -> None:
        self._max_requests, self._wait = max_requests, wait
        self._changed = threading.Condition()
        self._closed = False
        self._admitted = 0
        self._seconds: deque[float] = deque([0.1], maxlen=_MEAN_OF)
        self._analyser = analyser
        self._detecting = BatchQueue("detect", self._detect, max_images, max_pixels, _pixels_of, observe)
        self._embedding = BatchQueue("embed", _embed_stacked(analyser), max_crops, max_crops, lambda crop: 1, observe)
        self.detector: FaceDetector = _SharedDetector(self)
        self.embedder: FaceEmbedder = _SharedEmbedder(self, analyser)
        self._thread = threading.Thread(target=self._run, name="faceall-worker", daemon=True)
        self._thread.start()

    def warm_up(self) -> None:
        """Load both networks; call this before other threads use them."""
        self._analyser.warm_up()

    def _detect(self, images: Sequence[Image]) -> list[Faces]:
        return self._analyser.detector.detect_batch(images)  # loaded at the first use

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Admit a request for the duration of the block.

        Raises
        ------
        BusyError
            If too many requests are admitted.
        StoppedError
            After `close`.
        """
        with self._changed:
            if self._closed:
                raise StoppedError
            if self._admitted >= self._max_requests:
                raise BusyError(self.retry_after)
            self._admitted += 1
        start = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._admitted -= 1
                self._seconds.append(time.monotonic() - start)
                self._changed.notify_all()

    @property
    def retry_after(self) -> int:
        """Whole seconds after which a request may be admitted: the mean duration of recent requests."""
        return min(_MAX_RETRY_AFTER, max(1, math.ceil(sum(self._seconds) / len(self._seconds))))

    @property
    def load(self) -> Load:
        """The current load."""
        with self._changed:
            return Load(self._admitted, self._max_requests, self._detecting.waiting, self._embedding.waiting)

    def close(self, seconds: float | None = None) -> bool:
        """Finish accepted work and stop; further use raises StoppedError.

        Parameters
        ----------
        seconds : float, optional
            Time to wait; None waits until all is done.

        Returns
        -------
        bool
            Whether all work was finished in time.
        """
        with self._changed:
            self._closed = True
            left = self._changed.wait_for(lambda: not self._admitted, seconds)
            self._stop()
        self._thread.join(seconds)
        return left and not self._thread.is_alive()

    def _stop(self) -> None:
        self._detecting.stopped = self._embedding.stopped = True
        self._changed.notify_all()

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Detect the faces of images, in batches with those of other threads.

        Raises
        ------
        StoppedError
            After `close`; other errors are those of the detector.
        """
        return self._submit(self._detecting, images)

    def embed(self, crops: Crops) -> list[Float32Array]:
        """Embed crops (n, H, W, 3) uint8, in batches with those of other threads.

        Raises
        ------
        StoppedError
            After `close`; other errors are those of the embedder.
        """
        return self._submit(self._embedding, list(crops))

    def _submit(self, queue: BatchQueue[In, Out], inputs: Sequence[In]) -> list[Out]:
        if not inputs:
            return []
        request: Request[In, Out] = Request(inputs)
        with self._changed:
            if queue.stopped:
                raise StoppedError
            queue.requests.append(request)
            self._changed.notify_all()
        request.done.wait()
        results: list[Out] = []
        for result in request.results:
            if isinstance(result, BaseException):
                raise result
            results.append(result)
        return results

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next() or self._embedding.stopped)
                queue = self._next()
                if queue is None:
                    return
                if self._wait:
                    self._changed.wait_for(queue.is_full, self._wait)
                batch = queue.take()
            queue.run(batch)

    def _next(self) -> BatchQueue[Any, Any] | None:
        """Return a queue with waiting requests, the embedder's first."""
        return next((queue for queue in (self._embedding, self._detecting) if queue.requests), None)


class _SharedDetector:
    """A `FaceDetector` that runs in a worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """Detect the faces of several images."""
        return self._worker.detect(images)


class _SharedEmbedder:
    """A `FaceEmbedder` that runs in a worker; crops are made in the calling thread."""

    def __init__(self, worker: Worker, analyser: Analyser) -> None:
        self._worker, self._analyser = worker, analyser

    @property
    def size(self) -> int:
        """Dimension of the embeddings."""
        return self._analyser.embedder.size

    @property
    def model(self) -> ModelFolder:
        """The model of the embeddings."""
        return self._analyser.embedder.model

    def crop(self, image: Image, faces: Faces, /) -> Crops:
        """Return the crops of faces that the network takes."""
        return self._analyser.embedder.crop(image, faces)

    def embed_crops(self, crops: Crops, /) -> Float32Array:
        """Embed crops (n, H, W, 3) uint8 as unit vectors (n, size) float32."""
        if not len(crops):
            return np.zeros((0, self.size), np.float32)
        return np.stack(self._worker.embed(crops))


def _embed_stacked(analyser: Analyser) -> Callable[[Sequence[Image]], Sequence[Float32Array]]:
    """Return the embedder as a function of a list of crops."""
    return lambda crops: list(analyser.embedder.embed_crops(np.stack(crops)))


def _pixels_of(image: Image) -> int:
    """Return the number of pixels; the detector refuses arrays that are not images."""
    return int(np.prod(image.shape[:2]))

"""One worker for many threads: equal results, bounded batches, and bad images that fail alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from faceall.analysis.analyser import Analyser, FaceDetector
from faceall.embed import Embedder
from faceall.types import Faces, Image
from faceall.web.work.batching import BusyError, StoppedError, Worker
from tiny_model import write_tiny_model


def numbered(number: int, side: int = 4) -> Image:
    """Make an image whose pixels encode a number."""
    return np.full((side, side, 3), number, np.uint8)


class CountingDetector:
    """Find one face whose box starts at the image's number; fail for the number 13.

    It waits for `may_start` and records the numbers of every batch.
    """

    def __init__(self) -> None:
        self.may_start = threading.Event()
        self.may_start.set()
        self.batches: list[list[int]] = []

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """Return the faces of several images."""
        assert self.may_start.wait(20)
        numbers = [int(image[0, 0, 0]) for image in images]
        self.batches.append(numbers)
        if 13 in numbers:
            raise ArithmeticError("13")
        return [face_at(number) for number in numbers]


def face_at(number: int) -> Faces:
    """Make one face whose box starts at `number`."""
    box = np.array([[number, 0, number + 10, 10]], np.float32)
    return Faces(box, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """Return a very small embedder."""
    return Embedder(write_tiny_model(tmp_path_factory.mktemp("models"), size=16).path)


@pytest.fixture
def detector() -> CountingDetector:
    """Return a detector that fails for the number 13."""
    return CountingDetector()


@pytest.fixture
def make(detector: CountingDetector, embedder: Embedder) -> Iterator[Callable[..., Worker]]:
    """Return a function that makes workers, closed at the end."""
    with ExitStack() as stack:

        def start(**given: object) -> Worker:
            worker = Worker(Analyser(detector, embedder), **given)  # type: ignore[arg-type]
            stack.callback(worker.close, 10)
            stack.callback(detector.may_start.set)
            return worker

        yield start


def number_of(faces: Faces) -> int:
    """Return the number of the image in which a face was found."""
    return int(faces.boxes[0, 0])


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after a minute."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def test_threads_get_the_results_of_their_own_images(make: Callable[..., Worker]) -> None:
    """Every thread gets its own results in order while others submit images too."""
    worker = make(max_images=3)

    def ask(start: int) -> list[int]:
        return [number_of(faces) for faces in worker.detector.detect_batch([numbered(start + n) for n in range(4)])]

    starts = list(range(20, 220, 5))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, starts))
    assert answers == [[start + n for n in range(4)] for start in starts]


def test_concurrent_images_share_a_batch(make: Callable[..., Worker], detector: CountingDetector) -> None:
    """Concurrent images are detected in one batch up to the limit, in order of arrival."""
    worker = make(max_images=4)
    detector.may_start.clear()
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(worker.detector.detect_batch, [numbered(100)])
        wait_until(lambda: worker.load.images == 0)
        rest = []
        for number in range(9):
            rest.append(pool.submit(worker.detector.detect_batch, [numbered(number)]))
            wait_until(lambda: worker.load.images == len(rest))
        detector.may_start.set()
        first.result(10)
        assert [number_of(future.result(10)[0]) for future in rest] == list(range(9))
    assert detector.batches == [[100], [0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_a_large_request_does_not_delay_a_small_one(make: Callable[..., Worker], detector: CountingDetector) -> None:
    """A later request with one image finishes before an earlier one with forty."""
    worker = make(max_images=4)
    detector.may_start.clear()
    with ThreadPoolExecutor(2) as pool:
        folder = pool.submit(worker.detector.detect_batch, [numbered(100 + n) for n in range(40)])
        wait_until(lambda: worker.load.images == 36)
        search = pool.submit(worker.detector.detect_batch, [numbered(7)])
        wait_until(lambda: worker.load.images == 37)
        detector.may_start.set()
        search.result(10)
        assert len(folder.result(10)) == 40
    assert 7 in detector.batches[1]


def test_large_images_are_in_smaller_batches(make: Callable[..., Worker], detector: CountingDetector) -> None:
    """Batches are limited by pixels; an image above the limit is a batch of its own."""
    worker = make(max_images=8, max_pixels=250)
    images = [numbered(1, 10), numbered(2, 10), numbered(3, 10), numbered(4, 40), numbered(5, 4), numbered(6, 4)]
    worker.detector.detect_batch(images)
    assert detector.batches == [[1, 2], [3], [4], [5, 6]]


def test_a_failing_image_fails_alone(make: Callable[..., Worker], detector: CountingDetector) -> None:
    """The error is raised in the thread that sent the image; the rest of the batch succeeds."""
    worker = make(max_images=4)
    detector.may_start.clear()
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(worker.detector.detect_batch, [numbered(100)])
        wait_until(lambda: worker.load.images == 0)
        rest = [pool.submit(worker.detector.detect_batch, [numbered(number)]) for number in (1, 13, 2, 3)]
        wait_until(lambda: worker.load.images == 4)
        detector.may_start.set()
        first.result(10)
        for number, future in zip((1, 13, 2, 3), rest, strict=True):
            if number == 13:
                with pytest.raises(ArithmeticError, match="13"):
                    future.result(10)
            else:
                assert number_of(future.result(10)[0]) == number
    assert number_of(worker.detector.detect_batch([numbered(5)])[0]) == 5


def test_vectors_equal_those_of_the_embedder(make: Callable[..., Worker], embedder: Embedder) -> None:
    """Vectors do not depend on concurrent requests; no faces give no vectors."""
    worker = make(max_crops=8)
    random = np.random.default_rng(1)
    groups = [random.integers(0, 256, (count, 160, 160, 3), dtype=np.uint8) for count in (1, 5, 3, 17, 2, 1)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(worker.embedder.embed_crops, groups))
    for crops, vectors in zip(groups, found, strict=True):
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, embedder.embed_crops(crops), atol=2e-5)
    assert worker.embedder.embed_crops(groups[0][:0]).shape == (0, 16)
    assert worker.embedder.size == 16
    assert worker.embedder.model is embedder.model


def test_crops_of_a_wrong_shape_fail_alone(make: Callable[..., Worker]) -> None:
    """Crops of a wrong shape fail without affecting valid crops in the batch."""
    worker = make()
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(worker.embedder.embed_crops, np.zeros((3, 160, 160, 3), np.uint8))
        bad = pool.submit(worker.embedder.embed_crops, np.zeros((1, 80, 160, 3), np.uint8))
        assert good.result(10).shape == (3, 16)
        with pytest.raises(ValueError, match="expected uint8"):
            bad.result(10)


def test_requests_beyond_the_limit_are_refused(make: Callable[..., Worker]) -> None:
    """A request beyond the limit gets 503 with a time to retry; a finished request frees its place."""
    worker = make(max_requests=2)
    with worker.admit():
        with worker.admit():
            with pytest.raises(BusyError) as caught, worker.admit():
                pass
            assert (caught.value.status, caught.value.code) == (503, "busy")
            assert caught.value.retry_after is not None
            assert 1 <= caught.value.retry_after <= 60
            assert (worker.load.requests, worker.load.max_requests) == (2, 2)
        with worker.admit():
            pass
    assert worker.load.requests == 0


def test_closing_finishes_accepted_requests(make: Callable[..., Worker], detector: CountingDetector) -> None:
    """An accepted request may still embed after closing; a later one is refused."""
    worker = make()
    detector.may_start.clear()
    inside = threading.Event()

    def request() -> tuple[int, int]:
        with worker.admit():
            inside.set()
            (faces,) = worker.detector.detect_batch([numbered(3)])
            vectors = worker.embedder.embed_crops(np.zeros((2, 160, 160, 3), np.uint8))
            return number_of(faces), len(vectors)

    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(request)
        assert inside.wait(10)
        closing = pool.submit(worker.close, 10)
        wait_until(lambda: is_closed(worker))
        detector.may_start.set()
        assert answer.result(10) == (3, 2)
        assert closing.result(10) is True
    for use in (lambda: worker.detector.detect_batch([numbered(1)]), lambda: worker.admit().__enter__()):
        with pytest.raises(StoppedError):
            use()
    assert worker.close() is True


def is_closed(worker: Worker) -> bool:
    """Return whether no more requests are admitted."""
    try:
        with worker.admit():
            return False
    except StoppedError:
        return True


def test_closing_does_not_wait_for_ever(make: Callable[..., Worker]) -> None:
    """Closing times out and reports that requests are left."""
    worker = make()
    with worker.admit():
        assert worker.close(0.05) is False


def test_batches_are_reported_to_the_observer(make: Callable[..., Worker]) -> None:
    """The observer gets the net and the size of every batch."""
    seen: list[tuple[str, int]] = []
    worker = make(max_images=2, max_crops=8, observe=lambda stage, size: seen.append((stage, size)))
    worker.detector.detect_batch([numbered(1), numbered(2), numbered(3)])
    worker.embedder.embed_crops(np.zeros((9, 160, 160, 3), np.uint8))
    assert seen == [("detect", 2), ("detect", 1), ("embed", 8), ("embed", 1)]


def test_real_faces_are_the_same_with_and_without_a_worker(shared: Path, embedder: Embedder) -> None:
    """Images of eight threads share calls of the nets; boxes, scores and landmarks are equal but for rounding."""
    from faceall.detect import Detector
    from faceall.images import read_image

    paths = sorted((shared / "data" / "lfw-dev").glob("*/*.jpg"))[:12]
    images = [read_image(path) for path in paths]
    detector: FaceDetector = Detector()
    alone = [detector.detect_batch([image])[0] for image in images]
    worker = Worker(Analyser(detector, embedder))
    with ThreadPoolExecutor(8) as pool:
        together = [found[0] for found in pool.map(lambda image: worker.detector.detect_batch([image]), images)]
    worker.close()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)  # pixels
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.01)

"""Detector, Embedder and Gallery after pickling, in forked processes and at exit."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import faceall
from faceall import Detector, Embedder, Gallery, read_image
from faceall.detect import Cascade, MtcnnDetector
from faceall.errors import IndexFileError, ModelNotFoundError

PHOTO = Path(__file__).parents[2] / "examples" / "someone.jpg"

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@pytest.fixture(scope="module", autouse=True)
def bundled() -> Iterator[None]:
    """Install only the embedder of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("faceall.models.store.BUNDLED", Path(faceall.__file__).parent / "models" / "bundled")
        yield


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    opened = Gallery.open(tmp_path_factory.mktemp("gallery"))
    opened.register(PHOTO, person="Someone")
    return opened


def nearest(gallery: Gallery) -> list[str | None]:
    """Search the photo; a module-level function, so that other processes can import it."""
    return [match.person for result in gallery.search(PHOTO) for match in result.matches]


@pytest.mark.parametrize("copied", [lambda value: pickle.loads(pickle.dumps(value)), copy.deepcopy, copy.copy])
def test_copies_compute_the_same(copied) -> None:
    """Pickled and copied detectors and embedders keep their options and give the same vectors."""
    image = read_image(PHOTO)
    detector, embedder = Detector(min_face=40, rotate=False), Embedder(precision="float32")
    faces = copied(detector)(image)
    assert copied(detector).rotate is False
    np.testing.assert_array_equal(faces.boxes, detector(image).boxes)
    np.testing.assert_array_equal(copied(embedder)(image, faces), embedder(image, faces))


def test_mtcnn_keeps_its_options() -> None:
    """A pickled MTCNN keeps its thresholds and its smallest face."""
    cascade = Cascade(thresholds=(0.5, 0.6, 0.8), lenient=False)
    detector = pickle.loads(pickle.dumps(MtcnnDetector(min_face=50, cascade=cascade)))
    assert (detector.min_face, detector.cascade) == (50, cascade)


def test_embedder_names_a_missing_model() -> None:
    """If the model is not installed, unpickling names it in the error."""
    restore, (path, _, *options) = Embedder().__reduce__()
    with pytest.raises(ModelNotFoundError, match=f"{path.name}.*not installed"):
        restore(path.parent / "absent" / path.name, "0" * 64, *options)


def test_gallery_is_pickled_by_its_address(gallery: Gallery) -> None:
    """A copy is a second connection to the same folder and sees what the first registers."""
    with pickle.loads(pickle.dumps(gallery)) as second, copy.deepcopy(gallery) as third:
        assert (second.place, third.place) == (gallery.place, gallery.place)
        assert nearest(second) == nearest(third) == nearest(gallery) == ["Someone"]


def test_spawned_process_searches(gallery: Gallery) -> None:
    """A gallery can be passed to a function in a spawned process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(nearest, gallery).result() == ["Someone"]


def test_joblib_sends_the_objects() -> None:
    """joblib (loky) can send a detector to its processes."""
    joblib = pytest.importorskip("joblib")
    image = read_image(PHOTO)
    found = joblib.Parallel(2)(joblib.delayed(Detector())(image) for _ in range(2))
    assert [len(faces) for faces in found] == [1, 1]


def in_child(work) -> int:
    """Run a function in a forked child; return its exit code."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@needs_fork
def test_forked_child_and_parent_search_and_write(gallery: Gallery, tmp_path: Path) -> None:
    """After a fork both processes search and register, and see each other's photos."""
    with Gallery.open(tmp_path / "gallery") as opened:
        opened.register(PHOTO, person="Someone")

        def work() -> int:
            assert nearest(opened) == ["Someone"]
            opened.people.rename("Someone", "Child")
            return 0

        assert in_child(work) == 0
        assert nearest(opened) == ["Child"]
        opened.people.rename("Child", "Parent")
        assert not opened.index.verify().problems


@needs_fork
def test_fork_within_a_transaction_closes_the_child(tmp_path: Path) -> None:
    """A child forked during a transaction refuses to use the parent's database."""
    with Gallery.open(tmp_path / "gallery") as opened:
        opened.register(PHOTO)

        def work() -> int:
            try:
                opened.status()
            except IndexFileError:
                return 7
            return 0

        with opened._store.changing():
            assert in_child(work) == 7
        assert len(opened) == 1


@needs_fork
def test_fork_while_threads_search(gallery: Gallery) -> None:
    """A fork waits for searching threads, and the child is not blocked by their locks."""
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            nearest(gallery)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        codes = [in_child(lambda: 0 if len(gallery) == 1 else 1) for _ in range(5)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert codes == [0] * 5


def test_closing_leaves_no_thread(tmp_path: Path) -> None:
    """Neither `with` nor batch detection leaves a Python thread running."""
    before = set(threading.enumerate())
    with Gallery.open(tmp_path / "gallery") as opened:
        opened.register(PHOTO)
        opened.search(PHOTO)
    Detector().detect_batch([read_image(PHOTO)] * 2)
    assert set(threading.enumerate()) == before


_PROGRAM = """
import sys, threading, time
import faceall
from faceall import Detector, Embedder, read_image
image, detector, embedder = read_image(sys.argv[1]), Detector(), Embedder()
faces = detector(image)
def work():
    while True:
        embedder(image, detector(image))
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.2])
def test_program_ends_while_daemon_threads_compute(delay: float) -> None:
    """A program whose daemon threads compute at exit ends with 0 and without output.

    Without the counted calls nearly every such run aborts: "terminate called without an active exception".
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, PHOTO, str(delay)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

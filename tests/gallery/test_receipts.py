"""A receipt says what a removal deleted from every file, and what remains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.gallery import Gallery
from faceall.gallery.context import Context
from faceall.gallery.embedded import EmbeddedStore
from faceall.index import FaceIndex, GraphOptions

pytestmark = pytest.mark.embedded("a receipt lists files")

Opener = Callable[..., Gallery]


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Ada with forty photos, Eve with two, one of them with an unnamed face."""
    for number in range(40):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    write_photo(photos / "Eve" / "a.png", one_face(100))
    write_photo(photos / "Eve" / "b.png", [*one_face(101), (0, 0, 15, (99, 0, 0))])
    list(gallery.register(photos))
    return gallery


def bytes_of(folder: Path) -> bytes:
    """Return the content of every file of a gallery."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith("-shm"))


def test_receipt_of_a_person(filled: Gallery) -> None:
    """The receipt lists faces, photos and generation; no file contains a byte of the faces."""
    (first, second, *_) = filled.faces.find(person="Eve")
    secrets = [filled._index[face.face_id].tobytes() for face in (first, second)]
    secrets += [filled.faces.thumbnail(face.face_id)[-200:] for face in (first, second)]
    filled._index.save()
    assert all(secret in bytes_of(filled.folder) for secret in secrets)
    removal = filled.people.remove("Eve")
    assert (len(removal.faces), len(removal.photos), removal.count) == (2, 1, 2)
    receipt = removal.receipt
    assert receipt is not None
    assert (receipt.secure_delete, receipt.log, receipt.graph, receipt.complete) == (True, "empty", "none", True)
    assert receipt.generation == filled._index.receipt().generation
    assert filled.index.remaining(removal) == 0
    assert not any(secret in bytes_of(filled.folder) for secret in secrets)


def test_receipt_of_a_photo_without_faces(filled: Gallery, photos: Path) -> None:
    """The log is emptied after the removal of a photo without faces, too."""
    filled.register(write_photo(photos / "sky.png", []))
    removal = filled.photos.remove(photos / "sky.png")
    assert (len(removal.photos), removal.count) == (1, 0)
    assert removal.receipt is not None
    assert (removal.receipt.log, removal.receipt.complete) == ("empty", True)


def test_receipt_of_a_large_gallery(filled: Gallery, folder: Path) -> None:
    """A graph file is rewritten without the removed vectors."""
    filled.close()
    index = FaceIndex(folder, exact_limit=10)
    index.save()
    gallery = Gallery(Context(EmbeddedStore(index), Gallery.open(folder)._analyser))
    secrets = [index[face.face_id].tobytes() for face in gallery.faces.find(person="Eve")]
    assert all(secret in (folder / "faces.hnsw").read_bytes() for secret in secrets)
    receipt = gallery.people.remove("Eve").receipt
    assert receipt is not None
    assert (receipt.graph, receipt.complete) == ("rewritten", True)
    assert not any(secret in bytes_of(folder) for secret in secrets)
    gallery.close()


def test_receipt_says_that_a_reader_holds_the_log(
    filled: Gallery, open_gallery: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of an older state keeps the log; the receipt says so, and the next writer clears it."""
    monkeypatch.setattr("faceall.index.face_index._LONGEST_WAIT", 0.1)
    reader, ready, done = open_gallery(read_only=True), threading.Event(), threading.Event()

    def read() -> None:
        with reader._index.reading() as connection:
            connection.execute("SELECT count(*) FROM faces").fetchone()
            ready.set()
            done.wait(30)

    thread = threading.Thread(target=read)
    thread.start()
    assert ready.wait(10)
    try:
        receipt = filled.people.remove("Eve").receipt
        assert receipt is not None
        assert (receipt.log, receipt.complete) == ("held", False)
    finally:
        done.set()
        thread.join()
    filled._index.save()
    assert filled._index.receipt().complete


def test_outdated_graph_is_reported(folder: Path) -> None:
    """A graph file saved before a removal contains the vector until the index is saved again."""
    with Gallery.open(folder, detector=ColourDetector(), embedder=ColourEmbedder()):
        pass
    with FaceIndex(folder, exact_limit=10, options=GraphOptions(threads=1)) as index:
        index.add([[float(number), 1.0] for number in range(40)])
        index.save()
        assert index.receipt().graph == "rewritten"
        index.remove([3])
        assert (index.receipt().graph, index.receipt().complete) == ("outdated", False)
        index.save()
        assert index.receipt().complete

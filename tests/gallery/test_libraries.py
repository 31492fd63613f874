"""Files of real photo libraries: truncated files, missing drives, files that become readable."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as PillowImage
from stand_ins import one_face, paint, write_photo

from faceall.errors import ImageMemoryError
from faceall.gallery import Gallery
from faceall.images import reader_version


def test_truncated_photo_is_registered_with_a_note(gallery: Gallery, photos: Path) -> None:
    """Faces above the cut are found; the note says why the photo is incomplete."""
    path = photos / "cut.jpg"
    PillowImage.fromarray(paint([(0, 0, 32, (200, 40, 40))], 128, 256)).save(path, "JPEG", quality=100, subsampling=0)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 40])
    (result,) = gallery.register(path)
    assert result.status == "added"
    assert "truncated" in [note.kind for note in result.notes]


def test_unreadable_file_is_retried_with_new_software(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable file is read again only after the image software has changed."""
    path = photos / "a.png"
    path.write_bytes(b"no image")
    assert gallery.register(path)[0].status == "unreadable"
    monkeypatch.setattr("faceall.gallery.registration.scan.decode_image", lambda *_, **__: pytest.fail("read"))
    assert gallery.register(path)[0].status == "unreadable"
    monkeypatch.undo()
    newer = f"{reader_version()} pillow-heif-99"
    monkeypatch.setattr("faceall.gallery.records.photos.reader_version", lambda: newer)
    reads: list[bytes] = []
    monkeypatch.setattr(
        "faceall.gallery.registration.scan.decode_image",
        lambda content, **_: reads.append(content) or pytest.importorskip("faceall.images").decode_image(content),
    )
    gallery.register(path)
    assert reads == [b"no image"]


def test_memory_shortage_is_not_remembered(gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo that failed for lack of memory is read again by the next registration."""
    path = write_photo(photos / "a.png", one_face(1))

    def short(content: bytes, **_: object) -> None:
        raise ImageMemoryError(None, "not enough memory")

    monkeypatch.setattr("faceall.gallery.registration.scan.decode_image", short)
    (result,) = gallery.register(path)
    assert (result.status, result.message) == ("too-large", "not enough memory")
    assert gallery.status().photos == 0
    monkeypatch.undo()
    assert gallery.register(path)[0].status == "added"


def test_photos_that_disappear_are_counted(gallery: Gallery, photos: Path) -> None:
    """Files of a drive that is disconnected during a run are reported as missing; unreadable ones are not."""
    paths = [write_photo(photos / f"{number}.png", one_face(number)) for number in range(3)]
    (photos / "3.png").write_bytes(b"no image")
    registration = gallery.iter_register(photos)
    for path in paths[1:]:
        path.unlink()
    assert [(result.status, result.missing) for result in registration] == [
        ("added", False),
        ("unreadable", True),
        ("unreadable", True),
        ("unreadable", False),
    ]


def test_skipped_files_are_reported(gallery: Gallery, photos: Path) -> None:
    """A registration reports which files it skipped as other than photos, and their kinds."""
    write_photo(photos / "a.png", one_face(1))
    write_photo(photos / "@eaDir" / "a.png", one_face(1))
    (photos / "film.mp4").write_bytes(b"")
    registration = gallery.iter_register(photos)
    assert registration.total == 1
    assert sorted(registration.skipped) == [(photos / "@eaDir", "thumbnail cache"), (photos / "film.mp4", "video")]

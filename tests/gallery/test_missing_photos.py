"""Photos whose files are gone: listed and removed on request, and only while their folder is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.errors import FaceallError
from faceall.gallery import Gallery


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Ada with two photos, one of them at two places; Eve with one; and a photo without a face."""
    for name, number in (("Ada/0.png", 1), ("Ada/1.png", 2), ("Eve/0.png", 3)):
        write_photo(photos / name, one_face(number))
    write_photo(photos / "Ada/empty.png", [])
    shutil.copy2(photos / "Ada/1.png", photos / "copy.png")
    gallery.register(photos, names_from="folders")
    return gallery


def test_only_photos_without_any_file_are_removed(filled: Gallery, photos: Path) -> None:
    """A copy elsewhere keeps its photo; photos that are there, and photos of other folders, stay."""
    assert filled.photos.missing(photos) == []
    assert filled.photos.remove_missing(photos).photos == ()
    for name in ("Ada/0.png", "Ada/1.png", "Ada/empty.png", "Eve/0.png"):
        (photos / name).unlink()
    (photos / "Eve/note.txt").write_text("")
    (photos / "Ada/link.png").symlink_to("nowhere")
    paths = {path.relative_to(photos) for photo in filled.photos.missing(photos / "Ada") for path in photo.paths}
    assert paths == {Path("Ada/0.png"), Path("Ada/empty.png")}
    removal = filled.photos.remove_missing(photos / "Ada")
    assert (len(removal.photos), len(removal.faces)) == (2, 1)
    assert {person.name: person.faces for person in filled.people} == {"Ada": 1, "Eve": 1}
    assert len(filled.photos.remove_missing(photos).photos) == 1
    assert len(filled) == 1


def test_a_disconnected_drive_removes_nothing(filled: Gallery, photos: Path) -> None:
    """A folder that is gone, or empty as a mount point is, is refused; an empty folder without photos is not."""
    shutil.rmtree(photos / "Ada")
    with pytest.raises(FaceallError, match=r"Ada: is not a folder that exists; is the drive connected\?"):
        filled.photos.remove_missing(photos / "Ada")
    (photos / "Ada").mkdir()
    for folder in (photos / "Ada", photos):  # also where the drive is mounted below the folder
        with pytest.raises(FaceallError, match=r"Ada: is empty; is the drive connected\?"):
            filled.photos.remove_missing(folder)
    (photos / "other").mkdir()
    assert filled.photos.missing(photos / "other") == []
    assert len(filled) == 3


def test_a_file_that_cannot_be_looked_for_is_not_missing(
    filled: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers with an error loses no photo."""

    def fail(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("faceall.gallery.missing_photos.os.lstat", fail)
    assert filled.photos.missing(photos) == []


def test_a_folder_that_cannot_be_listed_is_refused(
    filled: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is empty cannot be known, so nothing is removed."""

    def fail(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (photos / "Ada/0.png").unlink()
    monkeypatch.setattr("faceall.gallery.missing_photos.os.scandir", fail)
    with pytest.raises(FaceallError, match=r"Ada: cannot be listed \(Permission denied\); is the drive connected\?"):
        filled.photos.remove_missing(photos)
    assert len(filled) == 3

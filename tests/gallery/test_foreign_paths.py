"""Paths that came from outside lead to no other file than the photo that was registered."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.gallery import Gallery
from faceall.gallery.people.removal import remove_uploads


def upload(folder: Path, content: bytes, name: str = "a.jpg") -> Path:
    """A file among the uploads of a gallery."""
    path = folder / "uploads" / hashlib.sha256(content).hexdigest() / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_uploads_of_a_moved_gallery_are_removed(tmp_path: Path) -> None:
    """The path was noted where the gallery lay before; the file goes from where it lies now."""
    path = upload(tmp_path / "new", b"photo")
    remove_uploads(tmp_path / "new", [tmp_path / "old" / path.relative_to(tmp_path / "new")])
    assert not path.exists()
    assert not path.parent.exists()


def test_no_other_file_is_removed(tmp_path: Path) -> None:
    """A path with dots, another content and a link out of the uploads are left alone."""
    gallery, outside = tmp_path / "g", tmp_path / "outside.jpg"
    outside.write_bytes(b"mine")
    other = upload(gallery, b"photo")
    other.write_bytes(b"another content")
    digest = hashlib.sha256(b"mine").hexdigest()
    (gallery / "uploads" / digest).symlink_to(tmp_path)
    remove_uploads(
        gallery,
        [other, gallery / "uploads" / digest / "outside.jpg", other.parent / ".." / ".." / ".." / "outside.jpg"],
    )
    assert outside.exists()
    assert other.exists()


def test_only_the_registered_photo_is_copied(tmp_path: Path) -> None:
    """Where a path holds another file now, the thumbnail is written in its place."""
    photo = write_photo(tmp_path / "photos" / "Ada" / "1.png", one_face(3))
    with Gallery.open(tmp_path / "g", detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        list(gallery.register(photo))
        content = photo.read_bytes()
        gallery.faces.write_folders(tmp_path / "first", photos=True)
        photo.write_bytes(b"secret")
        gallery.faces.write_folders(tmp_path / "second", photos=True)
    assert [path.read_bytes() for path in (tmp_path / "first").rglob("*.png")] == [content]
    found = [path.read_bytes() for path in (tmp_path / "second").rglob("*.*")]
    assert [data[:2] for data in found] == [b"\xff\xd8"]

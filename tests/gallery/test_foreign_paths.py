"""A path from an imported or moved gallery gives access only to the photo that was registered."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.gallery import Gallery
from faceall.gallery.people.removal import remove_uploads


def upload(folder: Path, content: bytes, name: str = "a.jpg") -> Path:
    """Write a file into the uploads of a gallery and return its path."""
    path = folder / "uploads" / hashlib.sha256(content).hexdigest() / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_uploads_of_a_moved_gallery_are_removed(tmp_path: Path) -> None:
    """A stored path of the gallery's old location removes the upload at its current location."""
    path = upload(tmp_path / "new", b"photo")
    remove_uploads(tmp_path / "new", [tmp_path / "old" / path.relative_to(tmp_path / "new")])
    assert not path.exists()
    assert not path.parent.exists()


def test_no_other_file_is_removed(tmp_path: Path) -> None:
    """Paths with dots, files with other content and links out of the uploads are not removed."""
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
    """If the path has another file now, the thumbnail is exported in place of it."""
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

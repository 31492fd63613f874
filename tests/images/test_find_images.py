"""Which files are taken for images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceall.errors import ImageError, UnreadableImageError
from faceall.images import find_images, is_image_path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(folder: Path, *paths: Path | str) -> list[str]:
    return [str(path.relative_to(folder)) for path in find_images(paths or [folder])]


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "A.PnG", "x.tar.webp", "IMG.HEIC", "a.tiff"])
def test_suffixes_of_images(name: str) -> None:
    """Capitals do not matter; HEIC counts, so that without its extra it gets an error instead of being skipped."""
    assert is_image_path(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.part", "a"])
def test_suffixes_of_other_files(name: str) -> None:
    """Only the last suffix counts, and a hidden file's name is not one."""
    assert not is_image_path(name)


def test_folders_are_searched_in_natural_order(tmp_path: Path) -> None:
    """2 comes before 10, a folder's files before its subfolders; text and hidden names are left out."""
    touch(tmp_path, "10.jpg", "2.jpg", "Z.png", "a.png", "notes.txt", ".hidden.jpg", ".cache/x.jpg")
    touch(tmp_path, "b10/x.jpg", "b9/deep/er/y.gif", "b9/x.jpg")
    assert found(tmp_path) == ["2.jpg", "10.jpg", "a.png", "Z.png", "b9/x.jpg", "b9/deep/er/y.gif", "b10/x.jpg"]


def test_digits_of_other_scripts_do_not_break_the_order(tmp_path: Path) -> None:
    """Superscripts and Arabic digits in names are sorted as text."""
    touch(tmp_path, "x².jpg", "x٣.jpg", "x1.jpg", "007.jpg", "7.jpg")
    assert found(tmp_path)[:3] == ["007.jpg", "7.jpg", "x1.jpg"]
    assert len(found(tmp_path)) == 5


def test_named_files_are_taken_as_they_are(tmp_path: Path) -> None:
    """A file that is named is taken whatever its suffix, even hidden or missing, in the given order."""
    touch(tmp_path, "b.dat", ".c.jpg", "a.jpg")
    names = ["b.dat", "missing.jpg", ".c.jpg", "a.jpg"]
    assert found(tmp_path, *(tmp_path / name for name in names)) == names


def test_each_file_comes_once(tmp_path: Path) -> None:
    """A file that is named twice, and again by its folder, keeps its first place."""
    touch(tmp_path, "a.jpg", "b.jpg")
    assert found(tmp_path, tmp_path / "b.jpg", tmp_path / "b.jpg", tmp_path) == ["b.jpg", "a.jpg"]


def test_one_path_needs_no_list(tmp_path: Path) -> None:
    """A single path, as text or as a Path, is not taken for a list of letters."""
    touch(tmp_path, "a.jpg")
    assert find_images(str(tmp_path)) == find_images(tmp_path) == [tmp_path / "a.jpg"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    """Links to folders are followed, a link back up is walked once, a dangling link to an image is kept."""
    touch(tmp_path, "in/a.jpg", "out/b.jpg")
    (tmp_path / "in" / "up").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "out").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "in" / "self.jpg").symlink_to(tmp_path / "in" / "self.jpg")
    assert found(tmp_path, tmp_path / "in") == ["in/a.jpg", "in/gone.jpg", "in/self.jpg", "in/out/b.jpg"]


def test_impossible_names_are_left_to_the_reader(tmp_path: Path) -> None:
    """A name that is too long for the system, or holds a null character, is taken like a missing file."""
    names = ["x" * 5000 + ".jpg", "null\0.jpg"]
    assert [str(path) for path in find_images(names)] == names


def refuse(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the listing of one folder fail, as it does without permission (root is never refused)."""
    scandir = os.scandir

    def picky(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", picky)


def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default it is an error; with `on_error` it is told and the search goes on."""
    touch(tmp_path, "a/x.jpg", "locked/y.jpg", "z/z.jpg")
    refuse(tmp_path / "locked", monkeypatch)
    with pytest.raises(UnreadableImageError, match=r"locked: the folder cannot be read \(Permission denied\)"):
        find_images([tmp_path])
    told: list[ImageError] = []
    assert [path.name for path in find_images([tmp_path], on_error=told.append)] == ["x.jpg", "z.jpg"]
    assert len(told) == 1

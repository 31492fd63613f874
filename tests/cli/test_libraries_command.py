"""What the commands say about files of real photo libraries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cli_runs import Run


def test_copies_are_removed_with_their_photo(run: Run, portraits: Path) -> None:
    """Files of one content are one photo: the second one is reported, not an error."""
    first, copy = portraits / "Eileen/1.png", portraits / "copy.png"
    shutil.copy(first, copy)
    run("register", first, copy)
    lines = [json.loads(line) for line in run("remove", first, copy, "--json").stdout.splitlines()]
    assert [line["photo_count"] for line in lines] == [1, 0]
    assert lines[1]["removed_with"] == str(first)


def test_photo_without_face_is_removed(run: Run, portraits: Path) -> None:
    """A photo that shows nobody can be removed as any other."""
    wall = portraits / "wall.png"
    run("register", wall, exit_code=1)
    assert "removed 1 photo" in run("remove", wall).stdout


def test_comparison_names_the_image_without_face(run: Run, portraits: Path) -> None:
    """The message says which of the two images shows no face."""
    first, wall = portraits / "Eileen/1.png", portraits / "wall.png"
    assert "wall.png shows no face" in run("compare", first, wall, exit_code=1).stderr


def test_url_is_refused(run: Run) -> None:
    """A URL given to `register` is named as one, with what to do."""
    result = run("register", "https://example.org/a.jpg", exit_code=1)
    assert "is a URL" in str(result.exception) or "is a URL" in result.stderr


def test_missing_file_is_not_called_a_lost_drive(run: Run, tmp_path: Path) -> None:
    """Only photos that were found in a folder and have gone since are said to have disappeared."""
    result = run("register", tmp_path / "none.jpg", exit_code=1)
    assert "no such file" in result.stdout
    assert "disappeared" not in result.stderr


def test_folder_of_unreadable_files_fails(run: Run, tmp_path: Path) -> None:
    """If no file of a folder can be read, the exit code is 1."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_bytes(b"no image")
    run("register", tmp_path / "bad", exit_code=1)

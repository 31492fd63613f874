"""Messages of the commands about the files of real photo libraries."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from faceall.gallery import Agreement, Gallery, MixedPerson


def test_copies_are_removed_with_their_photo(run: Run, portraits: Path) -> None:
    """Files with equal content are one photo: removing a second copy is reported, not an error."""
    first, copy = portraits / "Eileen/1.png", portraits / "copy.png"
    shutil.copy(first, copy)
    run("register", first, copy)
    lines = [json.loads(line) for line in run("remove", first, copy, "--json").stdout.splitlines()]
    assert [line["photo_count"] for line in lines] == [1, 0]
    assert lines[1]["removed_with"] == str(first)


def test_photo_without_face_is_removed(run: Run, portraits: Path) -> None:
    """A photo without a face can be removed like any other."""
    wall = portraits / "wall.png"
    run("register", wall, exit_code=1)
    assert "removed 1 photo" in run("remove", wall).stdout


def test_comparison_names_the_image_without_face(run: Run, portraits: Path) -> None:
    """The message says which of the two images has no face."""
    first, wall = portraits / "Eileen/1.png", portraits / "wall.png"
    assert "wall.png shows no face" in run("compare", first, wall, exit_code=1).stderr


def test_url_is_refused(run: Run) -> None:
    """`register` refuses a URL and says that it is one."""
    result = run("register", "https://example.org/a.jpg", exit_code=1)
    assert "is a URL" in str(result.exception) or "is a URL" in result.stderr


def test_missing_file_is_not_called_a_lost_drive(run: Run, tmp_path: Path) -> None:
    """A file that was never there is reported as missing, not as disappeared."""
    result = run("register", tmp_path / "none.jpg", exit_code=1)
    assert "no such file" in result.stdout
    assert "disappeared" not in result.stderr


def test_broken_link_is_not_called_a_lost_drive(run: Run, portraits: Path) -> None:
    """A broken link in a folder has a line like other unreadable files, which names its target."""
    (portraits / "dangling.jpg").symlink_to("/nowhere/a.jpg")
    result = run("register", portraits)
    (line,) = [line for line in result.stdout.splitlines() if "dangling.jpg" in line]
    assert line.startswith("unreadable ")
    assert line.endswith("dangling.jpg: is a broken link: there is no /nowhere/a.jpg")
    error = run("detect", portraits).stderr
    assert "dangling.jpg: is a broken link: there is no /nowhere/a.jpg" in error
    assert "disappeared" not in result.stderr
    run("register", portraits / "dangling.jpg", exit_code=1)


def test_min_face_says_that_it_does_not_reach_known_photos(run: Run, portraits: Path) -> None:
    """The smallest face is chosen when a photo is searched first."""
    assert "--min-face" not in run("register", portraits, "--min-face", "40").stderr
    known = "--min-face: 2 photos registered before are not searched again"
    assert known in run("register", portraits, "--min-face", "30").stderr


def test_register_names_the_command_for_videos(run: Run, tmp_path: Path) -> None:
    """A file with the name of a video is unreadable for `register`, which says what reads it."""
    (tmp_path / "clip.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ")
    (tmp_path / "a.jpg").write_bytes(b"no image")
    lines = run("register", tmp_path / "clip.mov", tmp_path / "a.jpg", exit_code=1).stdout.splitlines()
    assert ["faceall video --register" in line for line in lines[:2]] == [True, False]


def test_missing_one_of_several_videos(run: Run, portraits: Path, tmp_path: Path) -> None:
    """As with `register`, the others are processed and the exit code is 1."""
    sys.path.append(str(Path(__file__).parents[1] / "video"))
    from videos import squares, write_video

    run("register", portraits)
    clip = write_video(tmp_path / "clip.mp4", [squares((20, 60, 60, (10, 10, 200)))] * 8)
    run("video", clip)
    result = run("video", tmp_path / "missing.mp4", clip, exit_code=1)
    assert "missing.mp4: no such file" in result.stderr
    assert "clip.mp4" in result.stdout


def test_folder_of_unreadable_files_fails(run: Run, tmp_path: Path) -> None:
    """If no file of a folder can be read, the exit code is 1."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_bytes(b"no image")
    run("register", tmp_path / "bad", exit_code=1)


def test_people_with_mixed_faces_are_reported(run: Run, portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`register`, `people list` and `doctor` report people whose faces seem to show several persons."""
    asked: list[object] = []

    def mixed(people: object, *, most: int | None = None, among: object = None) -> list[MixedPerson]:
        asked.append(among)
        return [MixedPerson("Eve", Agreement(3, 8))]

    monkeypatch.setattr(type(Gallery.open(portraits / "g").people), "mixed", mixed)
    words = "Eve looks like several people: 3 of 8 faces agree"
    assert words in run("register", portraits / "Eileen", "--person", "Eve").stderr
    assert asked == [{"Eve"}]
    assert words in run("people", "list").stderr
    assert words in run("doctor").output
    run("register", portraits / "Eileen", "--person", "Eve")
    assert len(asked) == 3  # without new faces no person is checked


def test_dates_and_cameras_are_shown_and_searched(run: Run, portraits: Path, tmp_path: Path) -> None:
    """search --since and --until use the date in the photo; search and people list show date and camera."""
    with PillowImage.open(portraits / "Eileen" / "1.png") as image:
        exif = image.getexif()
        exif[0x0110], exif.get_ifd(0x8769)[0x9003] = "Pixel 8", "2019:07:01 12:00:00"
        image.convert("RGB").save(tmp_path / "dated.jpg", exif=exif)
    run("register", tmp_path / "dated.jpg", "--person", "Ada")
    run("register", portraits / "Mirror", "--person", "Bob")

    def found(*options: str) -> set[str | None]:
        (line,) = records(run("search", tmp_path / "dated.jpg", "--json", *options).stdout)
        return {match["person"] for match in line["matches"]} - {None}  # other faces of the photos

    assert found() == {"Ada", "Bob"}
    assert found("--until", "2019-07-01") == {"Ada"}
    assert found("--since", "2019-07-01", "--until", "2019-07-01") == {"Ada"}
    assert found("--since", "2019-07-02") == {"Bob"}
    assert found("--since", "2019-07-02", "--until", "2019-12-31") == set()
    for options in ((), ("--by", "person"), ("-v",)):
        assert (
            "no one among the photos of these days"
            in run("search", tmp_path / "dated.jpg", "--since", "2030-01-01", *options).stdout
        )
    assert (
        "since is 'July', expected a date"
        in run("search", tmp_path / "dated.jpg", "--since", "July", exit_code=1).stderr
    )
    (line,) = records(run("search", tmp_path / "dated.jpg", "--until", "2019-07-01", "--json").stdout)
    assert (line["matches"][0]["taken"], line["matches"][0]["camera"]) == ("2019-07-01T12:00:00", "Pixel 8")
    (line,) = records(run("people", "list", "Ada", "--json").stdout)
    assert (line["taken"], line["camera"]) == ("2019-07-01T12:00:00", "Pixel 8")
    assert "2019-07-01, Pixel 8" in run("people", "list", "Ada").stdout


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_killed_watch_loses_nothing(process_environment: dict[str, str], portraits: Path, tmp_path: Path) -> None:
    """After kill -9, every printed photo is stored; the next run reports the others, and what was deleted meanwhile."""
    (portraits / "wall.png").unlink()
    command = [sys.executable, "-m", "faceall_cli.main", "watch", str(portraits), "--json", "--poll", "0.2"]
    command += ["--names-from", "none"]

    def watching() -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=process_environment, stdout=subprocess.PIPE, text=True)

    with watching() as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.kill()
    assert first["status"] == "added"
    shutil.copy(portraits / "Mirror" / "1.png", portraits / "copy.png")
    with PillowImage.open(portraits / "Mirror" / "1.png") as image:
        image.rotate(3).save(portraits / "new.png")
    deleted = Path(first["path"])
    deleted.unlink()
    deleted.with_name("note.txt").write_text("")
    with watching() as process:
        assert process.stdout is not None
        lines = []
        while not lines or lines[-1]["status"] != "removed":
            lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGTERM)
        lines += [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert {line["command"] for line in lines} == {"watch"}
    paths = [line["path"] for line in lines]
    assert len(paths) == len(set(paths))
    with Gallery.open(process_environment["FACEALL_GALLERY"], read_only=True) as gallery:
        assert gallery.index.problems() == []
        assert {first["path"], str(portraits / "new.png")} <= {str(face.path) for face in gallery.faces.find()}

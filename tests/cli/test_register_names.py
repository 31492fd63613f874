"""What `faceall register` prints about names of people."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from faceall.gallery.people.clustering.agreement import Agreement
from faceall.gallery.registration import folder_names
from faceall_cli.console import short_path


@pytest.fixture
def mixed(portraits: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose faces do not agree, with a photo in each of two folders whose names suggest no one."""
    few = Agreement(1, 2)
    monkeypatch.setattr(folder_names, "_agreements", lambda store, group, threshold: [few] * len(group))
    folder = portraits / "n10"
    for name, source in {"Ada & Bob": "Eileen/1.png", "Mixed": "Mirror/1.png"}.items():
        (folder / name).mkdir(parents=True)
        (portraits / source).rename(folder / name / "1.png")
    return folder


def test_known_photos_that_were_left_unnamed_are_named_on_request(run: Run, mixed: Path) -> None:
    """The end of a registration says how to name them, and `--names-from folders` does it."""
    with PillowImage.open(mixed / "Mixed/1.png") as image:
        image.save(mixed / "2.png")
    (mixed / "Mixed/1.png").unlink()
    result = run("register", mixed)
    assert f"left unnamed: {short_path(mixed)} shows several people (1 of 2 faces agree)" in result.stdout
    assert "faceall register --names-from folders PATH" in result.stderr
    found = records(run("register", mixed, "--names-from", "folders", "--json").stdout)
    assert {(one["status"], one["person"]) for one in found} == {("reassigned", "Ada & Bob"), ("reassigned", "n10")}


def test_folders_inside_the_unnamed_one_are_listed(run: Run, mixed: Path) -> None:
    """Photos that are not in the folder itself are reported with the folders in it that hold them."""
    lines = run("register", mixed).stdout.splitlines()
    places = f"{short_path(mixed / 'Ada & Bob')}, {short_path(mixed / 'Mixed')}"
    assert lines[-1] == f"left unnamed: {places} show several people (1 of 2 faces agree)"


def test_names_that_are_not_decided_are_only_suggested(run: Run, mixed: Path) -> None:
    """The lines of photos claim no name that their folder may not give; the end says what was decided."""
    lines = run("register", mixed, "-v").stdout.splitlines()
    assert [line.split(": ")[-1] for line in lines[:2]] == ["suggested name n10"] * 2
    run("remove", mixed, "--yes")
    found = records(run("register", mixed, "--json").stdout)
    assert [(one["status"], one.get("person"), one["suggested"]) for one in found] == [
        ("added", None, "n10"),
        ("added", None, "n10"),
        ("left-unnamed", None, "n10"),
    ]
    assert records(run("people", "list", "--json").stdout) == []


def test_names_that_are_given_are_stated_at_once(run: Run, portraits: Path) -> None:
    """With `--names-from folders` and `--person` nothing is left to decide."""
    found = records(run("register", portraits, "--names-from", "folders", "--json").stdout)
    assert [(one["status"], one["person"]) for one in found][1:] == [("added", "Eileen"), ("added", "Mirror")]
    assert "suggested" not in {key for one in found for key in one}


def test_removed_names_are_called_unnamed(run: Run, portraits: Path) -> None:
    """`--unnamed` prints and counts photos that lost their name as such; the history has one change for all."""
    run("register", portraits)
    lines = run("register", portraits, "--unnamed").stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["no-face", "unnamed", "unnamed"]
    assert lines[-1].endswith("2 unnamed, 1 no-face")
    assert "removed the name of 2 faces" in run("people", "undo").stdout
    found = records(run("register", portraits, "--json").stdout)
    assert {one["person"] for one in found if one["status"] == "unchanged"} == {"Eileen", "Mirror"}

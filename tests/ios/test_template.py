"""Folders that packages are written and refreshed in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faceall.convert.targets.ios.template import MARKER, copy_template, place_package, refuse_foreign, tree_sha256
from faceall.errors import ConvertError


def staged(folder: Path, **files: str) -> Path:
    """A folder that is ready to be placed."""
    for name, text in files.items():
        path = folder / "Sources" / f"{name}.swift"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def texts(folder: Path) -> dict[str, str]:
    """What lies in a package's Sources."""
    return {path.name: path.read_text() for path in (folder / "Sources").rglob("*") if path.is_file()}


def test_first_time_writes_the_whole_folder(tmp_path: Path) -> None:
    """Also into a folder that is there but empty."""
    place = tmp_path / "Phone"
    place.mkdir()
    refuse_foreign(place)
    placed = place_package(staged(tmp_path / "new", a="1", b="2"), place)
    assert (placed.status, placed.kept) == ("written", ())
    assert texts(place) == {"a.swift": "1", "b.swift": "2"}


def test_refreshing_keeps_what_is_the_developers(tmp_path: Path) -> None:
    """Added files stay, changed ones stay with the new one beside them, unchanged ones are replaced or removed."""
    place = tmp_path / "Phone"
    place_package(staged(tmp_path / "one", a="1", b="2", gone="x", touched="y"), place)
    (place / "Sources" / "mine.swift").write_text("mine")
    (place / "Sources" / "b.swift").write_text("changed")
    (place / "Sources" / "touched.swift").write_text("changed, too")
    refuse_foreign(place)
    placed = place_package(staged(tmp_path / "two", a="3", b="4", fresh="5"), place)
    assert (placed.status, placed.kept) == ("refreshed", ("Sources/b.swift",))
    assert texts(place) == {
        "a.swift": "3",
        "b.swift": "changed",
        "b.swift.new": "4",
        "fresh.swift": "5",
        "mine.swift": "mine",
        "touched.swift": "changed, too",
    }


def test_a_file_of_the_developers_in_the_way_is_kept(tmp_path: Path) -> None:
    """A name that is new in the package may be taken already."""
    place = tmp_path / "Phone"
    place_package(staged(tmp_path / "one", a="1"), place)
    (place / "Sources" / "b.swift").write_text("mine")
    assert place_package(staged(tmp_path / "two", a="1", b="ours"), place).kept == ("Sources/b.swift",)
    assert texts(place)["b.swift"] == "mine"


def test_an_interrupted_refresh_is_completed(tmp_path: Path) -> None:
    """Files that the interrupted run has placed already are ours, though the list does not know them."""
    place = tmp_path / "Phone"
    place_package(staged(tmp_path / "one", a="1", b="2"), place)
    (place / "Sources" / "a.swift").write_text("3")  # placed by the run that was killed before it wrote the list
    placed = place_package(staged(tmp_path / "two", a="3", b="4"), place)
    assert placed.kept == ()
    assert texts(place) == {"a.swift": "3", "b.swift": "4"}


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        (None, "no package that faceall made"),
        ("no JSON", "cannot be read"),
        ('{"schema": 1}', "cannot be read"),
        ('{"schema": 2, "files": {}}', "newer faceall"),
        ('{"schema": 1, "files": {"../../etc/passwd": "0"}}', "damaged"),
        ('{"schema": 1, "files": {"/etc/passwd": "0"}}', "damaged"),
    ],
)
def test_foreign_folders_are_refused(tmp_path: Path, marker: str | None, words: str) -> None:
    """Nothing is touched that this program did not write."""
    (tmp_path / "letters.txt").write_text("dear")
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)
    with pytest.raises(ConvertError, match=words):
        refuse_foreign(tmp_path)


def test_a_file_in_the_place_is_refused(tmp_path: Path) -> None:
    """A package is a folder."""
    (tmp_path / "Phone").write_text("")
    with pytest.raises(ConvertError, match="not a folder"):
        refuse_foreign(tmp_path / "Phone")


def test_template_is_whole_and_tidy(tmp_path: Path) -> None:
    """The sources, the tests with their vectors, the example; nothing that a compiler or an editor left."""
    copy_template(tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"README.md", "Example/Info.plist", "FaceAll/Package.swift"} <= names
    assert "FaceAll/Sources/FaceAllCore/Detector.swift" in names
    assert "FaceAll/Tests/FaceAllCoreTests/Vectors/detection.json" in names
    assert not any(part.startswith(".") for name in names for part in name.split("/"))


def test_checksum_of_a_tree_covers_names_and_contents(tmp_path: Path) -> None:
    """Another name or another byte is another checksum; the order of writing is not."""
    first, same, renamed, changed = (tmp_path / name for name in "abcd")
    staged(first, x="1", y="2")
    staged(same, y="2", x="1")
    staged(renamed, x="1", z="2")
    staged(changed, x="1", y="3")
    assert tree_sha256(first) == tree_sha256(same)
    assert len({tree_sha256(folder) for folder in (first, renamed, changed)}) == 3


def test_marker_lists_every_file(tmp_path: Path) -> None:
    """The list is what tells the developer's files from ours."""
    place_package(staged(tmp_path / "new", a="1"), tmp_path / "Phone")
    values = json.loads((tmp_path / "Phone" / MARKER).read_text())
    assert list(values["files"]) == ["Sources/a.swift"]

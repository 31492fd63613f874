"""Whose photo a path says it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.gallery import find_candidates, person_of


@pytest.mark.parametrize(
    ("path", "root", "person"),
    [
        ("photos/Ada Lovelace/x.jpg", "photos", "Ada Lovelace"),
        ("photos/Ada/2019/IMG_0042.jpg", "photos", "Ada"),  # a year names nobody
        ("photos/family/Ada/x.jpg", "photos", "Ada"),  # the nearest folder
        ("photos/n000042/0001_01.jpg", "photos", "n000042"),  # folders by number: the nearest
        ("photos/Ada/Bob_1.jpg", "photos", "Ada"),  # below a folder of the root files' names do not count
        ("photos/Ada", "photos/Ada", "Ada"),  # a file without a suffix, given itself
        ("known/ada.jpg", "known", "ada"),
        ("known/ada_0001.jpg", "known", "ada"),
        ("known/ada-2.jpg", "known", "ada"),
        ("known/ada (3).jpg", "known", "ada"),
        ("known/Ada Lovelace.jpg", "known/Ada Lovelace.jpg", "Ada Lovelace"),
        ("photos/Ada/1.jpg", "photos/Ada", "Ada"),
        ("photos/Ada/IMG_0042.jpg", "photos/Ada", "Ada"),
        ("photos/Ada/IMG_0042.jpg", "photos/Ada/IMG_0042.jpg", "Ada"),
        ("photos/BillGates/Bill_Gates_0001.jpg", "photos/BillGates", "BillGates"),  # the file repeats the folder
        ("photos/BillGates/bill_gates_smiling.jpg", "photos/BillGates", "BillGates"),
        ("m/d/daniel.jpg", "m/d", "daniel"),  # a first letter in common repeats nothing
        ("p/peter.jpg", "p/peter.jpg", "peter"),
        ("al/alice_2.jpg", "al", "alice"),
        ("al/al_2.jpg", "al", "al"),
        ("photos/test0.jpg", "photos", "test0"),  # neither says anything: the file as it is
        ("photos/Zoe\u0308/1.jpg", "photos", "Zo\u00eb"),  # one spelling of an accent
    ],
)
def test_person_of_path(path: str, root: str, person: str) -> None:
    """Folders name people; directly given files name themselves; names that say nothing are passed over."""
    assert person_of(Path("/data", path), Path("/data", root)) == person


def test_known_folder_names_its_files() -> None:
    """A folder that is called like a person of the gallery is that person's, however its files are called."""
    path, root = Path("/photos/Ada/beach.jpg"), Path("/photos/Ada")
    assert person_of(path, root) == "beach"
    assert person_of(path, root, known=frozenset(("Ada",))) == "Ada"


def test_candidates_are_found_once(photos: Path) -> None:
    """A file that is given twice, by itself and by its folder, is one candidate, with an absolute path."""
    file = write_photo(photos / "Ada" / "beach.png", one_face(1))
    found = find_candidates([photos, file, os.path.relpath(file)])
    assert [(candidate.path, candidate.person) for candidate in found] == [(file, "Ada")]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_broken_bytes_in_names(photos: Path) -> None:
    """A folder whose name is no UTF-8 gives a printable name."""
    folder = Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9"))
    file = write_photo(folder / "1.png", one_face(1))
    (candidate,) = find_candidates([photos])
    assert candidate.path == file
    assert candidate.person.encode() == b"caf?"

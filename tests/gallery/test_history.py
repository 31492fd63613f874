"""The history of people: changes are undone, deleted people are restored, judgements are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import open_whole
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import UndoError, UnknownChangeError, UnknownPersonError
from faceall.gallery import Gallery, acting_as, describe_change

Opener = Callable[..., Gallery]


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Ada with two photos, Bob with two, Eve with one that shows two faces."""
    for number, name in enumerate(["Ada", "Ada", "Bob", "Bob", "Eve"]):
        more = [(0, 0, 15, (99, 0, 0))] if name == "Eve" else []
        write_photo(photos / name / f"{number}.png", [*one_face(1 + 20 * number), *more])
    list(gallery.register(photos))
    return gallery


def state(gallery: Gallery) -> list[object]:
    """Return everything that a change of people can modify."""
    store = gallery._store
    return [
        [(face.face_id, face.person_id, face.person, face.named, face.primary) for face in gallery.faces],
        [(person.id, person.name, person.faces, person.named) for person in gallery.people],
        store.people.rejections(),
        store.people.distinct(),
        store.setting("aliases"),
        sorted(store.transfer.kept().get("person_ids", []), key=str)
        and [(row["person"], row["id"]) for row in store.transfer.kept()["person_ids"]],
        [tuple(row.values()) for row in store.transfer.kept().get("person_aliases", [])],
        [gallery.faces.thumbnail(face.face_id) for face in gallery.faces],
        store.faces.vectors([face.face_id for face in gallery.faces]).tolist(),
    ]


def faces_of(gallery: Gallery, name: str) -> list[int]:
    return [face.face_id for face in gallery.faces.find(person=name)]


CHANGES: dict[str, Callable[[Gallery], object]] = {
    "rename": lambda gallery: gallery.people.rename("Ada", "Ada Lovelace"),
    "merge": lambda gallery: gallery.people.merge("Ada", "Bob"),
    "unname": lambda gallery: gallery.people.unname(["Ada", "Eve"]),
    "split": lambda gallery: gallery.people.split("Ada", faces_of(gallery, "Ada")[:1]),
    "split to": lambda gallery: gallery.people.split("Ada", faces_of(gallery, "Ada"), to="Zoe"),
    "assign": lambda gallery: gallery.faces.assign(faces_of(gallery, "Eve")[0], "Bob"),
    "unassign": lambda gallery: gallery.faces.unassign(faces_of(gallery, "Bob")),
}


def discard(gallery: Gallery) -> None:
    """Move Bob to the bin."""
    gallery.people.discard("Bob")


@pytest.mark.parametrize(
    "change",
    [*CHANGES.values(), pytest.param(discard, marks=pytest.mark.embedded("Milvus keeps no bin"))],
    ids=[*CHANGES, "discard"],
)
def test_every_change_is_undone_and_redone(filled: Gallery, change: Callable[[Gallery], object]) -> None:
    """Undo restores people, ids, faces, vectors, refusals and folder names; undoing the undo redoes the change."""
    before = state(filled)
    change(filled)
    after = state(filled)
    assert after != before
    undoing = filled.people.undo()
    assert state(filled) == before
    assert undoing.kind == "undo"
    filled.people.undo(undoing.id)
    again = state(filled)
    assert again[:5] == after[:5]
    filled.people.undo()
    assert state(filled) == before


def test_changes_are_undone_one_after_another(filled: Gallery) -> None:
    """A sequence of changes is undone step by step to the initial state."""
    states = [state(filled)]
    filled.people.merge("Ada", "Bob")
    states.append(state(filled))
    filled.people.rename("Bob", "Robert")
    states.append(state(filled))
    filled.people.unname(["Robert"])
    for expected in reversed(states):
        filled.people.undo()
        assert state(filled) == expected
    with pytest.raises(UndoError, match="nothing to undo"):
        filled.people.undo()


def test_the_history_has_author_and_text(filled: Gallery) -> None:
    """The latest change is first, with its author, its text and whether it was undone."""
    with acting_as("phone"):
        filled.people.merge("Ada", "Bob")
    filled.people.undo()
    last, first = filled.people.history().items
    assert (first.author, describe_change(first), first.undone) == (
        "phone",
        "merged 'Ada' into 'Bob' (2 faces)",
        last.id,
    )
    assert describe_change(last) == f"undid change {first.id}: merged 'Ada' into 'Bob' (2 faces)"
    assert filled.people.history(limit=1, offset=1).items == (first,)


def test_only_the_latest_change_of_a_person_is_undone(filled: Gallery) -> None:
    """Undoing an earlier change is refused with the later one named, and nothing is changed."""
    filled.people.merge("Ada", "Bob")
    merge = filled.people.history().items[0].id
    filled.faces.assign(faces_of(filled, "Bob")[0], "Eve")
    before = state(filled)
    with pytest.raises(UndoError, match=rf"change {merge} cannot be undone: .* by change {merge + 1}"):
        filled.people.undo(merge)
    assert state(filled) == before
    with pytest.raises(UnknownChangeError, match="no change 99"):
        filled.people.undo(99)


@pytest.mark.embedded("Milvus keeps no bin")
def test_a_taken_name_prevents_the_undo(filled: Gallery) -> None:
    """If another person has the former name, the error says which person to rename."""
    filled.people.discard("Ada")
    filled.people.rename("Bob", "Ada")
    with pytest.raises(UndoError, match="another person called 'Ada'"):
        filled.people.restore("Ada")
    assert [entry.person for entry in filled.people.bin()] == ["Ada"]


def test_a_refused_change_is_not_recorded(filled: Gallery) -> None:
    """An error or a change without effect adds no entry."""
    with pytest.raises(UnknownPersonError):
        filled.people.merge("Nobody", "Bob")
    filled.people.rename("Ada", "Ada")
    assert filled.people.history().total == 0


@pytest.mark.embedded("Milvus keeps no bin")
def test_deleted_people_are_found_nowhere(filled: Gallery, photos: Path) -> None:
    """Deleted people are not listed, found or registered again, and can be restored completely."""
    before, face = state(filled), faces_of(filled, "Bob")[0]
    assert filled.people.discard("Bob") == 2
    assert "Bob" not in filled.people
    assert face not in filled.faces
    assert {match.person for match in filled.search(photos / "Bob" / "2.png")[0].matches} <= {"Ada", "Eve", None}
    assert {result.status for result in filled.register(photos / "Bob")} == {"no-face"}
    assert [(entry.person, entry.faces) for entry in filled.people.bin()] == [("Bob", 2)]
    filled.people.restore("Bob")
    assert state(filled) == before
    assert filled.people.bin() == []


@pytest.mark.embedded("Milvus keeps no bin")
def test_erasing_is_a_second_step_with_a_receipt(filled: Gallery) -> None:
    """Erasing deletes the faces, photos without other faces and every mention in the history."""
    filled.people.rename("Bob", "Robert")
    filled.people.discard("Robert")
    with pytest.raises(UnknownPersonError, match="no one in the bin"):
        filled.people.erase(["Ada"])
    removal = filled.people.erase(["Robert"])
    assert (removal.count, len(removal.photos)) == (2, 2)
    assert removal.receipt is not None
    assert removal.receipt.complete
    assert filled.people.history().total == 0
    filled.close()
    content = b"".join(path.read_bytes() for path in Path(filled.place).glob("faces.*"))
    assert b"Robert" not in content


@pytest.mark.embedded("Milvus keeps no bin")
def test_the_bin_is_emptied_after_some_days(filled: Gallery, open_gallery: Opener) -> None:
    """Opening the gallery erases people who were deleted longer ago than the retention time."""
    filled.people.discard("Ada")
    filled.people.bin_days = 3
    with filled._store.index.transaction() as connection:  # type: ignore[attr-defined]
        connection.execute("UPDATE changes SET made = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-4 days')")
    filled.close()
    with open_gallery() as again:
        assert again.people.bin() == []
        assert again.people.bin_days == 3


@pytest.mark.embedded("Milvus has no transactions")
def test_changes_are_atomic_under_kill(tmp_path: Path, photos: Path) -> None:
    """After kill -9 during changes the history has exactly the changes that are in force."""
    program = (
        "import sys; from stand_ins import *; from faceall.gallery import Gallery\n"
        "gallery = Gallery.open(sys.argv[1], detector=ColourDetector(), embedder=ColourEmbedder())\n"
        "print('ready', flush=True); n = 0\n"
        "while True:\n"
        "    gallery.people.rename(f'Ada {n}', f'Ada {n + 1}'); n += 1; print(n, flush=True)\n"
    )
    write_photo(photos / "1.png", one_face(1))
    with Gallery.open(tmp_path / "g", detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        list(gallery.register(photos, person="Ada 0"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "g")], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        done = 0
        while done < 5:
            line = process.stdout.readline().strip()
            done = int(line) if line.isdigit() else done
        process.send_signal(signal.SIGKILL)
        process.wait()
    with Gallery.open(tmp_path / "g", detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        (name,) = [person.name for person in gallery.people]
        count = gallery.people.history().total
        assert name == f"Ada {count}"
        assert count >= done
        for number in range(count, 0, -1):
            assert gallery.people.undo().details["new"] == f"Ada {number}"
        assert [person.name for person in gallery.people] == ["Ada 0"]


@pytest.mark.embedded("a gallery in Milvus does not change its model")
def test_judgements_survive_a_change_of_the_model(filled: Gallery, photos: Path, open_gallery: Opener) -> None:
    """A refused face that becomes stale and is restored with another model is still refused."""
    face = faces_of(filled, "Ada")[0]
    filled.faces.unassign([face])
    ada = filled.people.get("Ada").id
    hidden = (photos / "Ada").rename(photos.parent / "elsewhere")
    filled.close()
    with open_gallery() as gallery:
        list(gallery.index.migrate(ColourEmbedder("others", 6)))
        assert face not in gallery.faces
        hidden.rename(photos / "Ada")
    with open_gallery(embedder=ColourEmbedder("others", 6)) as gallery:
        list(gallery.register(photos))
        assert gallery._store.people.rejections() == {face: {ada}}


@pytest.mark.embedded("bundles are written from a folder")
def test_bundles_carry_judgements_and_history(tmp_path: Path, photos: Path) -> None:
    """An import refuses the same faces and shows the same history, which cannot be undone there."""
    for number, name in enumerate(["Ada", "Ada", "Bob"]):
        write_photo(photos / name / f"{number}.png", one_face(1 + 20 * number))
    with open_whole(tmp_path / "one") as one:
        list(one.register(photos))
        one.faces.unassign(faces_of(one, "Ada")[:1])
        one.people.rename("Bob", "Robert")
        one.index.export_bundle(tmp_path / "all.faceall")
        texts = [describe_change(change) for change in one.people.history().items]
    with open_whole(tmp_path / "other") as other:
        for _ in range(2):
            other.index.import_bundle(tmp_path / "all.faceall")
            assert len(other._store.people.rejections()) == 1
            assert [describe_change(change) for change in other.people.history().items] == texts
        with pytest.raises(UndoError, match="nothing to undo"):
            other.people.undo()

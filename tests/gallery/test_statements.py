"""Changes of many faces run a fixed number of changing statements.

In a nested transaction, SQLite takes time for each statement that grows with all changes so far; a statement per face
would take time that grows with the square of the number of faces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import write_photo

from faceall.gallery import Gallery

pytestmark = pytest.mark.embedded("counts statements of SQLite")

_PLAIN = ("INSERT INTO vectors", "INSERT INTO change_rows")


def count_changes(gallery: Gallery, action: Callable[[], object]) -> int:
    """Return the number of different statements that change rows; a trigger repeats the one that set it off.

    Plain insertions of one row, which cost the same at any size, do not count.
    """
    seen: list[str] = []
    with gallery._store.faces._index.transaction() as connection:  # type: ignore[attr-defined]
        connection.set_trace_callback(lambda statement: seen.append(statement.lstrip()))
    action()
    with gallery._store.faces._index.transaction() as connection:  # type: ignore[attr-defined]
        connection.set_trace_callback(None)
    changing = {statement for statement in seen if statement.startswith(("INSERT INTO", "UPDATE", "DELETE"))}
    return sum(not statement.startswith(_PLAIN) for statement in changing)


def test_the_number_of_statements_does_not_depend_on_the_number_of_faces(gallery: Gallery, photos: Path) -> None:
    """Splitting, deleting, restoring, hiding and removing 4 and 16 faces runs equally many statements."""
    for number in range(40):
        write_photo(photos / f"{number}.png", [(40, 25, 40, (200, 10, 10 + 5 * number))])
    assert all(result.status == "added" for result in gallery.register(photos, unnamed=True))
    keys = [found.face_id for found in gallery.faces.find()]
    gallery.faces.assign_many([("Ada", keys[:8]), ("Bob", keys[8:])])

    def change(person: str, count: int) -> list[int]:
        some = [found.face_id for found in gallery.faces.find(person=person)][:count]
        return [
            count_changes(gallery, action)
            for action in (
                lambda: gallery.people.split(person, some, to=f"{person} 2"),
                lambda: gallery.people.discard(f"{person} 2"),
                lambda: gallery.people.restore(f"{person} 2"),
                lambda: gallery.faces.hide(some),
                lambda: gallery.faces.show(some),
            )
        ]

    assert change("Ada", 4) == change("Bob", 16)


def test_a_search_reads_names_people_and_photos_in_one_statement(gallery: Gallery, photos: Path) -> None:
    """However many faces are found, one statement reads the photos, and as many statements run as for two."""
    for number in range(20):
        write_photo(photos / f"{number}.png", [(40, 25, 40, (200, 10, 10 + 5 * number))])
    assert all(result.status == "added" for result in gallery.register(photos, unnamed=True))
    keys = [found.face_id for found in gallery.faces.find()]
    gallery.faces.assign_many([(f"Ada {key % 4}", [key]) for key in keys])
    gallery.search(photos / "3.png", k=2)  # what is read once per process

    def statements(k: int) -> list[str]:
        seen: list[str] = []
        with gallery._store.faces._index.reading() as connection:  # type: ignore[attr-defined]
            connection.set_trace_callback(seen.append)
        (found,) = gallery.search(photos / "3.png", k=k, threshold=4.0)
        with gallery._store.faces._index.reading() as connection:  # type: ignore[attr-defined]
            connection.set_trace_callback(None)
        assert len(found.matches) == k
        return [statement for statement in seen if statement.startswith("SELECT")]

    few, many = statements(2), statements(4)
    assert len(few) == len(many)
    assert sum("JOIN photos" in statement or "FROM photos" in statement for statement in many) == 1

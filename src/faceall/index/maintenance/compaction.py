"""Makes an index small again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faceall.errors import IndexFileError
from faceall.index.maintenance.verification import file_sizes, statistics

if TYPE_CHECKING:
    from faceall.index.face_index import FaceIndex

_LONGEST_WAIT = 10.0  # seconds that others may go on writing


@dataclass(frozen=True)
class Compaction:
    """Bytes of the database and of the graph file before and after, and how many removed vectors left the graph."""

    database_before: int
    database_after: int
    graph_before: int
    graph_after: int
    tombstones: int


def compact(index: FaceIndex) -> Compaction:
    """Give the space of removed vectors back: rebuild a graph that holds some, and rewrite the database.

    Needs as much free space as the database has. Killed at any moment, it leaves the index as it was or done. Raises
    IndexBusyError while others write, IndexFileError on a full disk.
    """
    folder = index.folder
    if folder is None or index.read_only:
        raise IndexFileError(f"{index.name} cannot be compacted: it is in memory or was opened for reading only")
    before, tombstones = file_sizes(folder), statistics(index).tombstones
    if tombstones:
        index.rebuild_graph()
    index.save()
    index.rewrite(wait=_LONGEST_WAIT)
    after = file_sizes(folder)
    return Compaction(before[0], after[0], before[1], after[1], tombstones)

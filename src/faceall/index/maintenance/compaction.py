"""Release the space of removed vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faceall.errors import IndexFileError
from faceall.index.maintenance.verification import file_sizes, statistics

if TYPE_CHECKING:
    from faceall.index.face_index import FaceIndex

_LONGEST_WAIT = 10.0  # seconds to wait for other writers


@dataclass(frozen=True)
class Compaction:
    """Bytes of the database and the graph file before and after, and the number of tombstones removed."""

    database_before: int
    database_after: int
    graph_before: int
    graph_after: int
    tombstones: int


def compact(index: FaceIndex) -> Compaction:
    """Release the space of removed vectors: rebuild a graph with tombstones, and rewrite the database.

    A large graph of whole vectors is replaced by one of projected vectors if its recall stays high enough. Compacting
    needs as much free space on the disk as the database has. If the process is killed, the index is unchanged or
    compacted.

    Parameters
    ----------
    index : FaceIndex
        The index, in a folder and writable.

    Returns
    -------
    Compaction
        Sizes before and after.

    Raises
    ------
    IndexBusyError
        If others keep writing.
    IndexFileError
        If the disk is full, or the index is in memory or read-only.
    """
    folder = index.folder
    if folder is None or index.read_only:
        raise IndexFileError(f"{index.name} cannot be compacted: it is in memory or was opened for reading only")
    before, tombstones = file_sizes(folder), statistics(index).tombstones
    if tombstones:
        index.rebuild_graph()
    index.shorten_graph()
    index.save()
    index.rewrite(wait=_LONGEST_WAIT)
    after = file_sizes(folder)
    return Compaction(before[0], after[0], before[1], after[1], tombstones)

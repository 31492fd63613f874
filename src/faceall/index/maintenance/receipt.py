"""Check which traces of removed vectors remain on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from faceall.index.graph import graph_file
from faceall.index.storage import rows, schema
from faceall.index.storage.connection import DATABASE
from faceall.index.storage.database import Storage


@dataclass(frozen=True)
class Receipt:
    """Traces of removed vectors in the folder, as read from its files.

    Attributes
    ----------
    generation : int
        Number of transactions that changed a vector, including all removals so far.
    secure_delete : bool
        Whether SQLite overwrites freed space with zeros.
    log : {"empty", "held"}
        "held": another process reads an older state or writes, so the write-ahead log contains removed rows until the
        next writer closes.
    graph : {"none", "rewritten", "outdated"}
        "none": there is no graph file; "rewritten": it contains no removed vector; "outdated": it does, until it is
        saved again.
    damaged_copies : tuple of str
        Names of the files in the folder that a repair has kept; they contain what was removed since, until they are
        deleted.
    """

    generation: int
    secure_delete: bool
    log: Literal["empty", "held"]
    graph: Literal["none", "rewritten", "outdated"]
    damaged_copies: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether no byte of a removed vector is left in the folder."""
        erased = self.secure_delete and self.log == "empty" and self.graph != "outdated"
        return erased and not self.damaged_copies


def read_receipt(storage: Storage) -> Receipt:
    """Read the current state of the folder of an index."""
    with storage.reading() as connection:
        settings = schema.read(connection, storage.name)
        went = rows.removed_since(connection, settings.graph_generation).size
    folder = storage.folder
    stray = folder is not None and graph_file.is_stray(folder, settings.graph)
    graph: Literal["none", "rewritten", "outdated"] = "none" if settings.graph is None else "rewritten"
    if stray or (settings.graph is not None and went):
        graph = "outdated"
    kept = [] if folder is None else sorted(path.name for path in folder.glob(f"{DATABASE}.damaged-*"))
    log: Literal["empty", "held"] = "held" if storage.has_log else "empty"
    return Receipt(settings.generation, storage.secure_delete, log, graph, tuple(kept))

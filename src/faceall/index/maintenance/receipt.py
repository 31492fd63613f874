"""What is left on the disk of vectors that were removed: the proof of a deletion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from faceall.index.graph import graph_file
from faceall.index.storage import rows, schema
from faceall.index.storage.database import Storage


@dataclass(frozen=True)
class Receipt:
    """How thoroughly removed vectors have left the folder; read from the folder, not assumed.

    generation     counts the transactions that changed a vector; every removal before is in it
    secure_delete  whether SQLite overwrites with zeros what it frees
    log            "empty": no older page stands in the write-ahead log; "held": another process reads an older
                   state or writes, so removed rows stand in it until the next writer closes
    graph          "none": there is no graph file; "rewritten": it holds no removed vector; "outdated": it still does,
                   until it is saved the next time
    """

    generation: int
    secure_delete: bool
    log: Literal["empty", "held"]
    graph: Literal["none", "rewritten", "outdated"]

    @property
    def complete(self) -> bool:
        """Whether no byte of a removed vector is left in the folder."""
        return self.secure_delete and self.log == "empty" and self.graph != "outdated"


def read_receipt(storage: Storage) -> Receipt:
    """Look at the folder of an index as it is now."""
    with storage.reading() as connection:
        settings = schema.read(connection, storage.name)
        went = rows.removed_since(connection, settings.graph_generation).size
    folder = storage.folder
    stray = folder is not None and graph_file.is_stray(folder, settings.graph)
    graph: Literal["none", "rewritten", "outdated"] = "none" if settings.graph is None else "rewritten"
    if stray or (settings.graph is not None and went):
        graph = "outdated"
    return Receipt(settings.generation, storage.secure_delete, "held" if storage.has_log else "empty", graph)

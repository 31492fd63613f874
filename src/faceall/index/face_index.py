"""`FaceIndex`: a dict from keys to vectors that can be asked for neighbours, and that forgets nothing it has said."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from faceall.errors import UnknownFaceError, VectorError
from faceall.index.checks import (
    METRICS,
    Metric,
    ascending,
    checked_count,
    checked_keys,
    checked_new_keys,
    checked_vectors,
    is_key,
    measured,
)
from faceall.index.graph import graph_file
from faceall.index.graph.graph import GraphOptions
from faceall.index.graph.searcher import EXACT_LIMIT, Searcher
from faceall.index.graph.tuning import Tuning
from faceall.index.maintenance.receipt import Receipt, read_receipt
from faceall.index.storage import rows, schema
from faceall.index.storage.agreement import agree, mismatch
from faceall.index.storage.database import Storage
from faceall.index.storage.exchange import exchange
from faceall.index.storage.rows import Block
from faceall.types import Float32Array, Int64Array, Matches

_log = logging.getLogger(__name__)
_LONGEST_WAIT = 5.0  # seconds that a removal waits for readers of an older state
_SAVE_AFTER = 256  # changes that closing leaves to the next one who opens, rather than write the whole graph


class FaceIndex:
    """Vectors by key, on disk or in memory, for any number of threads and processes.

    folder     a folder with `faces.db` (the truth) and, when large, `faces.hnsw` (a cache); None: in memory
    dimension  numbers per vector; None: that of the folder, else that of the first vectors added
    metric     "l2" or "cosine"; None: that of the folder, else "l2"
    model      name of the embedder that makes the vectors; another one is refused
    create     make the folder if it holds no index; otherwise that is an error
    read_only  never write, not even the cache
    timeout    seconds that a writer waits for another one before `IndexBusyError`
    options    how the graph is built and searched
    exact_limit  up to so many vectors every search compares all of them

    Raises IndexDamagedError, IndexNewerError, IndexMismatchError, IndexBusyError, and IndexFileError for anything
    else about the folder, all in one line. Opening is cheap: vectors are read at the first search, and a small
    index never loads the graph library.

    A vector is registered when `add` (or the outermost `transaction`) returns: it survives a crash from then on.
    Other processes see it at their next search. A removed one never appears again; after `save` or `close` no byte
    of it is left in the folder, or `save` says that another process is still reading it.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        dimension: int | None = None,
        metric: Metric | None = None,
        model: str | None = None,
        create: bool = True,
        read_only: bool = False,
        timeout: float = 30.0,
        options: GraphOptions | None = None,
        exact_limit: int = EXACT_LIMIT,
    ) -> None:
        if metric is not None and metric not in METRICS:
            raise VectorError(f"metric is {metric!r}, expected one of {', '.join(METRICS)}")
        wanted = None if dimension is None else checked_count("dimension", dimension)
        self._storage = Storage(
            None if folder is None else Path(folder),
            metric=metric or "l2",
            create=create,
            read_only=read_only,
            timeout=timeout,
        )
        self._searcher = Searcher(self._storage, options or GraphOptions(), exact_limit=exact_limit)
        self._expected = model  # that makes the vectors which `add` gets, None for any
        self._changed = False
        self._removed = False  # whether a vector that this one removed may still stand in the log
        try:
            agree(self._storage, dimension=wanted, metric=metric, model=model)
        except BaseException:
            self._storage.close()
            raise

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The folder as text, as messages call it."""
        return self._storage.name

    @property
    def folder(self) -> Path | None:
        """The folder, None in memory."""
        return self._storage.folder

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._storage.read_only

    @property
    def dimension(self) -> int | None:
        """Numbers per vector, None before the first one."""
        return self._settings().dimension

    @property
    def metric(self) -> str:
        """ "l2" or "cosine"."""
        return self._settings().metric

    @property
    def model(self) -> str | None:
        """Name of the embedder that made the vectors, None if none was given."""
        return self._settings().model

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._storage.closed

    def __repr__(self) -> str:
        if self.closed:
            return f"FaceIndex({self.name!r}, closed)"
        found = self._settings()
        return f"FaceIndex({self.name!r}, {len(self)} vectors of {found.dimension} numbers, {found.metric})"

    # -- a dict -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many vectors there are."""
        with self._storage.reading() as connection:
            return rows.count(connection)

    def __contains__(self, key: object) -> bool:
        if not is_key(key):
            return False
        with self._storage.reading() as connection:
            return bool(rows.present(connection, np.asarray([key], np.int64)))

    def __iter__(self) -> Iterator[int]:
        """Every key of this moment, ascending."""
        return iter(self.keys().tolist())

    def __getitem__(self, key: int) -> Float32Array:
        """The vector of `key`, (dimension,) float32, as it was given. Raises UnknownFaceError."""
        if is_key(key):
            with self._storage.reading() as connection:
                found = rows.vector(connection, int(key))
            if found is not None:
                return found
        raise UnknownFaceError(f"{self.name} has no key {key}")

    def __delitem__(self, key: int) -> None:
        """Remove one vector. Raises UnknownFaceError."""
        if not is_key(key):
            raise UnknownFaceError(f"{self.name} has no key {key}")
        self.remove([key])

    def keys(self) -> Int64Array:
        """(n,) int64, every key of this moment, ascending."""
        with self._storage.reading() as connection:
            return rows.keys(connection)

    # -- changes ----------------------------------------------------------------------------------------------------

    def adopt(self, *, model: str, dimension: int) -> None:
        """Settle which embedder's vectors `add` gets, as an index does that has none yet; also inside a transaction.

        Raises IndexMismatchError where it holds those of another one; `add` does if that changes meanwhile.
        """
        agree(self._storage, dimension=checked_count("dimension", dimension), metric=None, model=model)
        self._expected = model

    def add(self, vectors: npt.ArrayLike, keys: npt.ArrayLike | None = None) -> Int64Array:
        """Store vectors, all or none; when it returns they are safe on the disk.

        vectors  (n, dimension), kept as float32 exactly as given; one vector (dimension,) counts as n = 1
        keys     (n,) whole numbers from 0 that are not in use; None: new ones, never used before
        returns  (n,) int64, the keys

        Raises VectorError (not finite, wrong shape, key in use) and IndexMismatchError (another dimension).
        """
        array = checked_vectors(vectors)
        given = None if keys is None else checked_new_keys(keys, len(array))
        with self.transaction() as connection:
            settings = schema.read(connection, self.name)
            if self._expected not in (None, settings.model):  # another process has exchanged all vectors
                raise mismatch(self.name, settings, array.shape[1], self._expected)
            if settings.dimension is None and len(array):
                schema.write(connection, dimension=array.shape[1])
            elif settings.dimension is not None and array.shape[1] != settings.dimension:
                raise mismatch(self.name, settings, array.shape[1])
            measured(array, settings.metric)  # refuses zeros where only directions count
            chosen = self._new_keys(connection, len(array)) if given is None else self._free(connection, given)
            if len(array):
                rows.insert(connection, Block(chosen, array), self._storage.generation)
                self._storage.changed = True
            return chosen

    def _new_keys(self, connection: sqlite3.Connection, count: int) -> Int64Array:
        first = rows.next_key(connection)
        return np.arange(first, first + count, dtype=np.int64)

    def _free(self, connection: sqlite3.Connection, given: Int64Array) -> Int64Array:
        used = rows.present(connection, given)
        if used:
            raise VectorError(f"{self.name} already has the key {min(used)}")
        return given

    def remove(self, keys: npt.ArrayLike) -> None:
        """Remove vectors, all or none, for good.

        keys  (n,) whole numbers; one key counts as n = 1

        Raises UnknownFaceError if one is not there, and then removes nothing.
        """
        gone = np.unique(checked_keys(keys))
        with self.transaction() as connection:
            missing = set(gone.tolist()) - rows.present(connection, gone)
            if missing:
                more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
                raise UnknownFaceError(f"{self.name} has no key {min(missing)}{more}")
            if len(gone):
                self._removed = True
                rows.delete(connection, gone, self._storage.generation)
                self._storage.changed = True

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, for vectors and for tables of the caller's own in the same database.

        `with index.transaction() as connection:` commits at the end and rolls back on an exception. `add` and
        `remove` inside take part; a transaction inside another joins it (failing, it undoes only its own part).
        Other threads and processes wait to write and see nothing of it before the end. Do not commit by hand, and
        do not use `executescript`, which commits. Leave the tables `meta` (keys "index.*"), `vectors` and
        `removals` to the index; `meta` may hold other keys.

        Raises IndexBusyError when another writer does not finish in time.
        """
        with self._storage.transaction() as connection:
            yield connection
            outermost_changed = self._storage.changed
        if outermost_changed:
            self._changed = True
            self._searcher.invalidate()

    def removal(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a last transaction, in which the caller removes the files of the index; close the index afterwards.

        Other threads and processes cannot write before the end.

        Raises
        ------
        IndexBusyError
            Another writer does not finish in time.
        """
        return self._storage.removal()

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """`with index.reading() as connection:` several statements on one snapshot; it cannot write.

        Inside the thread's own transaction it is that transaction's connection.
        """
        return self._storage.reading()

    def adapt_reader(self, setup: Callable[[sqlite3.Connection], None]) -> None:
        """Let `setup` make temporary tables and views on the connection of `reading`, now and whenever others wrote."""
        self._storage.adapt_reader(setup)

    @property
    def connection(self) -> sqlite3.Connection:
        """The SQLite connection for single reads; inside the thread's own transaction, that transaction's."""
        return self._storage.connection

    # -- neighbours -------------------------------------------------------------------------------------------------

    def search(
        self,
        vectors: npt.ArrayLike,
        k: int = 10,
        *,
        exact: bool = False,
        ef: int | None = None,
        only: npt.ArrayLike | None = None,
    ) -> Matches:
        """The k nearest vectors of each query, nearest first.

        vectors  (q, dimension); one vector (dimension,) counts as q = 1
        k        fewer columns come back where the index holds fewer
        exact    compare with every vector, whatever the size
        ef       candidates of the graph search; more finds more and takes longer; None: as many as the recall wished
                 for takes, as it was measured at the last `save` or `tune`
        only     (n,) keys: answers are among these; those that are not there count for nothing
        returns  keys (q, min(k, len)) int64; distances (q, min(k, len)) float32: squared L2, and with the metric
                 "cosine" squared L2 of the vectors at unit length, which is 2 - 2 cosine (0 same, 4 opposite)

        It sees what other processes have committed. Inside the thread's own transaction it is exact and sees what
        that has changed. Raises VectorError (not finite, wrong shape) and IndexMismatchError (another dimension).
        """
        array = checked_vectors(vectors)
        count = checked_count("k", k)
        effort = None if ef is None else checked_count("ef", ef)
        wanted = None if only is None else ascending(checked_keys(only))
        view = self._searcher.sync(exact=exact)
        if view.settings.dimension not in (None, array.shape[1]):
            raise mismatch(self.name, view.settings, array.shape[1])
        queries = measured(array, view.settings.metric)
        if exact:
            return self._searcher.search_exactly(queries, view, count, wanted)
        return self._searcher.search(queries, view, count, effort, wanted)

    def tune(self) -> Tuning | None:
        """Measure how wide graph searches must be for the recall of the options, and use that from now on.

        `save` does it by itself, whenever it was not done yet or the number of vectors has changed by half since.
        None where every search compares all, or where there are too few vectors to tell.
        """
        return self._searcher.tune()

    def _settings(self) -> schema.Settings:
        with self._storage.reading() as connection:
            return schema.read(connection, self.name)

    def check(self) -> list[str]:
        """Read everything on the disk and list what is wrong, a line each; empty for a healthy index."""
        with self._storage.reading() as connection:
            return rows.problems(connection, schema.read(connection, self.name).dimension)

    # -- maintenance ------------------------------------------------------------------------------------------------

    def exchange(self, blocks: Iterable[Block], *, model: str, dimension: int) -> None:
        """Put other vectors in the place of all, as another model has made them; also inside a transaction.

        blocks     every key once, in any order; their vectors are (n, dimension)

        Raises VectorError where a key is missing, unknown or given twice, and then changes nothing.
        """
        with self.transaction() as connection:
            exchange(connection, blocks, dimension, self.name, self._storage.generation)
            # everything is younger than the log reaches, so every process with the old vectors reads all of them again
            schema.write(connection, log_floor=self._storage.generation, graph=None, graph_generation=0)
            schema.write(connection, model=model, dimension=dimension)
            self._storage.changed = True
        self._expected = model

    def rebuild_graph(self) -> None:
        """Throw the graph away, in memory and on the disk, and make it again from the vectors if there are many."""
        with self.transaction() as connection:
            schema.write(connection, graph=None, graph_generation=0)
            if self.folder is not None:
                graph_file.discard(self.folder)
        self._searcher.forget()
        self.save()

    def rewrite(self, *, wait: float) -> None:
        """Write the database again without its gaps; waits `wait` seconds for other writers, then IndexBusyError."""
        self._storage.rewrite(wait=wait)

    # -- the end ----------------------------------------------------------------------------------------------------

    def save(self) -> bool:
        """Write the graph file, so that the next one who opens need not build it; nothing to do in memory.

        Vectors are safe without it. Removed vectors are gone from every file afterwards, unless another process goes on
        reading an older state of the database: after waiting for that for some seconds (the timeout, at most 5) the
        answer is False and a warning is logged. The next `save`, or the next writer that closes, then finishes it.
        """
        if self._storage.in_transaction:
            raise VectorError(f"{self.name} cannot be saved inside a transaction")
        clean = True
        if self.folder is not None and not self.read_only:
            self._remove_leftovers(self.folder)
            self._searcher.save()
            clean = self._tidy()
        self._changed = False
        return clean

    def receipt(self) -> Receipt:
        """What is left on the disk of vectors that were removed; nothing, after a `save` that says so."""
        return read_receipt(self._storage)

    def _remove_leftovers(self, folder: Path) -> None:
        """Remove what killed writers of the graph file have left, before its hour where it may hold a removed vector.

        Removals that the graph file reflects count as done with: its writer has looked for leftovers then.
        """
        with self._storage.reading() as connection:
            reflected = schema.read(connection, self.name).graph_generation
            went = rows.changes_since(connection, reflected)[1]
        graph_file.remove_leftovers(folder, any_age=self._removed or went > 0)

    def _tidy(self) -> bool:
        """Empty the database's log; wait for readers only where a removed vector stands in it."""
        clean = self._storage.tidy(wait=_LONGEST_WAIT if self._removed else 0)
        if self._removed and not clean:
            _log.warning(
                "%s: another process is reading an older state, so removed vectors are still in its log; "
                "the next one to open it for writing and close it removes them",
                self.name,
            )
        self._removed = False  # waited for and logged once
        return clean

    def close(self, *, save: bool = True) -> None:
        """Save if that is worth it (`save=False`: do not), and release the files; a second call does nothing.

        As with `save`, a removed vector that another process is still reading stays until the next writer closes.
        """
        if self.closed:
            return
        try:
            if save and self._worth_saving():
                self.save()
            elif save and self.folder is not None and not self.read_only and not self._storage.in_transaction:
                self._remove_leftovers(self.folder)
                if self._storage.has_log:
                    self._tidy()
        finally:
            self._storage.close()

    def _worth_saving(self) -> bool:
        """Whether the graph file lags behind so far, or still holds a removed vector, that it must be written."""
        if self.folder is None or self.read_only or self._storage.in_transaction:
            return False
        with self._storage.reading() as connection:
            settings = schema.read(connection, self.name)
            came, went = rows.changes_since(connection, settings.graph_generation)
            size = rows.count(connection)
        if graph_file.is_stray(self.folder, settings.graph) or (settings.graph is not None and went > 0):
            return True
        if settings.graph is None or graph_file.digest(self.folder) != settings.graph:
            return size > self._searcher.exact_limit  # no other process would make it: readers cannot
        if not (self._changed or self._searcher.has_graph):
            return False  # who only looked at other things shall not wait for a graph
        return self._searcher.graph_file_stale or came > max(_SAVE_AFTER, size // 1000)

    def __enter__(self) -> FaceIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(save=error is None)

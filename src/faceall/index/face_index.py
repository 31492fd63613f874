"""`FaceIndex`: a durable dict from keys to vectors with nearest-neighbour search."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked, checked_methods
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
from faceall.index.forks import watch_forks
from faceall.index.graph import graph_file, saving
from faceall.index.graph.graph import GraphOptions
from faceall.index.graph.memory import EXACT_LIMIT, Memory
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
_SAVE_AFTER = 256  # changes that `close` does not save, because writing the whole graph takes longer than applying them


@checked_methods
class FaceIndex:
    """Vectors by key, on disk or in memory, for any number of threads and processes.

    A vector survives a crash once `add` (or the outermost `transaction`) has returned. Other processes find it at their
    next search. A removed vector is never found again; after `save` or `close` no byte of it is left in the folder,
    unless `save` reports that another process is still reading it.

    Opening is fast: vectors are read at the first search, and a small index never loads the graph library.

    Parameters
    ----------
    folder : str, Path or None
        A folder with `faces.db` (the database) and, if large, `faces.hnsw` (a cache); None: in memory.
    dimension : int, optional
        Length of a vector. Default: that of the folder, or of the first vectors added.
    metric : {"l2", "cosine"}, optional
        Default: that of the folder, or "l2".
    model : str, optional
        Name of the embedder that makes the vectors; an index of another one is refused.
    create : bool, default True
        Create the folder if it has no index.
    read_only : bool, default False
        Never write, not even the cache.
    timeout : float, default 30
        Seconds that a writer waits for another one.
    options : GraphOptions, optional
        How the graph is built and searched.
    exact_limit : int
        Number of vectors up to which searches compare all of them.

    Raises
    ------
    IndexFileError
        If the folder cannot be used, or has no index and `create` is False.
    IndexDamagedError
        If the database is damaged or belongs to another program.
    IndexNewerError
        If a newer version of faceall wrote it.
    IndexMismatchError
        If the index has another dimension, metric or model.
    IndexBusyError
        If another writer does not finish in time.
    VectorError
        If `metric` or `dimension` is invalid.
    """

    @checked
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
        self._options, self._suspended = options or GraphOptions(), False
        self._memory = Memory(self._storage, self._options, exact_limit=exact_limit)
        self._expected = model  # of the vectors given to `add`, None for any
        self._changed = False
        self._removed = False  # whether the log may contain a vector that this object removed
        try:
            agree(self._storage, dimension=wanted, metric=metric, model=model)
        except BaseException:
            self._storage.close()
            raise
        watch_forks(self)

    # -- forks ------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close the connections while the process forks, unless they are in use."""
        self._suspended = not self.closed and self._storage.suspend()

    def after_fork(self, *, child: bool) -> None:
        """Open the connections again; an index that was in use at the fork is closed in the child."""
        if self.closed:
            return
        if self._suspended:
            self._suspended = False
            self._storage.resume()
        elif child:
            self._storage.abandon()
        if child:  # another thread of the parent may have been in the middle of anything
            self._memory = Memory(self._storage, self._options, exact_limit=self._memory.exact_limit)
        else:
            self._memory.invalidate()

    # -- properties -------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The folder as a text for messages."""
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
        """Length of a vector, None before the first one."""
        return self._settings().dimension

    @property
    def metric(self) -> str:
        """The metric, "l2" or "cosine"."""
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
        return f"FaceIndex({self.name!r}, {len(self)} vectors of {found.dimension} dimensions, {found.metric})"

    # -- a dict -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of vectors."""
        with self._storage.reading() as connection:
            return rows.count(connection)

    def __contains__(self, key: object) -> bool:
        if not is_key(key):
            return False
        with self._storage.reading() as connection:
            return bool(rows.present(connection, np.asarray([key], np.int64)))

    def __iter__(self) -> Iterator[int]:
        """Iterate over the current keys, ascending."""
        return iter(self.keys().tolist())

    def __getitem__(self, key: int) -> Float32Array:
        """Return the vector of a key as it was given, (dimension,) float32.

        Raises
        ------
        UnknownFaceError
            If there is no such key.
        """
        if is_key(key):
            with self._storage.reading() as connection:
                found = rows.vector(connection, int(key))
            if found is not None:
                return found
        raise UnknownFaceError(f"{self.name} has no key {key}")

    def __delitem__(self, key: int) -> None:
        """Remove one vector.

        Raises
        ------
        UnknownFaceError
            If there is no such key.
        """
        if not is_key(key):
            raise UnknownFaceError(f"{self.name} has no key {key}")
        self.remove([key])

    def keys(self) -> Int64Array:
        """Return the current keys (n,) int64, ascending."""
        with self._storage.reading() as connection:
            return rows.keys(connection)

    # -- changes ----------------------------------------------------------------------------------------------------

    def adopt(self, *, model: str, dimension: int) -> None:
        """Set the embedder of the vectors for `add`; may be called inside a transaction.

        Parameters
        ----------
        model : str
            Name of the embedder.
        dimension : int
            Length of its vectors.

        Raises
        ------
        IndexMismatchError
            If the index holds vectors of another embedder.
        """
        agree(self._storage, dimension=checked_count("dimension", dimension), metric=None, model=model)
        self._expected = model

    def add(self, vectors: npt.ArrayLike, keys: npt.ArrayLike | None = None) -> Int64Array:
        """Add vectors, all or none; they are on the disk when this returns.

        Parameters
        ----------
        vectors : (n, dimension) array_like
            Stored unchanged as float32; one vector (dimension,) counts as n = 1.
        keys : (n,) array_like of int, optional
            Unused keys from 0. Default: new keys that were never used before.

        Returns
        -------
        (n,) int64
            The keys.

        Raises
        ------
        VectorError
            If a vector is not finite, the shape is wrong or a key is in use.
        IndexMismatchError
            If the dimension differs, or another embedder is in use by now.
        IndexBusyError
            If another writer does not finish in time.
        """
        array = checked_vectors(vectors)
        given = None if keys is None else checked_new_keys(keys, len(array))
        with self.transaction() as connection:
            settings = schema.read(connection, self.name)
            if self._expected not in (None, settings.model):  # another process has replaced all vectors
                raise mismatch(self.name, settings, array.shape[1], self._expected)
            if settings.dimension is None and len(array):
                schema.write(connection, dimension=array.shape[1])
            elif settings.dimension is not None and array.shape[1] != settings.dimension:
                raise mismatch(self.name, settings, array.shape[1])
            measured(array, settings.metric)  # refuses zero vectors for the metric "cosine"
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
        """Remove vectors permanently, all or none.

        Parameters
        ----------
        keys : (n,) array_like of int
            One key counts as n = 1.

        Raises
        ------
        UnknownFaceError
            If a key does not exist; nothing is removed then.
        IndexBusyError
            If another writer does not finish in time.
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
        """Change vectors, and tables of the caller in the same database, in one transaction.

        `with index.transaction() as connection:` commits at the end and rolls back on an exception. `add` and
        `remove` inside take part. A nested transaction is part of the outer one; if it fails, only its own changes are
        undone. Other threads and processes wait to write and see no change before the end.

        Do not commit explicitly, and do not use `executescript`, which commits. Do not change the tables `vectors` and
        `removals`, or keys of the table `meta` that begin with "index.".

        Yields
        ------
        sqlite3.Connection
            The writing connection.

        Raises
        ------
        IndexBusyError
            If another writer does not finish in time.
        IndexFileError
            If the index was opened for reading only or is closed.
        """
        with self._storage.transaction() as connection:
            yield connection
            outermost_changed = self._storage.changed
        if outermost_changed:
            self._changed = True
            self._memory.invalidate()

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
        """Read several statements on one snapshot: `with index.reading() as connection:`.

        The connection cannot write. Inside the thread's own transaction it is that transaction's connection.
        """
        return self._storage.reading()

    def adapt_reader(self, setup: Callable[[sqlite3.Connection], None]) -> None:
        """Let `setup` create temporary tables and views on the connection of `reading`, now and after changes."""
        self._storage.adapt_reader(setup)

    @property
    def connection(self) -> sqlite3.Connection:
        """The SQLite connection for single reads; inside the thread's own transaction, that transaction's."""
        return self._storage.connection

    # -- search -----------------------------------------------------------------------------------------------------

    def search(
        self,
        vectors: npt.ArrayLike,
        k: int = 10,
        *,
        exact: bool = False,
        ef: int | None = None,
        only: npt.ArrayLike | None = None,
    ) -> Matches:
        """Find the k nearest vectors of each query.

        The search includes everything that other processes have committed. Inside the thread's own transaction it is
        exact and includes the changes so far.

        Parameters
        ----------
        vectors : (q, dimension) array_like
            The queries; one vector (dimension,) counts as q = 1.
        k : int, default 10
            Number of neighbours.
        exact : bool, default False
            Compare with every vector, whatever the size of the index.
        ef : int, optional
            Candidates of the graph search; more candidates find more neighbours and take longer. Default: the number
            measured for the recall of the options at the last `save` or `tune`.
        only : (n,) array_like of int, optional
            Search only among these keys; unknown keys are ignored.

        Returns
        -------
        Matches
            Keys (q, min(k, len)) int64 and distances (q, min(k, len)) float32, nearest first. Distances are squared L2;
            for the metric "cosine" of the vectors at unit length, which is 2 - 2 cosine, from 0 (same) to 4 (opposite).

        Raises
        ------
        VectorError
            If a query is not finite, the shape is wrong, or `k` or `ef` is invalid.
        IndexMismatchError
            If the dimension differs.
        """
        array = checked_vectors(vectors)
        count = checked_count("k", k)
        effort = None if ef is None else checked_count("ef", ef)
        wanted = None if only is None else ascending(checked_keys(only))
        view = self._memory.sync(exact=exact, queries=len(array))
        if view.settings.dimension not in (None, array.shape[1]):
            raise mismatch(self.name, view.settings, array.shape[1])
        queries = measured(array, view.settings.metric)
        if exact:
            return view.search_exactly(queries, count, wanted)
        return view.search(queries, count, effort, wanted)

    def tune(self) -> Tuning | None:
        """Measure the search effort for the recall of the options and use it from now on.

        `save` calls this if it was not measured yet, or the number of vectors has changed by half since.

        Returns
        -------
        Tuning or None
            None if every search compares all vectors, or there are too few to measure.
        """
        return saving.tune(self._memory)

    def _settings(self) -> schema.Settings:
        with self._storage.reading() as connection:
            return schema.read(connection, self.name)

    def check(self) -> list[str]:
        """Read everything on the disk; return one line per problem, none for a sound index."""
        with self._storage.reading() as connection:
            return rows.problems(connection, schema.read(connection, self.name).dimension)

    # -- maintenance ------------------------------------------------------------------------------------------------

    def exchange(self, blocks: Iterable[Block], *, model: str, dimension: int) -> None:
        """Replace all vectors by those of another model; may be called inside a transaction.

        Parameters
        ----------
        blocks : iterable of Block
            Every key once, in any order, with vectors (n, dimension).
        model : str
            Name of the new embedder.
        dimension : int
            Length of its vectors.

        Raises
        ------
        VectorError
            If a key is missing, unknown or repeated; nothing is changed then.
        """
        with self.transaction() as connection:
            exchange(connection, blocks, dimension, self.name, self._storage.generation)
            # everything is newer than the log, so every process with the old vectors reads all of them again
            schema.write(connection, log_floor=self._storage.generation, graph=None, graph_generation=0)
            schema.write(connection, model=model, dimension=dimension)
            self._storage.changed = True
        self._expected = model

    def shorten_graph(self) -> None:
        """Let the next `save` try whether the graph can be one of projected vectors, if the options want that."""
        saving.remeasure(self._memory)

    def rebuild_graph(self) -> None:
        """Discard the graph in memory and on the disk; build it again from the vectors if there are many."""
        with self.transaction() as connection:
            schema.write(connection, graph=None, graph_generation=0)
            if self.folder is not None:
                graph_file.discard(self.folder)
        self._memory.forget()
        self.save()

    def rewrite(self, *, wait: float) -> None:
        """Rewrite the database without free pages.

        Parameters
        ----------
        wait : float
            Seconds to wait for other writers.

        Raises
        ------
        IndexBusyError
            If another process still writes then.
        """
        self._storage.rewrite(wait=wait)

    # -- closing ----------------------------------------------------------------------------------------------------

    def save(self) -> bool:
        """Write the graph file, so that it need not be built when the index is opened next.

        Vectors are safe without it. Afterwards no file contains removed vectors, unless another process keeps reading
        an older state of the database. In that case this waits for some seconds (the timeout, at most 5), logs a
        warning and returns False; the next `save`, or the next writer that closes, completes the removal.

        Returns
        -------
        bool
            Whether all removed vectors are gone from the files.

        Raises
        ------
        VectorError
            If called inside a transaction.
        IndexFileError
            If the file cannot be written.
        """
        if self._storage.in_transaction:
            raise VectorError(f"{self.name} cannot be saved inside a transaction")
        clean = True
        if self.folder is not None and not self.read_only:
            self._remove_leftovers(self.folder)
            saving.save(self._memory)
            clean = self._tidy()
        self._changed = False
        return clean

    def empty_log(self) -> bool:
        """Move the database's log into the database, and wait for other readers and writers as `save` does.

        Returns
        -------
        bool
            Whether the log is empty.
        """
        return self._storage.tidy(wait=_LONGEST_WAIT)

    def receipt(self) -> Receipt:
        """Return which traces of removed vectors are left on the disk; none after a `save` that returned True."""
        return read_receipt(self._storage)

    def _remove_leftovers(self, folder: Path) -> None:
        """Remove temporary files of killed writers; recent ones only if they may contain a removed vector.

        Removals that the graph file reflects need no check: its writer has removed leftovers then.
        """
        with self._storage.reading() as connection:
            reflected = schema.read(connection, self.name).graph_generation
            went = rows.changes_since(connection, reflected)[1]
        graph_file.remove_leftovers(folder, any_age=self._removed or went > 0)

    def _tidy(self) -> bool:
        """Empty the database's log; wait for readers only if it contains a removed vector."""
        clean = self._storage.tidy(wait=_LONGEST_WAIT if self._removed else 0)
        if self._removed and not clean:
            _log.warning(
                "%s: another process is reading an older state, so removed vectors are still in its log; "
                "the next one to open it for writing and close it removes them",
                self.name,
            )
        self._removed = False  # wait and log only once
        return clean

    def close(self, *, save: bool = True) -> None:
        """Release the files; a second call does nothing.

        Parameters
        ----------
        save : bool, default True
            Save before, if that is worthwhile. As with `save`, a removed vector that another process is still reading
            stays in the log until the next writer closes.
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
        """Return whether the graph file is too old, or contains a removed vector, so that it must be written."""
        if self.folder is None or self.read_only or self._storage.in_transaction:
            return False
        with self._storage.reading() as connection:
            settings = schema.read(connection, self.name)
            came, went = rows.changes_since(connection, settings.graph_generation)
            size = rows.count(connection)
        if graph_file.is_stray(self.folder, settings.graph) or (settings.graph is not None and went > 0):
            return True
        if settings.graph is None or graph_file.digest(self.folder) != settings.graph:
            return self._memory.needs_graph(size)  # readers cannot write it
        if not (self._changed or self._memory.graph is not None):
            return False  # a process that did not search need not wait for a graph
        return self._memory.graph_file_stale or came > max(_SAVE_AFTER, size // 1000)

    def __enter__(self) -> FaceIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(save=error is None)

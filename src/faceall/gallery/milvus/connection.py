"""Requests to Milvus: reads, writes, searches, and waiting for a server that restarts.

A face that one process has reported is found by the next search of any process. A server applies writes some 200 ms
after it has acknowledged them, at its next time tick, and a read with the consistency level Strong waits for that. The
writer waits (`settle`), once per unit of work, and not every reader at every read: a read uses Strong only if it is the
first one of a collection in this process, the first after a write of this process, or the first after the server was
away. All others use Eventually.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from faceall.errors import IndexFileError
from faceall.gallery.milvus.address import Address
from faceall.gallery.milvus.client import connected, is_away, is_unloaded, lacks_index, reason, scalar_index
from faceall.types import Float32Array

if TYPE_CHECKING:
    from faceall.gallery.milvus.layout import Collection

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = "int | str"

T = TypeVar("T")

TIMEOUT = 60.0  # seconds for one request
LONG_TIMEOUT = 180.0  # seconds for one that loads, seals or compacts a collection
AWAY_LIMIT = 180.0  # seconds to wait for a server that has gone away; a killed one takes a minute to notice
MOST = 16_384  # the most rows of one request
_LARGEST_KEY = (1 << 63) - 1
_PAUSE = 1.0  # seconds between two attempts
_GROUP = 500  # keys per request
_BYTES = 8 << 20  # of rows per request; a server accepts 64 MiB
_PAGE = 2_000  # rows per answer of a scan

_log = logging.getLogger(__name__)
_left_to_parent: list[Any] = []  # clients that a forked child must not close


class Connection:
    """Requests to the collections of one gallery; safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = str(address)
        self._client = connected(address)
        self._closed = False
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._writes: Counter[str] = Counter()  # requests that write, by collection
        self._seen: dict[str, int] = {}  # how many of them a read with Strong has waited for

    def _ask(self, request: Callable[[Any], T]) -> T:
        """Return the answer to a request; wait for a server that has gone away.

        Raises
        ------
        IndexFileError
            If the connection is closed, the request fails, or no server answers for `AWAY_LIMIT` seconds.
        """
        from pymilvus.exceptions import MilvusException

        deadline: float | None = None
        while True:
            client = self._live_client()
            try:
                return request(client)
            except MilvusException as error:
                failed = IndexFileError(f"{self.name}: {reason(error)}")
                if self.address.path is not None or not is_away(error):
                    raise failed from error
                if deadline is None:
                    deadline = time.monotonic() + AWAY_LIMIT
                    _log.warning("%s does not answer; waiting up to %.0f s for it", self.name, AWAY_LIMIT)
                elif time.monotonic() > deadline:
                    raise failed from error
                self._seen.clear()
                if is_unloaded(error):
                    self._load_all(client)
            time.sleep(_PAUSE)

    def _live_client(self) -> Any:
        """Return the client of this process; a forked child makes its own."""
        if self._closed:
            raise IndexFileError(f"{self.name} is closed")
        if self._process != os.getpid():
            _left_to_parent.append(self._client)
            self._client, self._process = connected(self.address), os.getpid()
            self._seen.clear()
        return self._client

    # -- collections ------------------------------------------------------------------------------------------------

    def collections(self) -> set[str]:
        """Return the names of all collections in the database, including those of other galleries."""
        return set(self._ask(lambda client: client.list_collections(timeout=TIMEOUT)))

    def make(self, collections: Mapping[Collection, int]) -> None:
        """Create collections with their indexes where they do not exist, and load all of them at once.

        Parameters
        ----------
        collections : mapping of Collection to int
            The length of the vectors of each.
        """
        for collection, dimension in collections.items():
            self._ask(partial(self._make, collection=collection, dimension=dimension))
        with ThreadPoolExecutor(len(collections)) as pool:  # a server takes seconds to load one
            list(pool.map(lambda one: self._ask(lambda client: self._load(client, one)), collections))

    def _make(self, client: Any, collection: Collection, dimension: int) -> None:
        from pymilvus import DataType

        name = self._full(collection.name)
        if client.has_collection(name, timeout=TIMEOUT):
            return
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        for field in collection.fields:
            options: dict[str, Any] = {"max_length": field.length} if field.length else {}
            kind = getattr(DataType, field.kind)
            schema.add_field(field.name, kind, is_primary=field.name == collection.key, **options)
        schema.add_field(collection.vector, DataType.FLOAT_VECTOR, dim=dimension)
        client.create_collection(name, schema=schema, consistency_level="Eventually", timeout=TIMEOUT)

    def _load(self, client: Any, collection: Collection) -> None:
        from pymilvus.exceptions import MilvusException

        name = self._full(collection.name)
        try:
            client.load_collection(name, timeout=LONG_TIMEOUT)
        except MilvusException as error:
            if not lacks_index(error):
                raise
            self._index(client, collection)
            client.load_collection(name, timeout=LONG_TIMEOUT)

    def _index(self, client: Any, collection: Collection) -> None:
        """Create the indexes of a collection."""
        indexes = client.prepare_index_params()
        indexes.add_index(collection.vector, metric_type="L2", **collection.index)
        kind = scalar_index(self.address, client)
        for field in collection.fields:
            if field.indexed:
                indexes.add_index(field.name, index_type=kind)
        client.create_index(self._full(collection.name), indexes, sync=False, timeout=LONG_TIMEOUT)

    def _load_all(self, client: Any) -> None:
        """Load the collections of the gallery again, if the server has forgotten them."""
        from pymilvus.exceptions import MilvusException

        prefix = self._full("")
        try:
            for name in client.list_collections(timeout=TIMEOUT):
                if name.startswith(prefix):
                    client.load_collection(name, timeout=LONG_TIMEOUT)
        except MilvusException as error:
            if not is_away(error):
                raise IndexFileError(f"{self.name}: {reason(error)}") from error

    def drop(self, names: Iterable[str]) -> None:
        """Drop collections of the gallery, if they exist."""
        for collection in names:
            self._on(collection, _drop)

    def seal(self, collections: Iterable[str]) -> None:
        """Let the server seal its open segments, so that their indexes are built."""
        self._on_each(collections, _seal)

    def compact(self, collections: Iterable[str]) -> None:
        """Ask the server to compact collections, which removes deleted rows from its files; it does so later."""
        self._on_each(collections, _compact)

    def _on_each(self, collections: Iterable[str], act: Callable[[Any, str], object]) -> None:
        """Let `act` work on several collections at once; a server takes seconds for each."""
        names = list(collections)
        with ThreadPoolExecutor(len(names) or 1) as pool:
            list(pool.map(lambda name: self._on(name, act), names))

    # -- reads ------------------------------------------------------------------------------------------------------

    def get(self, collection: str, keys: Iterable[Key], fields: Sequence[str], *, strong: bool = False) -> list[Row]:
        """Return the rows with these keys, in any order; unknown keys are skipped.

        With `strong`, writes are included that other processes have not reported yet.
        """
        found: list[Row] = []
        possible = (key for key in keys if isinstance(key, str) or -_LARGEST_KEY <= key <= _LARGEST_KEY)
        for group in _groups(possible, _GROUP):
            found += self._read(collection, _Get(group, list(fields)), strong=strong)
        return found

    def where(
        self,
        collection: str,
        condition: str,
        fields: Sequence[str],
        *,
        limit: int | None = None,
        strong: bool = False,
    ) -> list[Row]:
        """Return the rows that match a condition of Milvus, at most `limit` of them; `strong` as for `get`."""
        if limit is None:
            return list(self.scan(collection, condition, fields, strong=strong))
        options = {"filter": condition, "output_fields": list(fields), "limit": limit}
        return list(
            self._read(collection, lambda client, name, how: client.query(name, **options, **how), strong=strong)
        )

    def scan(
        self, collection: str, condition: str, fields: Sequence[str], *, page: int = _PAGE, strong: bool = False
    ) -> Iterator[Row]:
        """Yield the rows that match a condition, page by page; this is not a snapshot if others write."""
        few = {"filter": condition, "output_fields": list(fields), "limit": page}
        first = self._read(collection, lambda client, name, how: client.query(name, **few, **how), strong=strong)
        if len(first) < page:
            yield from first
            return
        options = {"batch_size": page, "filter": condition, "output_fields": list(fields)}
        rows = self._read(
            collection, lambda client, name, how: client.query_iterator(name, **options, **how), strong=strong
        )  # takes a second to start
        try:
            while found := self._ask(lambda _: rows.next()):
                yield from found
        finally:
            rows.close()

    def count(self, collection: str, condition: str = "") -> int:
        """Count the rows, or those that match a condition."""
        options = {"filter": condition, "output_fields": ["count(*)"]}
        found = self._read(collection, lambda client, name, how: client.query(name, **options, **how))
        return int(found[0]["count(*)"])

    def search(
        self,
        collection: str,
        vectors: Float32Array,
        count: int,
        *,
        condition: str,
        field: str,
        fields: Sequence[str] = (),
    ) -> list[list[tuple[int, float, Row]]]:
        """Find the nearest rows of each vector.

        Parameters
        ----------
        collection : str
            A collection with vectors.
        vectors : (q, dimension) float32
            The queries.
        count : int
            Number of rows per query.
        condition : str
            A condition of Milvus on the rows; "" for all.
        field : str
            The column of the vectors.
        fields : sequence of str
            The columns to return.

        Returns
        -------
        list of list of (int, float, dict)
            For each query the keys, squared L2 distances and columns, nearest first.
        """
        results: list[list[tuple[int, float, Row]]] = []
        width = {"ef": min(max(2 * count, 128), 32_768)}
        options = {
            "anns_field": field,
            "limit": min(count, MOST),
            "filter": condition,
            "output_fields": list(fields),
            "search_params": {"metric_type": "L2", "params": width},
        }
        for start in range(0, len(vectors), _GROUP):
            queries = [vector.tolist() for vector in vectors[start : start + _GROUP]]
            found = self._read(collection, _Search(queries, options))
            results += [[(int(hit["id"]), float(hit["distance"]), hit["entity"]) for hit in hits] for hits in found]
        return results

    def _read(self, collection: str, act: Callable[[Any, str, Mapping[str, Any]], T], *, strong: bool = False) -> T:
        """Return what `act` reads with a client, the full name of a collection, and options that say how to read."""

        def request(client: Any) -> T:
            writes = self._writes[collection]
            settled = self._seen.get(collection) == writes and not strong
            level = "Eventually" if settled else "Strong"
            answer = act(client, self._full(collection), {"consistency_level": level, "timeout": TIMEOUT})
            self._seen[collection] = max(writes, self._seen.get(collection, 0))
            return answer

        return self._ask(request)

    # -- writes -----------------------------------------------------------------------------------------------------

    def put(self, collection: str, rows: Iterable[Row]) -> None:
        """Write rows, replacing those with the same key; they are in the server's log when this returns."""
        for group in _portions(rows):
            self._write(collection, _Put(group))

    def delete(self, collection: str, keys: Iterable[Key]) -> None:
        """Delete rows by their keys; unknown keys are skipped."""
        for group in _groups(keys, _GROUP):
            self._write(collection, _Delete(group))

    def _write(self, collection: str, act: Callable[[Any, str], object]) -> None:
        self._on(collection, act)
        with self._lock:
            self._writes[collection] += 1

    def settle(self) -> None:
        """Wait until every process sees what was written; do this before it is reported."""
        waiting = [one for one, writes in self._writes.items() if self._seen.get(one) != writes]
        if waiting and self.address.path is None:
            with ThreadPoolExecutor(len(waiting)) as pool:  # all wait for the same time tick
                list(pool.map(self.count, waiting))

    def _on(self, collection: str, act: Callable[[Any, str], T]) -> T:
        """Return what `act` does with a client and the full name of a collection."""
        return self._ask(lambda client: act(client, self._full(collection)))

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if not self._closed:
            self._live_client().close()
            self._closed = True

    def _full(self, collection: str) -> str:
        return f"{self.address.name}_{collection}"


def _drop(client: Any, name: str) -> None:
    if client.has_collection(name, timeout=TIMEOUT):
        client.drop_collection(name, timeout=TIMEOUT)


def _seal(client: Any, name: str) -> None:
    client.flush(name, timeout=LONG_TIMEOUT)


def _compact(client: Any, name: str) -> None:
    _seal(client, name)
    client.compact(name, timeout=LONG_TIMEOUT)


@dataclass(frozen=True)
class _Get:
    """Read the rows with some keys."""

    keys: list[Key]
    fields: list[str]

    def __call__(self, client: Any, name: str, how: Mapping[str, Any]) -> list[Row]:
        return list(client.get(name, ids=self.keys, output_fields=self.fields, **how))


@dataclass(frozen=True)
class _Search:
    """Search for some vectors."""

    queries: list[list[float]]
    options: Mapping[str, Any]

    def __call__(self, client: Any, name: str, how: Mapping[str, Any]) -> Any:
        return client.search(name, data=self.queries, **self.options, **how)


@dataclass(frozen=True)
class _Put:
    """Write some rows."""

    rows: list[Row]

    def __call__(self, client: Any, name: str) -> None:
        client.upsert(name, self.rows, timeout=TIMEOUT)


@dataclass(frozen=True)
class _Delete:
    """Delete the rows with some keys."""

    keys: list[Key]

    def __call__(self, client: Any, name: str) -> None:
        client.delete(name, ids=self.keys, timeout=TIMEOUT)


def _groups(keys: Iterable[Key], size: int) -> Iterator[list[Key]]:
    rest = iter(keys)
    while group := list(islice(rest, size)):
        yield group


def _portions(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Divide rows into groups that fit into one request."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += _weight(row)
        if size >= _BYTES or len(group) >= _GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _weight(row: Mapping[str, Any]) -> int:
    """Estimate the bytes of a row."""
    sized = [value for value in row.values() if isinstance(value, str | list | dict)]
    return sum(len(value) * (4 if isinstance(value, list) else 1) for value in sized)

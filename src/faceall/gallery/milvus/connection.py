"""The client of Milvus, and the only place where its errors are translated.

Every read uses the consistency level Strong: it waits until the server has processed all writes acknowledged before,
so a face that one process has registered is found by the next search of any process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from faceall.errors import IndexBusyError, IndexFileError, MissingDependencyError
from faceall.gallery.milvus.address import Address
from faceall.types import Float32Array

if TYPE_CHECKING:
    from faceall.gallery.milvus.layout import Collection

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = "int | str"

CONSISTENCY = "Strong"
TIMEOUT = 60.0  # seconds for one request
CONNECT_TIMEOUT = 10.0
MOST = 16_384  # the most rows of one request
_GROUP = 500  # keys per request
_BYTES = 8 << 20  # of rows per request; a server accepts 64 MiB
_PAGE = 2_000  # rows per answer of a scan


_left_to_parent: list[Any] = []  # clients that a forked child must not close


class Connection:
    """Requests to the collections of one gallery; safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = str(address)
        self._client = _connected(address)
        self._closed = False
        self._process = os.getpid()

    @contextmanager
    def translated(self) -> Iterator[Any]:
        """Yield the client and translate its errors.

        Raises
        ------
        IndexFileError
            If the connection is closed or a request fails.
        """
        from pymilvus.exceptions import MilvusException

        if self._closed:
            raise IndexFileError(f"{self.name} is closed")
        if self._process != os.getpid():  # a forked child cannot use the connection of its parent
            _left_to_parent.append(self._client)
            self._client, self._process = _connected(self.address), os.getpid()
        try:
            yield self._client
        except MilvusException as error:
            raise IndexFileError(f"{self.name}: {_reason(error)}") from error

    # -- collections ------------------------------------------------------------------------------------------------

    def collections(self) -> set[str]:
        """Return the names of all collections in the database, including those of other galleries."""
        with self.translated() as client:
            return set(client.list_collections())

    def make(self, collection: Collection, dimension: int) -> None:
        """Create a collection with its indexes if it does not exist, and load it."""
        from pymilvus import DataType

        name = self._full(collection.name)
        with self.translated() as client:
            if client.has_collection(name):
                client.load_collection(name)
                return
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            for field in collection.fields:
                options: dict[str, Any] = {"max_length": field.length} if field.length else {}
                kind = getattr(DataType, field.kind)
                schema.add_field(field.name, kind, is_primary=field.name == collection.key, **options)
            schema.add_field(collection.vector, DataType.FLOAT_VECTOR, dim=dimension)
            client.create_collection(name, schema=schema, consistency_level=CONSISTENCY)
            indexes = client.prepare_index_params()
            indexes.add_index(collection.vector, metric_type="L2", **collection.index)
            for field in collection.fields:
                if field.indexed:
                    indexes.add_index(field.name, index_type="INVERTED")
            client.create_index(name, indexes, sync=False)
            client.load_collection(name)

    def drop(self, names: Iterable[str]) -> None:
        """Drop collections of the gallery, if they exist."""
        with self.translated() as client:
            for name in names:
                if client.has_collection(self._full(name)):
                    client.drop_collection(self._full(name))

    def seal(self, collections: Iterable[str]) -> None:
        """Let the server seal its open segments, so that their indexes are built."""
        with self.translated() as client:
            for name in collections:
                client.flush(self._full(name))

    def compact(self, collections: Iterable[str]) -> None:
        """Ask the server to compact collections, which removes deleted rows from its files; it does so later."""
        with self.translated() as client:
            for name in collections:
                client.flush(self._full(name))
                client.compact(self._full(name))

    # -- rows -------------------------------------------------------------------------------------------------------

    def get(self, collection: str, keys: Iterable[Key], fields: Sequence[str]) -> list[Row]:
        """Return the rows with these keys, in any order; unknown keys are skipped."""
        found: list[Row] = []
        with self.translated() as client:
            for group in _groups(keys, _GROUP):
                found += client.get(self._full(collection), ids=group, output_fields=list(fields), timeout=TIMEOUT)
        return found

    def where(self, collection: str, condition: str, fields: Sequence[str], *, limit: int | None = None) -> list[Row]:
        """Return the rows that match a condition of Milvus, at most `limit` of them."""
        if limit is None:
            return list(self.scan(collection, condition, fields))
        with self.translated() as client:
            return list(
                client.query(
                    self._full(collection),
                    filter=condition,
                    output_fields=list(fields),
                    limit=limit,
                    timeout=TIMEOUT,
                )
            )

    def scan(self, collection: str, condition: str, fields: Sequence[str], *, page: int = _PAGE) -> Iterator[Row]:
        """Yield the rows that match a condition, page by page; this is not a snapshot if others write."""
        with self.translated() as client:
            rows = client.query_iterator(
                self._full(collection),
                batch_size=page,
                filter=condition,
                output_fields=list(fields),
                consistency_level=CONSISTENCY,
                timeout=TIMEOUT,
            )
        try:
            while True:
                with self.translated():
                    found = rows.next()
                if not found:
                    return
                yield from found
        finally:
            rows.close()

    def count(self, collection: str, condition: str = "") -> int:
        """Count the rows, or those that match a condition."""
        with self.translated() as client:
            found = client.query(self._full(collection), filter=condition, output_fields=["count(*)"], timeout=TIMEOUT)
        return int(found[0]["count(*)"])

    def put(self, collection: str, rows: Iterable[Row]) -> None:
        """Write rows, replacing those with the same key; they are in the server's log when this returns."""
        with self.translated() as client:
            for group in _portions(rows):
                client.upsert(self._full(collection), group, timeout=TIMEOUT)

    def delete(self, collection: str, keys: Iterable[Key]) -> None:
        """Delete rows by their keys; unknown keys are skipped."""
        with self.translated() as client:
            for group in _groups(keys, _GROUP):
                client.delete(self._full(collection), ids=group, timeout=TIMEOUT)

    def search(
        self, collection: str, vectors: Float32Array, count: int, *, condition: str, field: str
    ) -> list[list[tuple[int, float]]]:
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

        Returns
        -------
        list of list of (int, float)
            For each query the keys and squared L2 distances, nearest first.
        """
        results: list[list[tuple[int, float]]] = []
        with self.translated() as client:
            for start in range(0, len(vectors), _GROUP):
                found = client.search(
                    self._full(collection),
                    data=[vector.tolist() for vector in vectors[start : start + _GROUP]],
                    anns_field=field,
                    limit=min(count, MOST),
                    filter=condition,
                    search_params={"metric_type": "L2", "params": {"ef": min(max(2 * count, 128), 32_768)}},
                    consistency_level=CONSISTENCY,
                    timeout=TIMEOUT,
                )
                results += [[(int(hit["id"]), float(hit["distance"])) for hit in hits] for hits in found]
        return results

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if not self._closed:
            with self.translated() as client:
                client.close()
            self._closed = True

    def _full(self, collection: str) -> str:
        return f"{self.address.name}_{collection}"


def _connected(address: Address) -> Any:
    """Return a client of pymilvus."""
    try:
        import pymilvus
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise MissingDependencyError(f"{address} needs pymilvus: pip install 'faceall[milvus]'") from error
    for name in ("pymilvus", "milvus_lite", "grpc"):  # they log tracebacks of errors that are reported in one line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        if address.path is not None:
            return _opened_file(address)
        return pymilvus.MilvusClient(
            address.uri,
            user=address.user,
            password=address.password,
            token=address.token,
            db_name=address.database,
            timeout=CONNECT_TIMEOUT,
            **({"server_pem_path": address.authority} if address.authority else {}),
        )
    except MilvusException as error:
        raise IndexFileError(f"{address} cannot be reached: {_reason(error)}") from error


def _opened_file(address: Address) -> Any:
    import pymilvus
    from pymilvus.exceptions import MilvusException

    try:
        import milvus_lite  # noqa: F401 - only checks that it is installed
    except ImportError as error:
        raise MissingDependencyError(f"{address} needs milvus-lite: pip install milvus-lite") from error
    assert address.path is not None
    try:
        address.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        client = pymilvus.MilvusClient(str(address.path))
        os.chmod(address.path, 0o700 if address.path.is_dir() else 0o600)  # readable by the owner only
    except OSError as error:
        raise IndexFileError(f"{address} cannot be made: {error.strerror}") from error
    except MilvusException as error:
        if _is_locked(error):
            raise _refusal(address, address.path) from error
        raise
    return client


def _refusal(address: Address, path: Path) -> IndexFileError:
    """Return the reason why milvus-lite did not start, which its own error does not contain."""
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return IndexFileError(f"{address} cannot be opened: milvus-lite needs permission to write there")
    if path.is_file():
        return IndexFileError(f"{address} cannot be opened: it is a file; milvus-lite stores a gallery in a folder")
    return IndexBusyError(
        f"{address}: another process has it open, and milvus-lite serves one at a time; close that process, or use a"
        " Milvus server"
    )


def _is_locked(error: BaseException) -> bool:
    """Return whether milvus-lite did not start: the folder is locked or cannot be created."""
    return "Open local milvus failed" in str(error)


def _reason(error: Any) -> str:
    """Return the server's message in one line, without the contents of the request."""
    text = " ".join(str(getattr(error, "message", "") or error).split())
    if "nauthenticated" in text or "auth check failure" in text:
        return "the user, password or token is wrong (FACEALL_MILVUS_TOKEN, or FACEALL_MILVUS_USER and _PASSWORD)"
    if "Fail connecting" in text or "UNAVAILABLE" in text:
        return "no server answers there; check host, port and TLS (milvuss://)"
    if "database not found" in text:
        return "the server has no such database"
    return text[:300] or type(error).__name__


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

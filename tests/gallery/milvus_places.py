"""Addresses of empty galleries in Milvus, for tests: on the server of FACEALL_TEST_MILVUS, otherwise in milvus-lite."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stand_ins import SIZE

SERVER = os.environ.get("FACEALL_TEST_MILVUS", "")
"""HOST:PORT of a server; "" if there is none."""

_NAME = "suite"
_DELETE_ALL = {"files": 'id != ""', "notes": 'key != ""'}


def empty_place(folder: Path) -> str:
    """Return the address of a gallery without rows.

    On a server the collections of the last test are emptied and used again, because a new one takes it seconds to load.
    """
    if not SERVER:
        return f"milvus-lite://{folder}.db"
    client = _client()
    names = [name for name in client.list_collections() if name.startswith(f"{_NAME}_")]
    if names:
        with ThreadPoolExecutor(len(names)) as pool:  # each waits for the next time tick of the server
            list(pool.map(lambda name: _empty(client, name), names))
    return f"milvus://{SERVER}/{_NAME}"


def new_place(name: str) -> str:
    """Return the address of a gallery on the server that has no collections yet."""
    client = _client()
    for collection in client.list_collections():
        if collection.startswith(f"{name}_"):
            client.drop_collection(collection)
    return f"milvus://{SERVER}/{name}"


@functools.cache
def _client() -> Any:
    import pymilvus

    return pymilvus.MilvusClient(f"http://{SERVER}")


def _empty(client: Any, name: str) -> None:
    kind = name.removeprefix(f"{_NAME}_")
    if kind == "faces" and _dimension(client, name) != SIZE:
        client.drop_collection(name)
    elif _rows(client, name):
        client.delete(name, filter=_DELETE_ALL.get(kind, "id >= 0"))
        _rows(client, name)


def _rows(client: Any, name: str) -> int:
    """Count the rows, with all that was written before."""
    from pymilvus.exceptions import MilvusException

    options = {"filter": "", "output_fields": ["count(*)"], "consistency_level": "Strong"}
    try:
        found = client.query(name, **options)
    except MilvusException:  # it is not loaded
        client.load_collection(name)
        found = client.query(name, **options)
    return int(found[0]["count(*)"])


def _dimension(client: Any, name: str) -> int:
    fields = client.describe_collection(name)["fields"]
    return next(int(field["params"]["dim"]) for field in fields if field["name"] == "vector")

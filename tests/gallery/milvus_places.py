"""Addresses of empty galleries in Milvus, for tests: on the server of FACEALL_TEST_MILVUS, otherwise in milvus-lite."""

from __future__ import annotations

import os
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
    import pymilvus

    client = pymilvus.MilvusClient(f"http://{SERVER}")
    for name in client.list_collections():
        if name.startswith(f"{_NAME}_"):
            _empty(client, name)
    client.close()
    return f"milvus://{SERVER}/{_NAME}"


def _empty(client: Any, name: str) -> None:
    kind = name.removeprefix(f"{_NAME}_")
    if kind == "faces" and _dimension(client, name) != SIZE:
        client.drop_collection(name)
        return
    client.load_collection(name)
    client.delete(name, filter=_DELETE_ALL.get(kind, "id >= 0"))
    client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")


def _dimension(client: Any, name: str) -> int:
    fields = client.describe_collection(name)["fields"]
    return next(int(field["params"]["dim"]) for field in fields if field["name"] == "vector")

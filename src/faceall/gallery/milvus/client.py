"""The client of pymilvus: how it connects, which servers it accepts, and what its errors mean.

No other module reads the texts of Milvus' errors.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from pathlib import Path
from typing import Any

from faceall.errors import IndexBusyError, IndexFileError, MissingDependencyError, NotSupportedError
from faceall.gallery.milvus.address import AUTHORITY, Address

CONNECT_TIMEOUT = 10.0  # seconds
OLDEST = (2, 3, 5)
"""The oldest server that the tests have run on."""

_INVERTED_SINCE = (2, 4, 0)
_NOT_READY, _UNAVAILABLE, _NOT_LOADED, _NO_INDEX = 1, 2, 101, 700  # codes of Milvus' errors
_RECOVERING = frozenset({_NOT_READY, _UNAVAILABLE, _NOT_LOADED, 102, 103, *range(400, 404), *range(500, 505), 901, 902})
_UNEXPECTED = 65_535  # a code for everything else
_SIGNS_OF_ABSENCE = ("UNAVAILABLE", "Fail connecting", "DEADLINE_EXCEEDED", "Retry timeout", "not ready", "recovering")
_SIGNS_INSIDE = ("find no available", "empty grpc client", "DeadlineExceeded", "code = Unavailable", "session expired")
"""Texts of unexpected errors that say that a part of the server is away, for example because it is overloaded."""


def connected(address: Address) -> Any:
    """Return a client of pymilvus.

    Raises
    ------
    MissingDependencyError
        If pymilvus or milvus-lite is not installed.
    IndexFileError
        If nothing answers, credentials are refused, or the file of FACEALL_MILVUS_CA cannot be read.
    IndexBusyError
        If another process has the folder of milvus-lite open.
    NotSupportedError
        If the server is too old.
    """
    if address.authority:
        _check_authority(address.authority)
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
        client = pymilvus.MilvusClient(
            address.uri,
            user=address.user,
            password=address.password,
            token=address.token,
            db_name=address.database,
            timeout=CONNECT_TIMEOUT,
            **({"server_pem_path": address.authority} if address.authority else {}),
        )
        _require_version(address, version(client))
        return client
    except MilvusException as error:
        raise IndexFileError(f"{address} cannot be reached: {reason(error)}") from error


def _check_authority(file: str) -> None:
    """Read the certificates that FACEALL_MILVUS_CA names; pymilvus reports a bad file as a server that is away."""
    try:
        ssl.create_default_context(cafile=file)
        return
    except ssl.SSLError:
        reason = "it is not a file of PEM certificates"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if os.path.isdir(file):
        reason = "it is a folder, expected a file of PEM certificates"
    raise IndexFileError(f"{AUTHORITY}={file} cannot be used: {reason}")


def version(client: Any) -> tuple[int, int, int]:
    """Return the version of the server, (0, 0, 0) if it states none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", str(client.get_server_version(timeout=CONNECT_TIMEOUT)))
    major, minor, patch = found.groups(default="0") if found else ("0", "0", "0")
    return int(major), int(minor), int(patch)


def scalar_index(address: Address, client: Any) -> str:
    """Return the type of the index of a text or number; "" leaves it to servers that have no inverted one."""
    return "INVERTED" if address.path is not None or version(client) >= _INVERTED_SINCE else ""


def _require_version(address: Address, found: tuple[int, int, int]) -> None:
    if (0, 0, 0) < found < OLDEST:
        present, oldest = (".".join(map(str, numbers)) for numbers in (found, OLDEST))
        raise NotSupportedError(f"{address}: the server is Milvus {present}, expected {oldest} or newer; upgrade it")


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


def is_away(error: Any) -> bool:
    """Return whether the server does not answer or has just started, so that the same request may succeed later."""
    if isinstance(error.code, int):
        part = error.code == _UNEXPECTED and any(sign in _text(error) for sign in _SIGNS_INSIDE)
        return (part or error.code in _RECOVERING) and not _is_refused(_text(error))
    return any(sign in f"{error.code} {_text(error)}" for sign in _SIGNS_OF_ABSENCE)


def is_unloaded(error: Any) -> bool:
    """Return whether a collection must be loaded before it can be read."""
    return bool(error.code == _NOT_LOADED)


def lacks_index(error: Any) -> bool:
    """Return whether a collection has no index yet: its creation was interrupted."""
    return bool(error.code == _NO_INDEX)


def reason(error: Any) -> str:
    """Return the server's message in one line, without the contents of the request."""
    text = _text(error)
    if _is_refused(text):
        return "the user, password or token is wrong (FACEALL_MILVUS_TOKEN, or FACEALL_MILVUS_USER and _PASSWORD)"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the server's certificate is not trusted; FACEALL_MILVUS_CA is the file with that of its authority"
    if "Fail connecting" in text or "UNAVAILABLE" in text:
        return "no server answers there; check host, port and TLS (milvuss://)"
    if "database not found" in text:
        return "the server has no such database"
    return text[:300] or type(error).__name__


def _text(error: Any) -> str:
    """Return the message in one line; if a connection failed, with what gRPC says about it."""
    details = getattr(error.__cause__, "details", None)
    said = f"{getattr(error, 'message', '') or error} {(details() or '') if callable(details) else ''}"
    return " ".join(said.split())


def _is_refused(text: str) -> bool:
    return any(sign in text for sign in ("nauthenticated", "auth check failure", "missing authorization"))

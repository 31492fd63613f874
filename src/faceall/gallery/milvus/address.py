"""The address of a gallery in Milvus, as a URL; messages never show its credentials.

    milvus://HOST[:PORT]/NAME[?database=DATABASE]   a server; milvuss:// or ?secure=true for TLS
    milvus-lite:///PATH.db[?name=NAME]              a folder on this machine, opened by one process at a time

Credentials are given in the URL (milvus://USER:PASSWORD@HOST/NAME) or, preferably, in the environment:
FACEALL_MILVUS_TOKEN, or FACEALL_MILVUS_USER and FACEALL_MILVUS_PASSWORD. FACEALL_MILVUS_CA is the path of the
certificate of a private authority.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from faceall.errors import FaceallError
from faceall.gallery.addresses import SCHEMES
from faceall.models import data_folder

PORT = 19530
NAME = "gallery"
TOKEN, USER, PASSWORD, AUTHORITY = (f"FACEALL_MILVUS_{word}" for word in ("TOKEN", "USER", "PASSWORD", "CA"))

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no", "")


@dataclass(frozen=True)
class Address:
    """The address of a gallery in Milvus.

    Parameters
    ----------
    uri : str
        The URI for the client, without credentials.
    name : str
        The gallery's name, a prefix of the names of its collections.
    database : str
        A database of the server; "" for the default one.
    path : Path or None
        The folder of milvus-lite; None for a server.
    token, user, password : str
        Credentials; "" if there are none.
    authority : str
        A file with the certificate authority of the server; "" for those of the system.
    """

    uri: str
    name: str
    database: str = ""
    path: Path | None = None
    token: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    authority: str = ""

    def __str__(self) -> str:
        """Return the address without credentials."""
        if self.path is not None:
            return f"milvus-lite://{self.path}" + (f"?name={self.name}" if self.name != NAME else "")
        scheme, _, host = self.uri.partition("://")
        shown = f"{'milvuss' if scheme == 'https' else 'milvus'}://{host}/{self.name}"
        return shown + (f"?database={self.database}" if self.database else "")

    @property
    def folder(self) -> Path:
        """The folder for files on this machine, such as uploads."""
        return data_folder() / "milvus" / hashlib.sha256(str(self).encode()).hexdigest()[:16]

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse a URL.

        Parameters
        ----------
        text : str
            A URL of one of the forms above.

        Returns
        -------
        Address
            With credentials of the environment where the URL has none.

        Raises
        ------
        FaceallError
            If the URL is invalid; the message does not contain credentials.
        """
        parts, port = _parsed(text)
        if parts.scheme not in SCHEMES:
            raise FaceallError(f"the gallery's address begins with {parts.scheme!r}; {_EXPECTED}, or a folder")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        return _lite(parts, options) if parts.scheme == "milvus-lite" else _server(parts, port, options)


_EXPECTED = "expected milvus://HOST:PORT/NAME, milvuss://HOST:PORT/NAME or milvus-lite:///PATH.db"


def _parsed(text: str) -> tuple[SplitResult, int | None]:
    """Return the parts of a URL and its port; the errors quote nothing of it, as it can have a password."""
    reason = "its syntax is invalid"
    try:
        parts = urlsplit(text)
        reason = "its port is not a number from 0 to 65535"
        return parts, parts.port
    except ValueError as error:
        raise FaceallError(f"the gallery's address is not a URL ({reason}); {_EXPECTED}") from error


def _server(parts: SplitResult, port: int | None, options: dict[str, str]) -> Address:
    if not parts.hostname:
        raise FaceallError(f"the gallery's address names no host; {_EXPECTED}")
    secure = _truth(options.pop("secure", "true" if parts.scheme == "milvuss" else "false"))
    database = options.pop("database", "")
    _refuse_others(options, ("secure", "database"))
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(
        uri=f"{'https' if secure else 'http'}://{host}:{PORT if port is None else port}",
        name=_checked_name(unquote(parts.path.strip("/")) or NAME),
        database=database,
        token=os.environ.get(TOKEN, ""),
        user=unquote(parts.username or "") or os.environ.get(USER, ""),
        password=unquote(parts.password or "") or os.environ.get(PASSWORD, ""),
        authority=os.environ.get(AUTHORITY, "") if secure else "",
    )


def _lite(parts: SplitResult, options: dict[str, str]) -> Address:
    text = unquote(parts.netloc + parts.path)
    if not text.strip("/"):
        raise FaceallError(f"the gallery's address names no file; {_EXPECTED}")
    path = Path(os.path.abspath(text))
    if path.suffix != ".db":
        raise FaceallError(f"milvus-lite://{path}: its name has to end in .db; {_EXPECTED}")
    name = _checked_name(options.pop("name", NAME))
    _refuse_others(options, ("name",))
    return Address(uri=str(path), name=name, path=path)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise FaceallError(
            f"a gallery in Milvus cannot be called {name!r}; expected at most 100 letters a-z, digits and _,"
            " no digit first"
        )
    return name


def _truth(text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise FaceallError(f"secure={text}: expected true or false")
    return text.lower() in _YES


def _refuse_others(options: dict[str, str], known: tuple[str, ...]) -> None:
    for name in options:
        raise FaceallError(f"the gallery's address has an unknown option {name!r}; known are {', '.join(known)}")

"""API keys, stored as salted hashes, and browser sessions that were opened with a key.

A key has 256 random bits, so a single SHA-256 is enough: 2**256 keys cannot be enumerated, and a slow hash would only
let unauthenticated clients use up processor time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from faceall.arguments import checked_methods
from faceall.errors import ApiKeyError
from faceall.files import make_folder, write_file
from faceall.gallery import default_place, folder_of

KEYS_FILE = "web-keys.json"
"""Name of the key file in the gallery's folder."""

_PREFIX = "faceall_"
_VERSION = 1
_SECRET_BYTES = 32
_MAX_KEY_LENGTH = 200
_MAX_LABEL_LENGTH = 100


@dataclass(frozen=True)
class Key:
    """A stored API key, without its secret.

    Attributes
    ----------
    id : str
        8 hexadecimal digits that identify the key.
    label : str
        Free text, for example the owner.
    created : str
        Date and time in ISO 8601.
    salt, digest : str
        Hexadecimal; digest = SHA-256(salt + secret).
    """

    id: str
    label: str
    created: str
    salt: str
    digest: str

    def matches(self, text: str) -> bool:
        """Return whether `text` is this key, in constant time."""
        return hmac.compare_digest(_digest(self.salt, text), self.digest)


@checked_methods
class Keys:
    """The API keys of one gallery, in a file that only its owner can read.

    Parameters
    ----------
    path : path
        Of the file. It is read again after another process has changed it, so a revoked key is refused at once.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()

    @classmethod
    def of_gallery(cls, gallery: str | os.PathLike[str] | None = None) -> Keys:
        """Return the keys of a gallery, given by its folder or address; None is the default gallery."""
        return cls(folder_of(gallery or default_place()) / KEYS_FILE)

    @property
    def all(self) -> tuple[Key, ...]:
        """All keys, oldest first.

        Raises
        ------
        ApiKeyError
            If the file cannot be read.
        """
        with self._lock:
            return self._read()

    def create(self, label: str = "") -> str:
        """Create a key and return its text, which is not stored.

        Raises
        ------
        ApiKeyError
            If the label is not one line of at most 100 characters, or the file cannot be written.
        """
        if len(label) > _MAX_LABEL_LENGTH or not label.isprintable():
            raise ApiKeyError(f"the label of a key must be one line of at most {_MAX_LABEL_LENGTH} characters")
        text = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        salt = secrets.token_hex(16)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        key = Key(secrets.token_hex(4), label, now, salt, _digest(salt, text))
        with self._changing():
            self._write((*self._read(), key))
        return text

    def revoke(self, key_id: str) -> Key:
        """Delete a key and return its record.

        Raises
        ------
        ApiKeyError
            If no key has this id, or the file cannot be read or written.
        """
        with self._changing():
            keys = self._read()
            gone = next((key for key in keys if key.id == key_id), None)
            if gone is None:
                known = ", ".join(key.id for key in keys) or "none"
                raise ApiKeyError(f"{self.path}: no key has the id '{key_id}'; known ids: {known}")
            self._write(tuple(key for key in keys if key is not gone))
        return gone

    def find(self, text: str) -> Key | None:
        """Return the key with this text, None if there is none. Compares with all keys in any case.

        Raises
        ------
        ApiKeyError
            If the file cannot be read.
        """
        if not text.isascii() or len(text) > _MAX_KEY_LENGTH:
            return None
        found = [key for key in self.all if key.matches(text)]
        return found[0] if found else None

    def __contains__(self, key_id: str) -> bool:
        """Return whether a key with this id exists."""
        return any(key.id == key_id for key in self.all)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock of a change, against other threads and processes."""
        with self._lock, ExitStack() as held:
            try:
                make_folder(self.path.parent, mode=0o700)
                descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
                held.callback(os.close, descriptor)  # which releases the lock
                _lock_file(descriptor)
            except FileExistsError as error:
                raise ApiKeyError(f"{self.path.parent}: is not a folder") from error
            except OSError as error:
                raise ApiKeyError(f"{self.path}: cannot lock the API keys: {error.strerror}") from error
            self._seen = None  # two changes can leave equal times and sizes behind
            yield

    def _read(self) -> tuple[Key, ...]:
        """Read the keys; the file is parsed only if it has changed."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                seen = (status.st_mtime_ns, status.st_size, status.st_ino)
                if seen != self._seen:
                    self._keys, self._seen = _parse(file.read()), seen
        except FileNotFoundError:
            self._keys, self._seen = (), None
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = getattr(error, "strerror", None) or "the file is damaged; delete it and create new keys"
            raise ApiKeyError(f"{self.path}: cannot read the API keys: {reason}") from error
        return self._keys

    def _write(self, keys: tuple[Key, ...]) -> None:
        """Replace the file; only its owner can read it at any time."""
        text = json.dumps({"version": _VERSION, "keys": [asdict(key) for key in keys]}, indent=2)
        try:
            write_file(self.path, text + "\n", mode=0o600, internal=True)
        except OSError as error:
            raise ApiKeyError(f"{self.path}: cannot write the API keys: {error.strerror}") from error


class Sessions:
    """Browser sessions, each identified by a random token in a cookie.

    They are in memory only, so a restart ends them. Revoking a key ends its sessions.

    Parameters
    ----------
    keys : Keys
        The keys that can open sessions.
    seconds : float
        Lifetime of a session.
    max_count : int
        Maximum number of sessions; the oldest is dropped first.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        seconds: float = 12 * 3600,
        max_count: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys, self._max_count, self._clock = keys, max_count, clock
        self.seconds = seconds
        self._lock = threading.Lock()
        self._open: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def open(self, key: Key) -> str:
        """Open a session for a key and return its token."""
        token = secrets.token_urlsafe(_SECRET_BYTES)
        with self._lock:
            self._open[_hashed(token)] = (key.id, self._clock() + self.seconds)
            while len(self._open) > self._max_count:
                self._open.popitem(last=False)
        return token

    def find(self, token: str) -> str | None:
        """Return the id of the key that opened the session; None if it has expired or does not exist.

        Raises
        ------
        ApiKeyError
            If the key file cannot be read.
        """
        hashed = _hashed(token)
        with self._lock:
            key_id, until = self._open.get(hashed, ("", 0.0))
            if key_id and self._clock() >= until:
                del self._open[hashed]
                return None
        return key_id if key_id and key_id in self._keys else None

    def close(self, token: str) -> None:
        """End a session; an unknown token is ignored."""
        with self._lock:
            self._open.pop(_hashed(token), None)


def _lock_file(descriptor: int) -> None:
    """Lock an open file exclusively; raises OSError. Systems without fcntl lock its first byte."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]  # Windows only
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _parse(content: bytes) -> tuple[Key, ...]:
    """Parse a key file; raises ValueError, TypeError or KeyError if it is damaged."""
    found: dict[str, Any] = json.loads(content)
    if found["version"] != _VERSION:
        raise ValueError("unknown version")
    keys = tuple(Key(**entry) for entry in found["keys"])
    if not all(isinstance(value, str) for key in keys for value in asdict(key).values()):
        raise ValueError("not a string")
    return keys


def _digest(salt: str, text: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()


def _hashed(token: str) -> bytes:
    """Hash a session token, so that the time of a look-up does not depend on the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()

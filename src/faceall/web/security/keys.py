"""API keys: made once, shown once, kept as salted hashes only; and the sessions of browsers that gave one.

A key holds 256 random bits, so a single SHA-256 is hash enough: nobody can try out 2**256 keys, and a slow hash would
only give strangers a way to keep the processor busy. The salt makes equal keys unequal in two files.
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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from faceall.errors import FaceallError, IndexFileError
from faceall.files import make_folder, write_file

KEYS_FILE = "web-keys.json"
"""In the gallery's folder."""

_PREFIX = "faceall_"
_VERSION = 1
_SECRET_BYTES = 32
_LONGEST_KEY = 200
_LONGEST_LABEL = 100


@dataclass(frozen=True)
class Key:
    """What is kept of a key: enough to know it when it is shown, not enough to show it.

    id       8 letters to tell keys apart
    label    whose it is, in words
    created  when it was made, ISO 8601
    salt, digest  hexadecimal; digest = SHA-256(salt, key)
    """

    id: str
    label: str
    created: str
    salt: str
    digest: str

    def fits(self, text: str) -> bool:
        """Whether `text` is this key; takes as long for any text."""
        return hmac.compare_digest(_digest(self.salt, text), self.digest)


class Keys:
    """The keys of one gallery, in a file that only its owner can read.

    path  of the file; it is read again when another process has changed it, so a revoked key ends at once
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()

    @property
    def all(self) -> tuple[Key, ...]:
        """Every key, oldest first. Raises IndexFileError where the file cannot be read."""
        with self._lock:
            return self._read()

    def create(self, label: str = "") -> str:
        """Make a key and return it: the only moment at which it can be seen. Raises FaceallError."""
        if len(label) > _LONGEST_LABEL or not label.isprintable():
            raise FaceallError(f"a key's label is one line of at most {_LONGEST_LABEL} characters")
        text = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        salt = secrets.token_hex(16)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        key = Key(secrets.token_hex(4), label, now, salt, _digest(salt, text))
        with self._lock:
            self._write((*self._read(), key))
        return text

    def revoke(self, key_id: str) -> Key:
        """Forget a key; returns what was kept of it. Raises FaceallError where there is none with that id."""
        with self._lock:
            keys = self._read()
            gone = next((key for key in keys if key.id == key_id), None)
            if gone is None:
                known = ", ".join(key.id for key in keys) or "none"
                raise FaceallError(f"{self.path}: has no key '{key_id}'; known are {known}")
            self._write(tuple(key for key in keys if key is not gone))
        return gone

    def find(self, text: str) -> Key | None:
        """The key that `text` is, None where it is none. Looks at all of them, whichever it is."""
        if not text.isascii() or len(text) > _LONGEST_KEY:
            return None
        fitting = [key for key in self.all if key.fits(text)]
        return fitting[0] if fitting else None

    def holds(self, key_id: str) -> bool:
        """Whether there still is a key with that id."""
        return any(key.id == key_id for key in self.all)

    def _read(self) -> tuple[Key, ...]:
        """The keys of the file, from memory where it has not changed."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                seen = (status.st_mtime_ns, status.st_size, status.st_ino)
                if seen != self._seen:
                    self._keys, self._seen = _parse(file.read()), seen
        except FileNotFoundError:
            self._keys, self._seen = (), None
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = getattr(error, "strerror", None) or "is damaged; remove it and make new keys"
            raise IndexFileError(f"{self.path}: the keys cannot be read: {reason}") from error
        return self._keys

    def _write(self, keys: tuple[Key, ...]) -> None:
        """Exchange the file, which nobody but its owner can read at any moment."""
        text = json.dumps({"version": _VERSION, "keys": [asdict(key) for key in keys]}, indent=2)
        try:
            make_folder(self.path.parent, mode=0o700)  # a gallery, which has it so
            write_file(self.path, text + "\n", mode=0o600)
        except OSError as error:
            raise IndexFileError(f"{self.path}: the keys cannot be written: {error.strerror}") from error


class Sessions:
    """Browsers that have shown a key: each gets a random word in a cookie instead of the key.

    They are in memory only: a restart of the server ends them. A session ends with its key, too.

    keys     the keys that give sessions
    seconds  how long one lasts
    most     at most so many; the oldest goes first
    clock    seconds that never go back
    """

    def __init__(
        self, keys: Keys, *, seconds: float = 12 * 3600, most: int = 1000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys, self._most, self._clock = keys, most, clock
        self.seconds = seconds
        self._lock = threading.Lock()
        self._open: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def open(self, key: Key) -> str:
        """Begin a session for a key and return its word."""
        word = secrets.token_urlsafe(_SECRET_BYTES)
        with self._lock:
            self._open[_hidden(word)] = (key.id, self._clock() + self.seconds)
            while len(self._open) > self._most:
                self._open.popitem(last=False)
        return word

    def find(self, word: str) -> str | None:
        """The id of the key to whose session a word belongs, None where there is none any more."""
        hidden = _hidden(word)
        with self._lock:
            key_id, until = self._open.get(hidden, ("", 0.0))
            if key_id and self._clock() >= until:
                del self._open[hidden]
                return None
        return key_id if key_id and self._keys.holds(key_id) else None

    def close(self, word: str) -> None:
        """End a session; none is no fault."""
        with self._lock:
            self._open.pop(_hidden(word), None)


def _parse(content: bytes) -> tuple[Key, ...]:
    """The keys in a file. Raises ValueError, TypeError or KeyError where it is not one of ours."""
    found: dict[str, Any] = json.loads(content)
    if found["version"] != _VERSION:
        raise ValueError("another version")
    keys = tuple(Key(**entry) for entry in found["keys"])
    if not all(isinstance(value, str) for key in keys for value in asdict(key).values()):
        raise ValueError("not text")
    return keys


def _digest(salt: str, text: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()


def _hidden(word: str) -> bytes:
    """What is kept of a session's word: looking it up tells nothing about it by the time it takes."""
    return hashlib.sha256(word.encode("utf-8", "surrogateescape")).digest()

"""Keep compiled nets on disk, so that the second start of a program skips reading and compiling.

A cache file can always be made again: a missing, damaged or foreign one is ignored. Layout: 16 bytes magic, 32 bytes
SHA-256 of the rest, padding to 4096 bytes, then the engine's export. An engine only receives data with the right
checksum.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from faceall.caffe.engines.protocol import CompiledNet, Engine, FileEngine, NetFile, Precision
from faceall.caffe.net import Net
from faceall.errors import EngineError
from faceall.files import replaced_file
from faceall.version import __version__

_MAGIC = b"faceall compiled"
_HEADER = 4096
_KEPT = 24
"""The number of compiled nets kept on disk; the least recently used are deleted."""

_log = logging.getLogger(__name__)


@runtime_checkable
class Storable(Protocol):
    """An engine whose compiled nets can be kept on disk."""

    def identity(self, precision: Precision) -> str:
        """Return what a compiled net depends on besides the net: versions, precision, processor."""

    def export(self, compiled: CompiledNet) -> bytes:
        """Return a compiled net as bytes."""

    def restore(self, data: npt.NDArray[np.uint8], outputs: Sequence[str], precision: Precision) -> CompiledNet:
        """Return the net that was exported as `data`.

        Raises
        ------
        EngineError
            If they do not fit this engine.
        """


def compile_cached(
    engine: Engine, fingerprint: str, make: Callable[[], Net | NetFile], outputs: Sequence[str], precision: Precision
) -> CompiledNet:
    """Compile a net, or load it from the cache if it was compiled before.

    Parameters
    ----------
    fingerprint : str
        Names the content of the net: two nets with the same one are equal.
    make : callable
        Reads the net, or returns the file that the engine runs as it is.
    outputs : Sequence[str]
        The blobs that the compiled net gives.
    """
    if not isinstance(engine, Storable):
        return compile_net(engine, make(), outputs, precision)
    identity = "\n".join([__version__, fingerprint, engine.identity(precision), *outputs])
    file = cache_folder() / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.compiled"
    data = _read(file)
    if data is not None:
        try:
            return engine.restore(data, outputs, precision)
        except EngineError as error:
            _log.info("%s: %s", file, error)
    compiled = compile_net(engine, make(), outputs, precision)
    _write(file, engine.export(compiled))
    return compiled


def compile_net(engine: Engine, net: Net | NetFile, outputs: Sequence[str], precision: Precision) -> CompiledNet:
    """Compile a net, or the file of a net that the engine runs as it is.

    Raises
    ------
    EngineError
        If the engine cannot run it.
    """
    if isinstance(net, Net):
        return engine.compile(net, outputs, precision=precision)
    if not isinstance(engine, FileEngine):
        raise EngineError(f"{net.path}: the engine '{engine.name}' runs nets in Caffe's formats only; use openvino")
    return engine.compile_file(net, precision=precision)


def cache_folder() -> Path:
    """Return the folder of compiled nets: FACEALL_CACHE, or a folder in the user's cache folder."""
    given = os.environ.get("FACEALL_CACHE")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("faceall", appauthor=False) / "compiled"


def _read(file: Path) -> npt.NDArray[np.uint8] | None:
    """Map the data behind the header into memory; return None if the file is missing or damaged."""
    try:
        mapped = np.memmap(file, np.uint8, mode="c")
    except (OSError, ValueError):  # absent, not readable, or empty
        return None
    with suppress(OSError):  # a cache that is only readable serves as well
        file.touch()
    head, data = mapped[:_HEADER].tobytes(), np.asarray(mapped[_HEADER:])
    if not head.startswith(_MAGIC) or hashlib.sha256(data.data).digest() != head[len(_MAGIC) : len(_MAGIC) + 32]:
        _log.info("%s: not a sound compiled net; it is made again", file)
        return None
    return data


def _write(file: Path, data: bytes) -> None:
    """Write `data` atomically; a failure costs only the time of the next start."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replaced_file(file) as stream:
            stream.write((_MAGIC + hashlib.sha256(data).digest()).ljust(_HEADER, b"\0"))
            stream.write(data)
        _forget_oldest(file.parent)
    except OSError as error:
        _log.info("%s: cannot be kept: %s", file, error)


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.compiled"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[_KEPT:]:
        file.unlink(missing_ok=True)

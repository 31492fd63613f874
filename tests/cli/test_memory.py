"""Long commands share memory between threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from faceall_cli.memory import share_memory_between_threads

_LIBRARY = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {}) else None
_THREADS = """
import ctypes, threading
from faceall_cli.memory import share_memory_between_threads
print(share_memory_between_threads())
barrier = threading.Barrier(4)
def allocate():
    held = [bytes(100_000) for _ in range(20)]
    barrier.wait()
for thread in [threading.Thread(target=allocate) for _ in range(4)]:
    thread.start()
ctypes.CDLL(None).malloc_stats()
"""


def _pools(**variables: str) -> tuple[str, int]:
    """Return what the function returned in a new process, and how many pools its threads then used."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONMALLOC": "malloc", **variables}
    ran = subprocess.run([sys.executable, "-c", _THREADS], capture_output=True, text=True, check=True, env=environment)
    return ran.stdout.strip(), ran.stderr.count("Arena ")


@pytest.mark.skipif(not _LIBRARY, reason="only glibc has pools of memory")
def test_threads_share_one_pool() -> None:
    """All threads use glibc's one pool; by default, and if the user's variables say so, there are more."""
    assert _pools() == ("True", 1)
    answer, pools = _pools(MALLOC_ARENA_MAX="8")
    assert answer == "False"
    assert pools > 1


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no glibc nothing is set."""
    monkeypatch.setattr(os, "confstr", lambda name: None, raising=False)
    assert not share_memory_between_threads()

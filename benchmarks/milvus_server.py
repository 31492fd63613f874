"""The server of `scripts/with-milvus-server`, as the benchmarks see it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path


class Server:
    """The server of `scripts/with-milvus-server`: its address, its folder, and the memory of its processes."""

    def __init__(self) -> None:
        place, control = (os.environ.get(f"FACEALL_TEST_{name}", "") for name in ("MILVUS", "MILVUS_CONTROL"))
        if not place or not control:
            sys.exit(f"no server: scripts/with-milvus-server python {sys.argv[0]} ...")
        self.place = place
        launcher, _, port_file = control.partition(":")
        self.launcher, self.folder = int(launcher), Path(port_file).parent

    def memory(self) -> int:
        """Return the resident bytes of the server, without its launcher and this program."""
        return sum(map(_resident, _descendants(self.launcher)))

    def processor(self) -> float:
        """Return the seconds of processor time that the server has used, which depend little on what else runs."""
        return sum(map(_seconds, _descendants(self.launcher)))

    def rest(self, seconds: float = 5.0) -> float:
        """Return the processor seconds per second that the server uses without requests."""
        before = self.processor()
        time.sleep(seconds)
        return (self.processor() - before) / seconds

    def disk(self, since: float = 0.0) -> dict[str, int]:
        """Return the bytes of the rows, the indexes and everything else, of files changed after a time."""
        found = {"rows": 0, "indexes": 0, "log": 0}
        for file in self.folder.rglob("*"):
            try:
                status = file.stat()
            except OSError:
                continue  # it was removed
            parts = file.parts
            kind = "indexes" if "index_files" in parts else "rows" if "insert_log" in parts else "log"
            if file.is_file() and status.st_mtime >= since:
                found[kind] += status.st_size
        return found


def _resident(pid: int) -> int:
    """Return the resident bytes of a process of the server; 0 for others, and for one that has ended."""
    try:
        if Path(f"/proc/{pid}/comm").read_text().strip() != "milvus":
            return 0
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _seconds(pid: int) -> float:
    """Return the seconds of processor time of a process; 0 for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)

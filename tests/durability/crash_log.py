"""What a program wrote, synced, renamed and removed in a folder, by strace; and the folders that a power cut can leave.

A disk that loses its power keeps what was synced. Of everything else it keeps any part, in sectors of 512 bytes: here a
random one. Names that were made, changed or removed in a folder since that was synced are kept up to a random moment.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_CALLS = "openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,lseek"
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?.*$")
_START = re.compile(r"^(\d+) +(\w+\(.*) <unfinished \.\.\.>$")
_END = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_FILE = re.compile(r"^(\d+)<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass(frozen=True)
class Event:
    """One system call: what it did to which path, at which place, with which bytes, or to which new name."""

    kind: str
    path: str
    place: int = 0
    data: bytes = b""
    target: str = ""


def record(command: list[str], root: Path, environment: dict[str, str], log: Path) -> list[Event]:
    """Run a program; what it did below `root`, in order."""
    limit = str(64 << 20)
    strace = [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-xx",
        "-s",
        limit,
        "-e",
        f"trace={_CALLS}",
        "-e",
        "signal=none",
        "-o",
        str(log),
    ]
    subprocess.run([*strace, *command], env=environment, check=True, capture_output=True, text=True)
    return parse(log, root)


def parse(log: Path, root: Path) -> list[Event]:
    """The events of a file that strace wrote."""
    started: dict[str, str] = {}
    places: dict[str, int] = defaultdict(int)  # of files that are written without a place, by path
    events: list[Event] = []
    with log.open() as lines:
        for line in lines:
            text = line.rstrip("\n")
            if begun := _START.match(text):
                started[begun[1]] = f"{begun[1]} {begun[2]}"
                continue
            if ended := _END.match(text):
                text = started.pop(ended[1]) + ended[2]
            found = _LINE.match(text)
            if found and int(found[4]) >= 0:
                events += _events(found[2], found[3], int(found[4]), found[5] or "", str(root), places)
    return events


def _events(call: str, given: str, result: int, opened: str, root: str, places: dict[str, int]) -> list[Event]:
    """The event of a call, none where it has nothing to do with the folder."""
    texts = [_bytes(match[1]) for match in _TEXT.finditer(given)]
    if call == "openat":
        path = _bytes(opened).decode() if opened.startswith("\\x") else opened
        places[path] = 0
        made = [Event("create", path)] if "O_CREAT" in given else []
        return (made + ([Event("truncate", path, 0)] if "O_TRUNC" in given else [])) if path.startswith(root) else []
    if call in ("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir"):
        names = [text.decode() for text in texts]
        if not names[0].startswith(root):
            return []
        if call.startswith("rename"):
            return [Event("rename", names[0], target=names[1])]
        return [Event("make" if call == "mkdir" else "remove", names[0])]
    file = _FILE.match(given)
    path = "" if file is None else (_bytes(file[2]).decode() if file[2].startswith("\\x") else file[2])
    if not path.startswith(root) or path.endswith("-shm"):
        return []
    numbers = [int(number) for number in re.findall(r", (-?\d+)(?=,|$)", given)]
    if call == "lseek":
        places[path] = result
    elif call in ("fsync", "fdatasync"):
        return [Event("sync", path)]
    elif call == "ftruncate":
        return [Event("truncate", path, numbers[-1])]
    elif call == "pwrite64":
        return [Event("write", path, numbers[-1], texts[0][:result])]
    elif call == "write":
        place = places[path]
        places[path] += result
        return [Event("write", path, place, texts[0][:result])]
    return []


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class _Node:
    """A file: what is certain of it, and what was done since."""

    synced: bytes = b""
    pending: list[Event] = field(default_factory=list)

    def left(self, chance: random.Random, keep: float) -> bytes:
        """What a disk can show: every sector that was written since is there or not."""
        content = bytearray(self.synced)
        for event in self.pending:
            if event.kind == "truncate":
                if chance.random() < keep:
                    _resize(content, event.place)
                continue
            start = event.place
            while start < event.place + len(event.data):
                end = min(event.place + len(event.data), (start // SECTOR + 1) * SECTOR)
                if chance.random() < keep:
                    _resize(content, max(len(content), end))
                    content[start:end] = event.data[start - event.place : end - event.place]
                start = end
        return bytes(content)


def _resize(content: bytearray, size: int) -> None:
    if len(content) > size:
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


class Disk:
    """A file system that plays events, and can be asked what a power cut would leave."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._nodes: dict[str, _Node] = {}  # by path, as running programs see it
        self._lasting: dict[str, dict[str, _Node | None]] = defaultdict(dict)  # by folder: names that are certain
        self._names: dict[str, list[tuple[str, _Node | None]]] = defaultdict(list)  # by folder: changes since

    def play(self, event: Event) -> None:
        """Do what a program did."""
        if event.kind == "create":
            if event.path not in self._nodes:
                self._name(event.path, _Node())
        elif event.kind == "make":
            self._name(event.path, None)
        elif event.kind in ("write", "truncate"):
            if event.path in self._nodes:
                self._nodes[event.path].pending.append(event)
        elif event.kind == "rename":
            node = self._nodes.pop(event.path)
            self._names[os.path.dirname(event.path)].append((event.path, None))
            self._name(event.target, node)
        elif event.kind == "remove":
            self._nodes.pop(event.path, None)
            self._names[os.path.dirname(event.path)].append((event.path, None))
        elif event.kind == "sync":
            self._sync(event.path)

    def _name(self, path: str, node: _Node | None) -> None:
        if node is not None:
            self._nodes[path] = node
        self._names[os.path.dirname(path)].append((path, node))

    def _sync(self, path: str) -> None:
        if path in self._nodes:
            node = self._nodes[path]
            node.synced, node.pending = node.left(random.Random(0), 1.1), []
            return
        for name, node in self._names.pop(path, []):
            self._lasting[path][name] = node

    def cut(self, target: Path, chance: random.Random) -> None:
        """Write what is left of the folder after a power cut at this moment into `target`."""
        keep = chance.choice((0.0, 0.1, 0.5, 0.9, 1.1))
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for folder in {*self._lasting, *self._names}:
            changes = self._names[folder]
            count = len(changes) if keep > 1 else chance.randint(0, len(changes))
            shown = {**self._lasting[folder], **dict(changes[:count])}
            for path, node in shown.items():
                if node is not None:
                    place = target / os.path.relpath(path, self.root)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(node.left(chance, keep))

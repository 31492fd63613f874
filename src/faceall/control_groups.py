"""What the control groups of a container allow (Linux, versions 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

MEMBERSHIP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")

Read: TypeAlias = Callable[[Path], float | None]
"""Reads a value from the folder of a group; None if it has none."""


def smallest_of_groups(
    controller: str, version_1: Read, version_2: Read, membership: Path = MEMBERSHIP, groups: Path = GROUPS
) -> float | None:
    """Return the smallest value of the groups of this process and of those above them; None without one.

    Parameters
    ----------
    controller : str
        Such as "cpu" or "memory".
    version_1, version_2 : callable
        Read the value of a group, such as a limit or what is left below it.
    membership : Path
        The file that names the groups of this process.
    groups : Path
        The folder where the groups are mounted.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    values: list[float | None] = []
    for line in lines:
        _, _, controllers_and_path = line.partition(":")
        controllers, _, path = controllers_and_path.partition(":")
        if not controllers:
            values += map(version_2, _folders(groups, path))
        elif controller in controllers.split(","):
            values += map(version_1, _folders(groups / controller, path))
    return min((value for value in values if value is not None), default=None)


def words(file: Path) -> list[str]:
    """Return the words of a small file; none if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return []


def _folders(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folders of the groups above a group, and its own; inside a container the mount is the group itself."""
    parts = Path(path.lstrip("/")).parts
    if ".." in parts:
        parts = ()
    for depth in range(len(parts) + 1):
        yield mount.joinpath(*parts[:depth])

"""How much memory is left for more processes."""

from __future__ import annotations

from pathlib import Path

from faceall.control_groups import GROUPS, MEMBERSHIP, smallest_of_groups, words

_MEMORY = Path("/proc/meminfo")


def free_memory(memory: Path = _MEMORY, membership: Path = MEMBERSHIP, groups: Path = GROUPS) -> int | None:
    """Return how many bytes new processes can use without swapping; None where the system does not say (not Linux).

    Parameters
    ----------
    memory : Path
        The file that describes the memory of the machine.
    membership : Path
        The file that names the control groups of this process.
    groups : Path
        The folder where the groups are mounted.

    References
    ----------
    Linux kernel documentation: /proc/meminfo, MemAvailable; Control Group v2, memory.max; Memory Resource Controller,
    memory.limit_in_bytes.
    """
    found = words(memory)
    if "MemAvailable:" not in found[:-1]:
        return None
    left = 1024 * int(found[found.index("MemAvailable:") + 1])
    limit = smallest_of_groups("memory", _left_of_v1, _left_of_v2, membership, groups)
    return left if limit is None else min(left, int(limit))


def _left_of_v1(folder: Path) -> float | None:
    return _left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _left_of_v2(folder: Path) -> float | None:
    return _left(folder, "memory.max", "memory.current", "inactive_file")


def _left(folder: Path, limit_file: str, usage_file: str, cached_key: str) -> float | None:
    """Return the bytes left below a limit; pages of files that were not used lately are dropped if need be."""
    limit, usage = (words(folder / name) for name in (limit_file, usage_file))
    if not (limit and usage and limit[0].isdecimal() and usage[0].isdecimal()):
        return None
    statistics = words(folder / "memory.stat")
    dropped = int(statistics[statistics.index(cached_key) + 1]) if cached_key in statistics else 0
    return max(0, int(limit[0]) - int(usage[0]) + dropped)

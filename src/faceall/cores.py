"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from faceall.control_groups import GROUPS, MEMBERSHIP, smallest_of_groups, words

_share: int | None = None
"""The cores of this process if it shares them with others of its kind; see `limit_cores`."""


def available_cores() -> int:
    """Return how many cores this process may use, at least 1.

    The cores that it may run on (`taskset`, cpusets), but no more than the quota of its container (cgroup v2 and v1)
    pays for, and than its share of them (`limit_cores`). A quota of one and a half cores counts as two: two threads use
    it up, one does not.
    """
    quota = cores_of_quota()
    allowed = allowed_cores() if _share is None else min(allowed_cores(), _share)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def limit_cores(share: int) -> None:
    """Let this process use at most so many cores from now on, because others use the rest.

    Parameters
    ----------
    share : int
        At least 1.
    """
    global _share
    _share = share


def allowed_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def cores_of_quota(membership: Path = MEMBERSHIP, groups: Path = GROUPS) -> float | None:
    """Return how many cores of time the control groups of this process grant it; None without a limit.

    Parameters
    ----------
    membership : Path
        The file that names the groups of this process.
    groups : Path
        The folder where the groups are mounted.

    References
    ----------
    Linux kernel documentation: Control Group v2, cpu.max; CFS Bandwidth Control, cpu.cfs_quota_us.
    """
    return smallest_of_groups("cpu", _quota_of_v1, _quota_of_v2, membership, groups)


def _quota_of_v1(folder: Path) -> float | None:
    quota, period = (words(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return _ratio((quota or [""])[0], (period or [""])[0])


def _quota_of_v2(folder: Path) -> float | None:
    quota, period, *_ = [*words(folder / "cpu.max"), "", ""]
    return _ratio(quota, period)


def _ratio(quota: str, period: str) -> float | None:
    """Return quota / period; None for "max", -1 and nonsense."""
    if not (quota.isdecimal() and period.isdecimal()) or not int(quota) or not int(period):
        return None
    return int(quota) / int(period)

"""The number of cores: what the process may run on, and what the quota of its container pays for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceall import cores
from faceall.cores import available_cores, cores_of_quota


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """The folder where control groups are mounted, empty."""
    (tmp_path / "groups").mkdir()
    return tmp_path / "groups"


def membership(folder: Path, text: str) -> Path:
    """Write the file that names the groups of the process."""
    file = folder.parent / "cgroup"
    file.write_text(text)
    return file


def quota(folder: Path, text: str) -> None:
    """Write the quota of a group of version 2."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(text)


def test_the_quota_of_a_container_is_read(groups: Path) -> None:
    """Inside a container, the mounted group is its own: 150 ms in 100 ms are one and a half cores."""
    quota(groups, "150000 100000\n")
    assert cores_of_quota(membership(groups, "0::/\n"), groups) == 1.5


def test_the_smallest_quota_on_the_way_up_counts(groups: Path) -> None:
    """A group cannot have more than the groups that it is in."""
    quota(groups / "pod" / "task", "400000 100000")
    quota(groups / "pod", "200000 100000")
    assert cores_of_quota(membership(groups, "0::/pod/task\n"), groups) == 2


def test_a_group_that_is_not_visible_gives_the_mounted_one(groups: Path) -> None:
    """Some containers see the path of their group on the host, which is not mounted in them."""
    quota(groups, "100000 100000")
    assert cores_of_quota(membership(groups, "0::/system.slice/docker-1234.scope\n"), groups) == 1
    assert cores_of_quota(membership(groups, "0::/../../1234\n"), groups) == 1


@pytest.mark.parametrize("text", ["max 100000\n", "", "nonsense", "-1 100000", "0 0", "100000"])
def test_without_a_limit_there_is_no_quota(groups: Path, text: str) -> None:
    """No limit, an empty file and nonsense all mean that there is no quota."""
    quota(groups, text)
    assert cores_of_quota(membership(groups, "0::/\n"), groups) is None


def test_control_groups_of_version_1_are_read(groups: Path) -> None:
    """They have a folder per controller, and the quota and its period in two files; -1 is no limit."""
    folder = groups / "cpu" / "docker"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("300000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    file = membership(groups, "5:memory:/docker\n4:cpu,cpuacct:/docker\n")
    assert cores_of_quota(file, groups) == 3


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    """The files are absent on other systems."""
    assert cores_of_quota(tmp_path / "absent", tmp_path) is None


@pytest.mark.parametrize(("granted", "expected"), [(None, 4), (0.5, 1), (1.5, 2), (3.0, 3), (64.0, 4)])
def test_quota_and_allowed_cores_limit_each_other(
    monkeypatch: pytest.MonkeyPatch, granted: float | None, expected: int
) -> None:
    """Of four cores, one and a half are two threads, and a quota of 64 does not make more of them."""
    monkeypatch.setattr(cores, "cores_of_quota", lambda: granted)
    monkeypatch.setattr(cores, "allowed_cores", lambda: 4)
    assert available_cores() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot restrict a process to some cores")
def test_a_process_kept_to_one_core_has_one() -> None:
    """What `taskset` does to a process counts, and not the cores of the machine."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_openvino_is_told_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO sees the allowed cores but no quota; nets for parallel calls get as many streams as cores."""
    from faceall.caffe.engines import openvino

    monkeypatch.setattr(cores, "allowed_cores", lambda: 4)
    monkeypatch.setattr(openvino, "allowed_cores", lambda: 4)
    monkeypatch.setattr(cores, "cores_of_quota", lambda: 2.0)
    assert openvino._threads(parallel=False)["INFERENCE_NUM_THREADS"] == "2"
    assert openvino._threads(parallel=True) == {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "2"}
    monkeypatch.setattr(cores, "cores_of_quota", lambda: None)
    assert "INFERENCE_NUM_THREADS" not in openvino._threads(parallel=False)


def test_a_share_of_the_cores_limits_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that divide the cores among themselves use their share, and no more than the process may use."""
    monkeypatch.setattr(cores, "allowed_cores", lambda: 4)
    monkeypatch.setattr(cores, "cores_of_quota", lambda: None)
    monkeypatch.setattr(cores, "_share", None)
    cores.limit_cores(2)
    assert available_cores() == 2
    cores.limit_cores(9)
    assert available_cores() == 4

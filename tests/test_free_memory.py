"""The memory that is left: of the machine, and below the limit of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceall.free_memory import free_memory


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A machine with 1,000 KiB left."""
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:        4000 kB\nMemFree:          300 kB\nMemAvailable:    1000 kB\nBuffers: 7 kB\n")
    return file


def membership(tmp_path: Path, text: str) -> Path:
    """Write the file that names the groups of the process."""
    file = tmp_path / "cgroup"
    file.write_text(text)
    return file


def write(folder: Path, **values: str) -> None:
    """Write the files of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name.replace("__", ".")).write_text(value + "\n")


def test_without_a_limit_it_is_that_of_the_machine(memory: Path, tmp_path: Path) -> None:
    """The number is given in KiB; "max" is no limit."""
    assert free_memory(memory, tmp_path / "absent", tmp_path) == 1000 << 10
    write(tmp_path / "groups", memory__max="max", memory__current="5")
    assert free_memory(memory, membership(tmp_path, "0::/\n"), tmp_path / "groups") == 1000 << 10


def test_a_container_has_what_is_left_below_its_limit(memory: Path, tmp_path: Path) -> None:
    """Pages of files that were not used lately count as free, and the groups above limit a group as well."""
    groups = tmp_path / "groups"
    write(groups / "pod", memory__max="600000", memory__current="500000", memory__stat="anon 9\ninactive_file 20000")
    write(groups / "pod" / "task", memory__max="900000", memory__current="100000")
    assert free_memory(memory, membership(tmp_path, "0::/pod/task\n"), groups) == 120_000


def test_version_1_is_read(memory: Path, tmp_path: Path) -> None:
    """It has a folder per controller and other names."""
    folder = tmp_path / "groups" / "memory" / "docker"
    write(folder, memory__limit_in_bytes="300000", memory__usage_in_bytes="400000", memory__stat="cache 5")
    file = membership(tmp_path, "5:memory:/docker\n4:cpu,cpuacct:/docker\n")
    assert free_memory(memory, file, tmp_path / "groups") == 0


def test_other_systems_do_not_say(tmp_path: Path) -> None:
    """The file is absent, or an old kernel leaves the line out."""
    assert free_memory(tmp_path / "absent", tmp_path / "absent", tmp_path) is None
    (tmp_path / "old").write_text("MemTotal: 4000 kB\n")
    assert free_memory(tmp_path / "old", tmp_path / "absent", tmp_path) is None

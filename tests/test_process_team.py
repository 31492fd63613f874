"""A team of processes: order, errors, shares of the cores, and no process that stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from faceall.cores import available_cores
from faceall.errors import WorkerLostError
from faceall.processes import ProcessTeam, core_shares

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not report its cores")


def add(number: int) -> tuple[int, int, frozenset[int]]:
    """Return the number plus 100, the process and the cores that it may use."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return number + 100, os.getpid(), frozenset(cores)


def end(number: int) -> None:
    """End this process as a kill does."""
    os._exit(9)


def fail(number: int) -> None:
    """Raise an error."""
    raise ValueError(f"not {number}")


def interrupt(number: int) -> int:
    """Send this process the signal of Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return number


def write_pid_and_sleep(path: Path) -> None:
    """Write the number of this process, then work for a minute."""
    path.write_text(str(os.getpid()))
    time.sleep(60)


def numbers(stop: Event, last: int) -> Iterator[int]:
    """Yield 0, 1, 2 ...; set `stop` at number `last`."""
    for number in range(1000):
        if number == last:
            stop.set()
        yield number


def is_running(process: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_in(file: Path) -> int:
    """Wait for the number that a process writes."""
    deadline = time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(file.read_text())


def wait_for_end(process: int) -> None:
    """Fail unless a process ends within half a minute; its task would take a minute."""
    deadline = time.monotonic() + 30
    while is_running(process):
        assert time.monotonic() < deadline, f"process {process} still runs"
        time.sleep(0.05)


def test_results_come_in_order_and_a_stop_ends_them() -> None:
    """Every result is that of its item; after a stop at most those that were submitted follow."""
    stop = Event()
    with ProcessTeam(2) as team:
        found = [total for total, _, _ in team.map(add, numbers(stop, 30), stop)]
    assert found == list(range(100, 100 + len(found)))
    assert 26 <= len(found) <= 31


@needs_affinity
def test_processes_share_the_cores() -> None:
    """With as many cores as processes no core serves two, and none is left out; this process keeps all of its own."""
    cores = os.sched_getaffinity(0)
    with ProcessTeam(2) as team:
        used = {process: own for _, process, own in team.map(add, range(20), Event())}
    assert os.sched_getaffinity(0) == cores
    assert len(used) == 2
    one, other = used.values()
    assert one | other == cores
    assert len(cores) < 2 or not one & other


@needs_affinity
def test_cores_are_shared_out_once_each() -> None:
    """Each process gets its own, or all of them where there are more processes than cores."""
    count = len(os.sched_getaffinity(0))
    shares = core_shares(count)
    assert sorted(core for share in shares for core in share) == sorted(os.sched_getaffinity(0))
    assert {len(share) for share in shares} == {1}
    assert core_shares(count + 1) == [frozenset()] * (count + 1)


def test_errors_are_handed_back() -> None:
    """What a call raises is raised where its result is awaited, and the process goes on."""
    with ProcessTeam(1) as team:
        with pytest.raises(ValueError, match="not 7"):
            team.result(team.submit(0, fail, 7))
        assert team.result(team.submit(0, add, 1))[0] == 101


def test_a_dead_process_is_reported_and_replaced() -> None:
    """A process that the system kills fails its tasks and nothing hangs; a new one takes its number."""
    with ProcessTeam(1) as team:
        with pytest.raises(WorkerLostError):
            list(team.map(end, [1], Event()))
        team.restart(0)
        assert team.result(team.submit(0, add, 1))[0] == 101


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_is_left_to_the_parent() -> None:
    """A terminal sends SIGINT to every process of a command; a worker finishes its task."""
    with ProcessTeam(1) as team:
        assert list(team.map(interrupt, [1, 2], Event())) == [1, 2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_closing_ends_the_processes_at_once(tmp_path: Path) -> None:
    """Also one in the middle of a long task."""
    with ProcessTeam(1) as team:
        team.submit(0, write_pid_and_sleep, tmp_path / "pid")
        process = pid_in(tmp_path / "pid")
        began = time.monotonic()
    assert time.monotonic() - began < 30
    wait_for_end(process)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    """A worker of a parent that is killed ends, whatever it is doing."""
    program = (
        "import sys; from pathlib import Path; from faceall.processes import ProcessTeam\n"
        "from test_process_team import write_pid_and_sleep\n"
        "if __name__ == '__main__':\n"
        "    team = ProcessTeam(1); team.result(team.submit(0, write_pid_and_sleep, Path(sys.argv[1])))\n"
    )
    (tmp_path / "parent.py").write_text(program)
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "pid")]
    parent = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    try:
        worker = pid_in(tmp_path / "pid")
    finally:
        parent.kill()
        parent.wait()
    wait_for_end(worker)


def test_the_processes_share_the_quota_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes of a container that may use four of many cores have two threads each."""
    monkeypatch.setattr("faceall.processes.available_cores", lambda: 4)
    with ProcessTeam(2) as team:
        assert team._threads == 2
        assert team.result(team.submit(0, available_cores)) <= 2

"""`faceall register --workers` prints the same lines with any kind of workers."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Run

from faceall.gallery.registration import automatic_workers, local_workers
from faceall.processes import ProcessTeam


def test_worker_processes_give_the_same_output(run: Run, portraits: Path, tmp_path: Path) -> None:
    """Workers print the same JSON lines in the same order and give an equal gallery."""
    alone = run("register", str(portraits), "--json", "-q", "--gallery", str(tmp_path / "alone"))
    by_two = run("register", str(portraits), "--json", "-q", "--workers", "2")
    assert by_two.stdout == alone.stdout
    assert [json.loads(line)["status"] for line in by_two.stdout.splitlines()].count("added") >= 1
    again = run("register", str(portraits), "--workers", "2", "--json", "-q").stdout
    assert [json.loads(line)["status"] for line in again.splitlines()].count("unchanged") >= 1


def test_many_photos_start_processes_by_themselves(
    run: Run, portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output is that of one process, which `--workers 1` asks for."""
    counts: list[int] = []
    monkeypatch.setattr(automatic_workers, "ENOUGH", 1)
    monkeypatch.setattr(automatic_workers, "_SMALL", 1 << 30)
    monkeypatch.setattr(automatic_workers, "_possible_workers", lambda: 2)
    monkeypatch.setattr(local_workers, "ProcessTeam", lambda count: counts.append(count) or ProcessTeam(count))
    alone = run("register", str(portraits), "--workers", "1", "--json", "-q", "--gallery", str(tmp_path / "alone"))
    assert counts == []
    assert run("register", str(portraits), "--json", "-q").stdout == alone.stdout
    assert counts == [2]
    run("register", str(portraits), "--json", "-q")
    assert counts == [2]


def test_missing_ray_names_its_extra(run: Run, portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray, a one-line error names the extra before any photo is read."""
    found = builtins.__import__

    def without_ray(name: str, *more: Any, **others: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return found(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    result = run("register", str(portraits), "--workers", "ray", exit_code=1)
    assert result.stderr.splitlines() == [
        "faceall: workers on Ray need the package ray; install it with: pip install 'faceall[ray]'"
    ]


@pytest.mark.parametrize(
    ("workers", "line"),
    [("0", "0 worker processes, expected at least 1"), ("many", "expected a number of processes, auto or ray")],
)
def test_invalid_workers_are_refused(run: Run, portraits: Path, workers: str, line: str) -> None:
    """The error says which values of --workers are valid."""
    assert line in run("register", str(portraits), "--workers", workers, exit_code=1).stderr

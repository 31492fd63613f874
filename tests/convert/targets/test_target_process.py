"""Workers of targets: a worker that a signal ends is started again if the target wants that."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceall.convert.targets.process import run_worker
from faceall.errors import ConvertError

WORKER = """
import os, signal, sys
from pathlib import Path
runs = Path(sys.argv[1]) / "runs"
count = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (count + 1))
if count < {deaths}:
    {end}
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of workers, in which tests write the module `dying`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def write(folder: Path, deaths: int, end: str = "os.kill(os.getpid(), signal.SIGABRT)") -> None:
    (folder / "dying.py").write_text(WORKER.format(deaths=deaths, end=end))


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text())


def test_a_worker_that_a_signal_ended_is_started_again(started: Path) -> None:
    """The second attempt counts."""
    write(started, deaths=1)
    run_worker("dying", [], started, tool="dying", task="live", attempts=2)
    assert runs(started) == 2


@pytest.mark.parametrize(("deaths", "attempts"), [(2, 2), (1, 1)])
def test_the_last_attempt_is_an_error(started: Path, deaths: int, attempts: int) -> None:
    """It names the signal."""
    write(started, deaths)
    with pytest.raises(ConvertError, match="dying cannot live: ended by signal 6"):
        run_worker("dying", [], started, tool="dying", task="live", attempts=attempts)
    assert runs(started) == attempts


def test_a_worker_that_failed_by_itself_is_not_started_again(started: Path) -> None:
    """An exit status is an answer."""
    write(started, deaths=1, end="sys.exit('no')")
    with pytest.raises(ConvertError, match="dying cannot live: no"):
        run_worker("dying", [], started, tool="dying", task="live", attempts=2)
    assert runs(started) == 1

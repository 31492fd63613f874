"""Run the worker process of a target."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from faceall import errors
from faceall.convert.interpreter import module_command
from faceall.errors import ConvertError, FaceallError

_TIMEOUT_S = 1800
"""The most seconds a worker may take; a large net takes about a minute."""

_REFUSAL = "error.json"


def run_worker(module: str, arguments: Sequence[str], folder: Path, *, tool: str, task: str, attempts: int = 1) -> None:
    """Run a module in its own process, with a fixed hash seed and this faceall on its path.

    Parameters
    ----------
    module : str
        The module; it leaves a refusal as `refused` does.
    arguments : sequence of str
        What precedes the folder on its command line.
    folder : Path
        The folder of the job.
    tool : str
        The package that does the work, for messages, as "coremltools".
    task : str
        What it does, for messages, as "write this net".
    attempts : int
        How often a worker that a signal ended is started at most.

    Raises
    ------
    FaceallError
        As the worker refused the job.
    ConvertError
        If it ended otherwise.
    """
    home = str(Path(errors.__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
    command = module_command(module, *arguments, str(folder))
    try:
        for _ in range(attempts):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
            if done.returncode >= 0:
                break
    except subprocess.TimeoutExpired as error:
        raise ConvertError(f"{tool} took longer than {_TIMEOUT_S} s to {task} and was stopped") from error
    except OSError as error:
        raise ConvertError(f"the process that runs {tool} cannot be started ({error.strerror})") from error
    refusal = folder / _REFUSAL
    if refusal.is_file():
        values = json.loads(refusal.read_text(encoding="utf-8"))
        raise getattr(errors, values["kind"], ConvertError)(values["text"])
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        ended = f"ended by signal {-done.returncode}; " if done.returncode < 0 else ""
        raise ConvertError(f"{tool} cannot {task}: {ended}{last[:500]}")


def refused(folder: Path, work: Callable[[], object]) -> int:
    """Do the work of a worker; on a FaceallError write it to the folder and return exit code 3, else 0."""
    try:
        work()
    except FaceallError as error:
        text = json.dumps({"kind": type(error).__name__, "text": str(error)})
        (folder / _REFUSAL).write_text(text, encoding="utf-8")
        return 3
    return 0

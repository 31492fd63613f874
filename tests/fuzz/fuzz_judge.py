"""One case in a process of its own: within its time and memory, a result or one clear line."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NoReturn

from faceall.errors import FaceallError

SECONDS = 10
"""How long the processor may work on one case."""
PATIENCE = 120
"""How long a case may take by the clock, on a machine with other work."""
MEMORY = 2 << 30
"""How many bytes of addresses the process may have."""
LONGEST = 8000
"""How many letters a refusal may have: all operations of a small net without a counterpart, each with its name."""


@dataclass(frozen=True)
class Verdict:
    """What came of a case.

    outcome  "fine": there was a result; "refused": an error of faceall's own; "broke": anything else
    text     the refusal, or what broke
    seconds  of the processor, with those of processes that it started
    memory   the largest amount that it or a process that it started held, in bytes
    """

    outcome: Literal["fine", "refused", "broke"]
    text: str
    seconds: float
    memory: int


def judge(case: Callable[[], object]) -> Verdict:
    """Run `case` in a child of this process and say what came of it."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        _be_child(case, writable)
    os.close(writable)
    started = time.monotonic()
    status = _wait(child, readable, started + PATIENCE)
    with os.fdopen(readable, "rb") as pipe:
        said = pipe.read()
    if status is None:
        return Verdict("broke", f"hung for {PATIENCE} s", time.monotonic() - started, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        what = f"worked for more than {SECONDS} s" if name == "SIGXCPU" else f"died of {name}"
        return Verdict("broke", what, time.monotonic() - started, 0)
    if not said:
        return Verdict("broke", f"ended with status {os.WEXITSTATUS(status)} and said nothing", 0, 0)
    outcome, text, seconds, memory = json.loads(said)
    return Verdict(outcome, text, seconds, memory)


def _wait(child: int, pipe: int, deadline: float) -> int | None:
    """The child's status; None, and the child killed, where it takes too long."""
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _be_child(case: Callable[[], object], pipe: int) -> NoReturn:
    """Run the case under its limits and report; never returns to the caller's code."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        outcome, text = _outcome(case)
        usages = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        seconds = sum(usage.ru_utime + usage.ru_stime for usage in usages)
        report = [outcome, text[:LONGEST], seconds, max(usage.ru_maxrss for usage in usages) << 10]
        os.write(pipe, json.dumps(report).encode())
    finally:
        os._exit(0)


def _outcome(case: Callable[[], object]) -> tuple[str, str]:
    try:
        case()
    except FaceallError as error:
        return _refusal(str(error))
    except BaseException:  # noqa: BLE001 - whatever it is, it is the verdict
        return "broke", traceback.format_exc(limit=-6)
    return "fine", ""


def _refusal(text: str) -> tuple[str, str]:
    """A refusal has to be one line that a terminal can show."""
    if not text or len(text) > LONGEST:
        return "broke", f"a refusal of {len(text)} letters: {text[:300]}"
    if not all(letter.isprintable() for letter in text):
        return "broke", f"a refusal that is not one plain line: {text!r}"
    return "refused", text


if not hasattr(os, "fork") or sys.platform == "win32":  # pragma: no cover
    raise ImportError("needs processes that can be copied")

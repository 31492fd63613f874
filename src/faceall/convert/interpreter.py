"""The command of a child process that runs a module of faceall."""

from __future__ import annotations

import sys

from faceall.errors import ConvertError


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this Python.

    Raises
    ------
    ConvertError
        In a packed program, whose executable is not a Python: it would start itself again.
    """
    if getattr(sys, "frozen", False):
        raise ConvertError(
            "a packed program cannot do this, since it needs a Python interpreter for a process of its own; "
            "convert the model beforehand with `faceall convert`"
        )
    return [sys.executable, "-m", module, *arguments]

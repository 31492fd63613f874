"""Where the command begins: Ctrl-C is heard from here on, also while the rest is being loaded."""

from __future__ import annotations

import os
import signal

_INTERRUPTED = 130


def main() -> None:
    """Run `faceall`; the process ends with its exit code."""
    before = signal.signal(signal.SIGINT, _end)
    from faceall_cli.main import main as run

    try:
        signal.signal(signal.SIGINT, before)
        run(prog_name="faceall")
    except KeyboardInterrupt:  # just before `run` listens itself, or after it has ended
        _end()


def _end(*_: object) -> None:
    """End at once: halfway through an import no exception is safe."""
    os.write(2, b"faceall: interrupted\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()

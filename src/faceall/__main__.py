"""`python -m faceall`: the same command line as `faceall`."""

from __future__ import annotations

from importlib import import_module


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    # loaded by name: the command line is the layer above this package
    import_module("faceall_cli.entry").main()


if __name__ == "__main__":
    main()

"""The `faceall` command: a group of commands; each parses, makes one library call and prints."""

from __future__ import annotations

import click

from faceall import __version__
from faceall_cli.commands import COMMANDS
from faceall_cli.group import FaceallGroup


@click.group(cls=FaceallGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, "--version", prog_name="faceall", help="Show the version.")
def main() -> None:
    """Find, remember and recognise faces: offline, fast, nothing lost.

    \b
    faceall register photos/       register photos, one folder per person
    faceall search someone.jpg     show who is in an image

    Exit codes: 0 success, 1 an error or nothing usable, 130 interrupted
    (finished work is kept).
    """


for _command in COMMANDS:
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="faceall")

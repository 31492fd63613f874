"""`faceall`, the command: a group of commands, each of which parses, calls the library once and prints."""

from __future__ import annotations

import click

from faceall import __version__
from faceall_cli import (
    align,
    calibrate,
    cluster,
    convert,
    doctor,
    evaluate,
    faces,
    gallery,
    index,
    models,
    people,
    photos,
    search,
    serve,
    train,
)
from faceall_cli.group import FaceallGroup


@click.group(cls=FaceallGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", prog_name="faceall", help="Show the version.")
def main() -> None:
    """Find, remember and recognise faces: offline, fast, nothing lost.

    \b
    faceall register photos/        take up photos, one folder per person
    faceall search somebody.jpg     who is that?

    Exit codes: 0 done, 1 a mistake or nothing usable, 130 interrupted (finished work is kept).
    """


COMMANDS = (
    photos.register,
    search.search,
    faces.detect,
    faces.embed,
    faces.compare,
    people.people,
    cluster.cluster,
    photos.remove,
    photos.status,
    gallery.gallery,
    index.index,
    models.models,
    convert.convert,
    evaluate.evaluate,
    calibrate.calibrate,
    align.align,
    train.train,
    serve.serve,
    doctor.doctor,
)
for _command in COMMANDS:
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="faceall")

"""`faceall people hide`, `show` and `details`."""

from __future__ import annotations

from pathlib import Path

import click

from faceall_cli.commands.gallery.people import open_existing, people
from faceall_cli.console import Console, counted, shown
from faceall_cli.options import gallery_option, output_options

_faces_option = click.option(
    "--face", "faces", metavar="FACE_ID", type=int, multiple=True, help="A single face; may be repeated."
)


@people.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@_faces_option
@gallery_option
@output_options
def hide(console: Console, names: tuple[str, ...], faces: tuple[int, ...], gallery: Path | None) -> None:
    """Hide people or faces: they are not listed, grouped or suggested, but still found.

    `faceall search` and `faceall people list NAME` print the ids of faces.
    """
    _need_one(names, faces)
    with open_existing(gallery) as opened:
        changed = opened.people.hide(names) if names else 0
        hidden = opened.faces.hide(faces) if faces else 0
    console.record({"hidden": list(names), "hidden_faces": list(faces), "changed": changed + hidden})
    console.line(f"{_counts(changed, hidden, names, faces)} now hidden")


@people.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@_faces_option
@gallery_option
@output_options
def show(console: Console, names: tuple[str, ...], faces: tuple[int, ...], gallery: Path | None) -> None:
    """Show hidden people or faces again."""
    _need_one(names, faces)
    with open_existing(gallery) as opened:
        changed = opened.people.show(names) if names else 0
        again = opened.faces.show(faces) if faces else 0
    console.record({"shown": list(names), "shown_faces": list(faces), "changed": changed + again})
    console.line(f"{_counts(changed, again, names, faces)} shown again")


def _need_one(names: tuple[str, ...], faces: tuple[int, ...]) -> None:
    if not names and not faces:
        raise click.UsageError("expected NAME or --face FACE_ID")


def _counts(people: int, faces: int, names: tuple[str, ...], face_ids: tuple[int, ...]) -> str:
    """Count the people and faces that were changed, leaving out the kind that was not given."""
    parts = [counted(people, "person", "people")] if names else []
    return " and ".join([*parts, counted(faces, "face")] if face_ids else parts)


@people.command()
@click.argument("name", metavar="NAME")
@click.option("--note", help='A text; "" removes it.')
@click.option("--born", metavar="DATE", help='The birth date, YYYY-MM-DD; "" removes it.')
@click.option("--cover", metavar="FACE_ID", type=int, help="The face that represents the person; -1 for the best one.")
@gallery_option
@output_options
def details(
    console: Console, name: str, note: str | None, born: str | None, cover: int | None, gallery: Path | None
) -> None:
    """Show or set the note, birth date and cover of a person."""
    with open_existing(gallery) as opened:
        if (note, born, cover) == (None, None, None):
            found = opened.people.details(name)
        else:
            found = opened.people.set_details(name, note=note, born=born, cover=cover)
    console.record({"person": name, **vars(found)})
    values = (f"born {found.born}" if found.born else "", found.note or "", "hidden" if found.hidden else "")
    console.line(f"{shown(name)}: {', '.join(filter(None, values)) or 'no details'}")

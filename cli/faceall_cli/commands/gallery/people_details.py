"""`faceall people hide`, `show` and `details`."""

from __future__ import annotations

from pathlib import Path

import click

from faceall_cli.commands.gallery.people import open_existing, people
from faceall_cli.console import Console, counted, shown
from faceall_cli.options import gallery_option, output_options


@people.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@gallery_option
@output_options
def hide(console: Console, names: tuple[str, ...], gallery: Path | None) -> None:
    """Hide people: they are not listed and not suggested, but still found."""
    with open_existing(gallery) as opened:
        changed = opened.people.hide(names)
    console.record({"hidden": list(names), "changed": changed})
    console.line(f"{counted(changed, 'person', 'people')} now hidden")


@people.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@gallery_option
@output_options
def show(console: Console, names: tuple[str, ...], gallery: Path | None) -> None:
    """Show hidden people again."""
    with open_existing(gallery) as opened:
        changed = opened.people.show(names)
    console.record({"shown": list(names), "changed": changed})
    console.line(f"{counted(changed, 'person', 'people')} shown again")


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

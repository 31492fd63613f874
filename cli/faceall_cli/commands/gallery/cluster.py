"""`faceall cluster`: group the faces without a name by person."""

from __future__ import annotations

from pathlib import Path

import click

from faceall_cli.commands.gallery.people import open_existing
from faceall_cli.console import Console, counted, shown
from faceall_cli.options import gallery_option, output_options

min_faces_option = click.option(
    "--min-faces",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="No folder for people and groups with fewer faces; 1 also writes a folder per face on its own.",
)


@click.command()
@click.option(
    "--threshold",
    type=float,
    metavar="D",
    help="The largest mean distance (squared L2, 0..4) between faces of one person; smaller is stricter. Default:"
    " follows from the model and the number of faces.",
)
@click.option("--known", is_flag=True, help="Also add faces to people who have a name.")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Then write the faces into a folder per person or group.",
)
@min_faces_option
@click.option("--photos", is_flag=True, help="With --to: copy the photos instead of the thumbnails.")
@gallery_option
@output_options
def cluster(
    console: Console,
    threshold: float | None,
    known: bool,
    to: Path | None,
    min_faces: int,
    photos: bool,
    gallery: Path | None,
) -> None:
    """Group the faces without a name by person.

    A group is a person called "unnamed 12" until `faceall people rename` gives a name. Run it again after registering:
    new faces join existing groups or form new ones; groups that you named, merged or split stay as they are. Two faces
    of one photo are never put in one group.
    """
    if photos and to is None:
        raise click.UsageError("--photos: only with --to DIR")
    with open_existing(gallery) as opened:
        found = opened.people.cluster(threshold=threshold, known=known)
        written = None if to is None else opened.faces.write_folders(to, photos=photos, min_faces=min_faces)
    for group in found.clusters:
        console.record(
            {
                "person": group.person,
                "faces": list(group.faces),
                "joined": list(group.joined),
                "opened": group.opened,
            }
        )
    console.record({"alone": list(found.alone), "limit": round(found.limit, 6)})
    if found.clusters:
        rows = [(group.person, str(len(group.faces)), str(len(group.joined))) for group in found.clusters]
        console.table([("person", "faces", "new"), *rows], right=frozenset((1, 2)))
    opened_now = sum(group.opened for group in found.clusters)
    joined = sum(len(group.joined) for group in found.clusters)
    console.line(
        f"{counted(joined, 'face')} grouped, {counted(opened_now, 'new group')}; "
        f"{counted(len(found.alone), 'face')} on their own (mean distance within a person: up to {found.limit:.3g})"
    )
    if to is not None:
        console.line(f"wrote {counted(written or 0, 'folder')}: {shown(to)}")


@click.command("export-faces")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@min_faces_option
@click.option("--photos", is_flag=True, help="Copy the photos instead of the thumbnails.")
@gallery_option
@output_options
def export_faces(console: Console, directory: Path, min_faces: int, photos: bool, gallery: Path | None) -> None:
    """Write the faces of the gallery into DIR, a new folder, with a folder per person."""
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        written = opened.faces.write_folders(directory, photos=photos, min_faces=min_faces)
    console.record({"path": str(directory), "folders": written})
    console.line(f"wrote {counted(written, 'folder')}: {shown(directory)}")

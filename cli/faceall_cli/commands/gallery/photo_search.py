"""`faceall photos`: find photos by who is on them and when they were made."""

from __future__ import annotations

from pathlib import Path

import click

from faceall_cli.console import Console, short_path
from faceall_cli.options import gallery_option, output_options


@click.command()
@click.option("--with", "people", metavar="NAME", multiple=True, help="A person on the photo; repeat for several.")
@click.option("--without", metavar="NAME", multiple=True, help="A person who is not on the photo; may be repeated.")
@click.option("--since", metavar="DATE", help="The first day, YYYY-MM-DD.")
@click.option("--until", metavar="DATE", help="The last day, YYYY-MM-DD.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(min=1), help="How many photos.")
@gallery_option
@output_options
def photos(
    console: Console,
    people: tuple[str, ...],
    without: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    gallery: Path | None,
) -> None:
    """List the photos that show all of some people and none of others.

    The date of a photo is the one that the camera noted, else that of its oldest file.
    """
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        found = opened.photos.search(people=people, without=without, since=since, until=until, limit=limit)
    for photo in found.items:
        path = photo.paths[0] if photo.paths else Path()
        names = sorted({face.person for face in photo.faces if face.person})
        console.record({"photo_id": photo.photo_id, "path": str(path), "people": names})
        console.line(f"{short_path(path)}  {', '.join(names)}".rstrip())
    if found.total > len(found.items):
        console.remark(f"{found.total - len(found.items)} more photos; --limit shows more")
    elif not found.items:
        console.remark("no such photo")

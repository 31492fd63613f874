"""`faceall gallery`: export a gallery to one file, import such a file."""

from __future__ import annotations

from pathlib import Path

import click

from faceall_cli.commands.gallery.people import open_to_export
from faceall_cli.console import Console, counted, short_path, shown
from faceall_cli.options import gallery_option, output_options

_NAMES = 10  # that are listed


@click.group()
def gallery() -> None:
    """Export a gallery to one file, or import such a file."""


@gallery.command("export")
@click.argument("bundle", metavar="BUNDLE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--people", multiple=True, metavar="NAME", help="Only this person; may be given several times.")
@click.option("--replace", is_flag=True, help="Replace BUNDLE if it exists.")
@gallery_option
@output_options
def export(console: Console, bundle: Path, people: tuple[str, ...], replace: bool, gallery: Path | None) -> None:
    """Export vectors, people and thumbnails to one file.

    BUNDLE, usually NAME.faceall, also has the model's manifest, but no photos and no paths. It is not encrypted:
    keep it as safe as the photos.
    """
    with open_to_export(gallery) as opened:
        done = opened.index.export_bundle(bundle, people=list(people) or None, replace=replace)
    console.record({"path": str(done.path), "people": done.people, "faces": done.faces, "bytes": done.size})
    what = f"{counted(done.faces, 'face')} of {counted(done.people, 'person', 'people')}"
    console.line(f"{short_path(done.path)}: {what}, {done.size / 1e6:,.1f} MB")


@gallery.command("import")
@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--restore", is_flag=True, help="Also add faces that were removed from this gallery.")
@gallery_option
@output_options
def import_(console: Console, bundle: Path, restore: bool, gallery: Path | None) -> None:
    """Merge the people and faces of a bundle into the gallery.

    Either everything is imported or nothing. No face is removed or duplicated. People are matched by id, then by name.
    Where the two differ, the later change wins; differences that were not applied are listed. A bundle of another model
    is refused.
    """
    from faceall.gallery import open_to_fill

    with open_to_fill(gallery) as opened, console.progress(0, "faces") as bar:
        done = opened.index.import_bundle(bundle, restore=restore, progress=bar.move_to)
    console.record(
        {
            "path": str(done.path),
            "added": done.added,
            "known": done.known,
            "reassigned": done.reassigned,
            "left_out": done.left_out,
            "new_people": done.new_people,
            "renamed": done.renamed,
            "conflicts": done.conflicts,
        }
    )
    for conflict in done.conflicts:
        console.remark(f"differs: {shown(conflict)}")
    for before, now in done.renamed:
        console.line(f"{shown(before)} was renamed to {shown(now)}")
    if done.new_people:
        first = ", ".join(map(shown, done.new_people[:_NAMES]))
        more = len(done.new_people) - _NAMES
        console.line(f"new: {first}" + (f" and {more:,} more" if more > 0 else ""))
    if done.left_out:
        console.remark(
            f"{counted(done.left_out, 'face')} skipped: removed from this gallery before; add them with --restore"
        )
    console.line(
        f"{counted(done.added, 'face')} added, {done.known:,} already known, {done.reassigned:,} of them reassigned"
    )

"""`faceall people`: list, rename, merge, split and remove people; name and unassign faces."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall_cli.commands.gallery.receipts import proof_of, receipt_of
from faceall_cli.console import Console, counted, rounded, short_path, shown
from faceall_cli.options import confirm, gallery_option, output_options, yes_option

if TYPE_CHECKING:
    from faceall.gallery import Gallery, StoredPhoto
    from faceall.gallery.people.details import Sort


_MAX_CHECKED = 1000  # people whose faces are compared
_MAX_REMARKS = 20


@click.group()
def people() -> None:
    """List, rename, merge, split and remove people; name faces."""


def open_to_export(folder: Path | None) -> Gallery:
    """Open a gallery to export it; writable if possible, so that exported people and faces get permanent ids."""
    from faceall.gallery import Gallery

    opened = Gallery.open(folder, read_only=True)
    if opened.place != str(opened.folder):  # in Milvus
        return opened
    if not all(os.access(path, os.W_OK) for path in (opened.folder, *opened.folder.glob("faces.db*"))):
        return opened
    opened.close()
    return Gallery.open(folder)


def open_existing(folder: Path | None) -> Gallery:
    """Open an existing gallery to change it."""
    from faceall.gallery import Gallery

    Gallery.open(folder, read_only=True).close()  # raises if there is none; does not create one
    return Gallery.open(folder)


@people.command("list")
@click.argument("name", required=False)
@click.option(
    "--sort",
    type=click.Choice(["name", "photos", "newest", "fit"]),
    default="name",
    show_default=True,
    help="The order; fit lists faces that do not fit the rest first.",
)
@click.option("--hidden", is_flag=True, help="List hidden people instead.")
@gallery_option
@output_options
def list_(console: Console, name: str | None, sort: Sort, hidden: bool, gallery: Path | None) -> None:
    """List people with their face counts, or the faces of NAME.

    The distance of a face is the mean squared distance to the other faces of NAME: those far from the rest may be
    of another person.
    """
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        if name is not None:
            _list_faces(console, opened, name, by_fit=sort == "fit")
            return
        found = opened.people.list(sort=sort, hidden=hidden)
        mixed = opened.people.mixed(most=_MAX_CHECKED)
        remark_on_names(console, opened)
    for person in found:
        console.record({"person": person.name, "faces": person.faces, "photos": person.photos, "named": person.named})
    if found:
        rows = [(person.name, str(person.faces), str(person.photos)) for person in found]
        console.table([("person", "faces", "photos"), *rows], right=frozenset((1, 2)))
    else:
        console.remark("no people yet")
    for one in mixed:
        console.remark(f"{one}; faceall people list NAME lists them, faceall people unname NAME removes the name")


def _list_faces(console: Console, gallery: Gallery, name: str, *, by_fit: bool) -> None:
    """List the faces of a person with the mean distance of each to the others."""
    faces = gallery.faces.find(person=name)
    distances = dict(gallery.people.fit(name))
    if by_fit:
        faces.sort(key=lambda face: -distances.get(face.face_id, -1.0))
    photos = gallery.photos.stored({face.photo_id for face in faces})
    for face in faces:
        distance, photo = distances.get(face.face_id), photos.get(face.photo_id)
        shot = {} if photo is None else {"taken": photo.taken, "camera": photo.camera}
        values = {"face_id": face.face_id, "person": name, "path": str(face.path), "box": rounded(face.box), **shot}
        console.record({**values, "distance": None if distance is None else round(distance, 6), "hidden": face.hidden})
    rows = [
        (
            str(face.face_id),
            f"{face.score:.3f}",
            f"{distances[face.face_id]:.3f}" if face.face_id in distances else "-",
            _taken(photos.get(face.photo_id)),
            short_path(face.path) + (" (hidden)" if face.hidden else ""),
        )
        for face in faces
    ]
    console.table([("face", "score", "distance", "taken", "photo"), *rows], right=frozenset((0, 1, 2)))


def _taken(photo: StoredPhoto | None) -> str:
    """Return when and with what a photo was taken."""
    facts = () if photo is None else (photo.taken and photo.taken[:10], photo.camera)
    return ", ".join(fact for fact in facts if fact) or "-"


def remark_on_names(console: Console, gallery: Gallery) -> None:
    """Remark on people whose names differ in case or form only."""
    for group in gallery.people.similar_names()[:_MAX_REMARKS]:
        names = ", ".join(map(shown, group))
        console.remark(f"{names}: the same person? faceall people merge OLD INTO makes one of them")


def name_to_use(console: Console, gallery: Gallery, name: str, *, but: str | None = None) -> str:
    """Ask on a terminal whether a name that differs from an existing one in case or form only is that one."""
    similar = gallery.people.similar_name(name)
    if similar is None or similar == but:
        return name
    if sys.stdin.isatty() and not console.quiet:
        return similar if click.confirm(f"there is {shown(similar)}: use that name?", default=True, err=True) else name
    console.remark(f"{shown(similar)} differs from {shown(name)} in case or form only")
    return name


@people.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@gallery_option
@output_options
def rename(console: Console, old: str, new: str, gallery: Path | None) -> None:
    """Rename a person."""
    with open_existing(gallery) as opened:
        new = name_to_use(console, opened, new, but=old)
        opened.people.rename(old, new)
    console.record({"person": new, "was": old})
    console.line(f"{shown(old)} was renamed to {shown(new)}")


@people.command()
@click.argument("old", metavar="OLD")
@click.argument("into", metavar="INTO")
@gallery_option
@output_options
def merge(console: Console, old: str, into: str, gallery: Path | None) -> None:
    """Merge OLD into INTO: all faces of OLD become faces of INTO."""
    with open_existing(gallery) as opened:
        faces = opened.people.merge(old, into)
    console.record({"person": into, "was": old, "faces": faces})
    console.line(f"{counted(faces, 'face')} of {shown(old)} assigned to {shown(into)}")


@people.command()
@click.argument("name", metavar="NAME")
@yes_option
@gallery_option
@output_options
def remove(console: Console, name: str, yes: bool, gallery: Path | None) -> None:
    """Remove a person and all faces of that person permanently.

    Vectors and thumbnails are deleted. Photos without faces of other people are removed from the gallery, too; register
    them again to restore them.
    """
    with open_existing(gallery) as opened:
        person = opened.people.get(name)
        what = f"{counted(person.faces, 'face')} on {counted(person.photos, 'photo')}"
        confirm(f"remove {shown(name)} with {what}, permanently", yes)
        removal = opened.people.remove(name)
    console.record({"person": name, "faces": removal.count, "receipt": receipt_of(removal)})
    console.line(f"removed {shown(name)}: {counted(removal.count, 'face')}{proof_of(removal)}")


@people.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@gallery_option
@output_options
def unname(console: Console, names: tuple[str, ...], gallery: Path | None) -> None:
    """Remove the names of people but keep their faces.

    If one NAME is unknown, nothing is changed. New photos of folders with these names get no name either.
    `faceall cluster` groups the faces by person.
    """
    with open_existing(gallery) as opened:
        faces = opened.people.unname(names)
    console.record({"unnamed": list(names), "faces": faces})
    console.line(f"{counted(faces, 'face')} of {counted(len(names), 'person', 'people')} now without a name")


@people.command("name")
@click.argument("face_id", metavar="FACE_ID", type=int)
@click.argument("person", metavar="NAME")
@gallery_option
@output_options
def name_face(console: Console, face_id: int, person: str, gallery: Path | None) -> None:
    """Assign the face FACE_ID to a person.

    `faceall search` prints the ids of faces. The person is created if there is none with this NAME.
    """
    with open_existing(gallery) as opened:
        person = name_to_use(console, opened, person)
        opened.faces.assign(face_id, person)
    console.record({"face_id": face_id, "person": person})
    console.line(f"face {face_id} assigned to {shown(person)}")


@people.command()
@click.argument("name", metavar="NAME")
@click.argument("face_ids", metavar="FACE_ID...", type=int, nargs=-1, required=True)
@click.option("--to", metavar="NAME", help="The person they belong to. Default: a new one without a name.")
@gallery_option
@output_options
def split(console: Console, name: str, face_ids: tuple[int, ...], to: str | None, gallery: Path | None) -> None:
    """Move faces of NAME to another person.

    Clustering never assigns them to NAME again.
    """
    with open_existing(gallery) as opened:
        to = to if to is None else name_to_use(console, opened, to)
        target = opened.people.split(name, face_ids, to=to)
    console.record({"person": target, "was": name, "faces": list(face_ids)})
    console.line(f"{counted(len(face_ids), 'face')} of {shown(name)} assigned to {shown(target)}")


@people.command()
@click.argument("face_ids", metavar="FACE_ID...", type=int, nargs=-1, required=True)
@gallery_option
@output_options
def unassign(console: Console, face_ids: tuple[int, ...], gallery: Path | None) -> None:
    """Remove the names from single faces.

    `faceall search` prints the ids of faces. Clustering never assigns them to the same person again.
    """
    with open_existing(gallery) as opened:
        changed = opened.faces.unassign(face_ids)
    console.record({"faces": list(face_ids), "changed": changed})
    console.line(f"{counted(changed, 'face')} now without a name")

"""`faceall index`: verify, repair, compact, migrate, move, stats, backup, export, import."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall.signals import stoppable
from faceall_cli.commands.gallery.people import open_existing, open_to_export
from faceall_cli.console import Console, counted, short_path, shown
from faceall_cli.group import INTERRUPTED, MISTAKE
from faceall_cli.options import GalleryPlace, gallery_option, make_embedder, model_option, output_options

if TYPE_CHECKING:
    from faceall.gallery import Migration


@click.group()
def index() -> None:
    """Maintain the gallery: verify, repair, migrate, back up."""


@index.command()
@gallery_option
@output_options
def verify(console: Console, gallery: Path | None) -> None:
    """Read the whole gallery and report damage.

    Checks the database, vectors, graph and thumbnails, and measures the recall of the graph against exact search.
    """
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        found = opened.index.verify()
    console.record(asdict(found))
    for problem in found.problems:
        console.complain(f"faceall: {shown(problem)}")
    if found.recall is not None:
        sample = counted(found.sample, "stored vector")
        console.line(f"recall {found.recall:.4f} of the {found.neighbours} nearest of {sample}, against exact search")
    unused = _why_graph_unused(found.graph in ("current", "behind"))
    if found.shortfall is not None and not unused:
        console.complain(f"faceall: {found.shortfall}")
    words = {"none": "no graph file", "current": "graph current", "behind": "graph outdated, updated at the next use"}
    words.update(dict.fromkeys(("current", "behind"), f"graph file not used, because {unused}") if unused else {})
    console.line(f"{counted(found.vectors, 'vector')}, {words.get(found.graph, 'graph damaged')}")
    if found.problems:
        console.complain("faceall: run faceall index repair")
        raise click.exceptions.Exit(MISTAKE)
    console.line("no damage found")


@index.command()
@gallery_option
@output_options
def repair(console: Console, gallery: Path | None) -> None:
    """Repair what can be repaired and report what is lost.

    No other process may use the gallery at the same time. The graph is rebuilt, missing thumbnails are created again
    from the photos, and every readable row of a damaged database is kept; the damaged file stays next to the new one.
    Register the photos again to restore lost faces. The exit code is 1 if something is lost.
    """
    from faceall.gallery import as_folder, default_place, repair_gallery

    done = repair_gallery(as_folder(default_place() if gallery is None else gallery))
    console.record(asdict(done))
    for line in done.done:
        console.line(f"done: {shown(line)}")
    for line in done.lost:
        console.line(f"lost: {shown(line)}")
    if done.lost:
        raise click.exceptions.Exit(MISTAKE)
    if not done.done:
        console.line("nothing to repair")


@index.command()
@gallery_option
@output_options
def compact(console: Console, gallery: Path | None) -> None:
    """Reclaim the space of removed faces in graph and database."""
    with open_existing(gallery) as opened:
        done = opened.index.compact()
    console.record(asdict(done))
    console.line(f"database {_size(done.database_before)} -> {_size(done.database_after)}")
    dropped = f", {counted(done.tombstones, 'removed vector')} dropped" if done.tombstones else ""
    console.line(f"graph    {_size(done.graph_before)} -> {_size(done.graph_after)}{dropped}")


@index.command()
@click.option("--thumbnails", is_flag=True, help="Embed the stored thumbnail where a photo is missing; less accurate.")
@model_option
@gallery_option
@output_options
def migrate(console: Console, thumbnails: bool, model: str | None, gallery: Path | None) -> None:
    """Change the model: embed every face again from its photo.

    People, names and face ids stay. Searches use the old vectors until all faces are embedded; then all vectors are
    replaced at once. An interrupted run can be resumed. Faces whose photo is missing or has changed become stale: they
    keep their names but are not found until a later run finds the photo. Choose the new model with --model or
    EMBEDDING_SIZE.
    """
    from faceall.embed import Embedder

    embedder = make_embedder(model) or Embedder()
    with open_existing(gallery) as opened, stoppable(terminate=False) as stop:
        migration = opened.index.migrate(embedder, thumbnails=thumbnails, stop=stop)
        statuses = _print_photos(console, migration)
        faces, label = len(opened), opened.model
    parts = ", ".join(f"{number:,} {status}" for status, number in statuses.most_common()) or "nothing to do"
    console.record({"switched": migration.switched, "model": label, "faces": faces})
    console.line(f"{parts}; {counted(faces, 'face')} of {label}")
    if not migration.switched:
        console.complain("faceall: stopped; the old vectors stay in use; run the command again to continue")
        raise click.exceptions.Exit(INTERRUPTED)


def _print_photos(console: Console, migration: Migration) -> Counter[str]:
    statuses: Counter[str] = Counter()
    with console.progress(0, "photos") as bar:
        for photo in migration:
            statuses[photo.status] += 1
            record = {"path": str(photo.path), "status": photo.status, "faces": photo.faces}
            console.record(record if photo.message is None else {**record, "message": photo.message})
            if console.verbose or photo.status != "embedded":
                reason = f": {shown(photo.message)}" if photo.message else ""
                console.line(f"{photo.status:<10} {short_path(photo.path)}{reason}")
            bar.move_to(sum(statuses.values()), migration.total)
    return statuses


@index.command()
@click.argument("source", metavar="SRC", type=GalleryPlace())
@click.argument("target", metavar="DST", type=GalleryPlace())
@click.option("--remove-source", is_flag=True, help="Remove SRC if the comparison finds no difference.")
@output_options
def move(console: Console, source: Path | str, target: Path | str, remove_source: bool) -> None:
    """Copy a gallery from a folder to Milvus, or back; compare both.

    SRC and DST are folders or addresses: milvus://HOST:PORT/NAME, milvus-lite:///PATH.db. All photos are copied
    with their faces, vectors and thumbnails, all people, and the files that were uploaded to the web app; an
    interrupted run can be resumed. At the end the counts and checksums of both are compared. SRC is not changed unless
    --remove-source is given.
    """
    from faceall.gallery import move_gallery

    with stoppable(terminate=False) as stop, console.progress(0, "photos") as bar:
        done = move_gallery(source, target, remove_source=remove_source, progress=bar.move_to, stop=stop)
    console.record(asdict(done))
    photos = f"{counted(done.copied, 'photo')} copied, {done.there:,} already copied"
    if done.sums is None:
        console.line(photos)
        console.complain("faceall: stopped; run the command again to continue")
        raise click.exceptions.Exit(INTERRUPTED)
    faces, people = counted(done.sums.faces, "face"), counted(done.sums.people, "person", "people")
    console.line(f"{shown(done.target)}: {photos}; {faces} of {people}, checksums agree")
    if done.uploads:
        console.line(f"{counted(done.uploads, 'uploaded file')} copied")
    console.line(f"{shown(done.source)} was removed" if done.removed else f"{shown(done.source)} is unchanged")


@index.command()
@gallery_option
@output_options
def stats(console: Console, gallery: Path | None) -> None:
    """Show the number of faces, sizes, graph parameters and recall."""
    from faceall.gallery import Gallery
    from faceall.gallery.addresses import is_address

    with Gallery.open(gallery, read_only=True) as opened:
        found, remote = opened.index.statistics(), is_address(opened.place)
    console.record(asdict(found))
    one = found.index
    without = "Milvus searches with its own index (HNSW)" if remote else "none: every search compares all vectors"
    rows = [
        (
            "faces",
            f"{found.faces:,} of {counted(found.people, 'person', 'people')} on {counted(found.photos, 'photo')}",
        ),
        ("model", f"{one.model or '-'}, {one.dimension or 0} dimensions, distance {one.metric}"),
        ("database", _each(one.database, found.faces)),
        ("  vectors", _each(one.payload, found.faces)),
        ("  thumbnails", _each(found.thumbnails, found.faces)),
        ("  free", _size(one.free)),
        ("graph", _each(one.graph, found.faces) if one.graph else without),
    ]
    unused = _why_graph_unused(bool(one.graph))
    if unused:
        rows.append(("  not used", f"because {unused}"))
    if one.links is not None:
        effort = "not measured" if one.effort is None else f"ef {one.effort}, recall {one.recall:.4f} measured"
        width = one.dimension if one.projected is None else f"{one.projected}, projected; distances exact"
        rows.append(("  dimensions", f"{width}"))
        search = "" if unused else f"; searched with {effort}"
        rows.append(("  built with", f"M {one.links}, ef_construction {one.build_effort}{search}"))
        rows.append(
            ("  removed", f"{counted(one.tombstones, 'vector')} still in the graph; faceall index compact drops them")
        )
    if one.shortfall is not None and not unused:
        rows.append(("  recall", one.shortfall))
    if found.stale:
        rows.append(("stale", f"{counted(found.stale, 'face')} without a photo since the model was changed"))
    console.table(rows)


@index.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@gallery_option
@output_options
def backup(console: Console, directory: Path, gallery: Path | None) -> None:
    """Copy the gallery to the new folder DIR, also while it is in use.

    The copy is a consistent snapshot and a complete gallery: use it with --gallery DIR, or to replace a lost one.
    """
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        size = opened.index.backup(directory)
        faces = len(opened)
    console.record({"path": str(directory.absolute()), "bytes": size})
    console.line(f"{short_path(directory)}: {counted(faces, 'face')}, {_size(size)}")


@index.command("export")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@gallery_option
@output_options
def export(console: Console, directory: Path, gallery: Path | None) -> None:
    """Export vectors (.npy), people and thumbnails to a folder.

    DIR is created. Its files can be read by other programs and imported on other machines.
    """
    with open_to_export(gallery) as opened:
        done = opened.index.export_folder(directory)
    console.record({"path": str(done.path), "people": done.people, "faces": done.faces, "bytes": done.size})
    console.line(f"{short_path(done.path)}: {counted(done.faces, 'face')}, {_size(done.size)}")


@index.command("import")
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@click.option("--made-by", metavar="NAME", help="The model that made the vectors; needed if SOURCE does not state it.")
@gallery_option
@output_options
def import_(console: Console, source: Path, made_by: str | None, gallery: Path | None) -> None:
    """Import vectors from an export or another program's files.

    Either all are imported or none. SOURCE is a folder written by `export`, or one of

    \b
    FaceAll          faceSearchData, with faceSearchData.pkl beside it
    facenet          a folder with embeddings.npy and labels.npy
    face_recognition a pickle of {"encodings": [], "names": []} or a list; .npy

    Pickles are parsed without executing them. Name the model of the vectors with --made-by. Vectors of different models
    are never mixed; if the model is installed, the vectors can be searched with photos.
    """
    from faceall.gallery import open_to_fill

    with open_to_fill(gallery) as opened:
        done = opened.index.import_vectors(source, made_by=made_by)
        model = opened.model
    console.record({"path": str(source), "added": done.added, "known": done.known, "model": model})
    console.line(f"{counted(done.added, 'face')} added, {done.known:,} already known; made by {model}")


def _why_graph_unused(has_file: bool) -> str | None:
    """Return why the graph file is not used, and that every search is exact; None if it is used, or there is none."""
    from faceall.index.graph.graph import why_no_graphs

    reason = why_no_graphs() if has_file else None
    return None if reason is None else f"{reason}; every search is exact"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _each(count: int, faces: int) -> str:
    """Format a size and its share per face."""
    return f"{_size(count)}, {count / faces:,.0f} bytes per face" if faces else _size(count)

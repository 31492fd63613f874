"""`faceall register`, `faceall remove` and `faceall status`."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall.signals import stoppable
from faceall_cli.commands.gallery.people import name_to_use, open_existing, remark_on_names
from faceall_cli.commands.gallery.receipts import proof_of, receipt_of
from faceall_cli.console import Console, counted, short_path, shown
from faceall_cli.group import INTERRUPTED, MISTAKE
from faceall_cli.options import (
    confirm,
    detector_option,
    gallery_option,
    min_face_option,
    model_option,
    output_options,
    yes_option,
)
from faceall_cli.sources import sources_argument

if TYPE_CHECKING:
    from faceall.gallery import Gallery, MatchThreshold, NamesFrom, PhotoResult, Registration

_DONE = frozenset(("added", "unchanged"))
_UNREADABLE = frozenset(("unreadable", "too-large"))
_MAX_NAMES = 20
_MAX_TARGETS = 5
_MAX_CHECKED = 200  # people whose faces are compared
_UNUSABLE = _UNREADABLE | {"no-face", "refused"}


@click.command()
@sources_argument("paths", "PATH...")
@click.option("--person", metavar="NAME", help="The person on all these photos, including registered ones.")
@click.option(
    "--names-from",
    type=click.Choice(["auto", "folders", "files", "xmp", "none"]),
    default="auto",
    show_default=True,
    help="Where names come from, see above.",
)
@click.option("--unnamed", is_flag=True, help="Use no names, and remove names that came from paths; faces stay.")
@click.option("--strict", is_flag=True, help="Refuse photos with a small, blurred, turned or cut-off primary face.")
@min_face_option
@click.option("--workers", metavar="N|ray", help="Analyse photos in N processes, or on a Ray cluster: RAY_ADDRESS.")
@model_option
@detector_option
@gallery_option
@output_options
def register(
    console: Console,
    paths: tuple[Path, ...],
    person: str | None,
    names_from: NamesFrom,
    unnamed: bool,
    strict: bool,
    min_face: int | None,
    workers: str | None,
    model: str | None,
    detector: str | None,
    gallery: Path | None,
) -> None:
    """Register photos, and folders of photos, in the gallery.

    A photo in the folder of a person belongs to that person: photos/Ada/1.jpg shows Ada. A folder names its photos if
    its name looks like a person's (no date, no word of a camera, program or event) and most faces in it agree; what was
    named and what was left unnamed is listed at the end. With --names-from folders the faces are not checked; with
    files the file name counts, without dates, counters and copies: ada_2.jpg shows ada; with xmp the face regions in
    the metadata. Of several faces the large, central one gets the name; the others are stored and found without one.
    `faceall cluster` groups unnamed faces by person.

    Faces that are hard to recognise and near-duplicates of registered photos are reported.

    When you register again, unchanged files are skipped, moved files are recognised, and changed files are analysed
    again. Reported photos are safe on the disk; Ctrl-C keeps everything that is finished. The exit code is 1 if
    a PATH itself is missing or cannot be read, after everything else was done.
    """
    from faceall.gallery import Gallery

    if unnamed and person is not None:
        raise click.UsageError("--unnamed and --person exclude each other")
    team = _make_workers(workers)
    start = time.monotonic()
    with Gallery.open(gallery, embedder=make_embedder(model)) as opened, stoppable(terminate=False) as stop:
        if detector is not None:
            opened.choose_detector(detector)
        if person is not None:
            person = name_to_use(console, opened, person)
        registration = opened.iter_register(
            paths,
            person=person,
            names_from=names_from,
            unnamed=unnamed,
            strict=strict,
            min_face=min_face,
            workers=team,
            stop=stop,
        )
        given = {Path(os.path.abspath(path)) for path in paths}
        named: set[str] = set()
        statuses, trouble, missing = _print_results(console, registration, given, named)
        _print_summary(console, registration, statuses, time.monotonic() - start)
        _print_names(console, registration)
        _print_skipped(console, registration)
        remark_on_names(console, opened)
        for mixed in opened.people.mixed(most=_MAX_CHECKED, among=named) if named and not console.quiet else ():
            console.remark(f"{mixed}; faceall people list NAME lists them")
    if stop.is_set():
        raise click.exceptions.Exit(INTERRUPTED)
    if missing:
        console.complain(
            f"faceall: {counted(missing, 'photo')} disappeared during the registration; is the drive still connected?"
        )
    if missing or not set(statuses) - _UNUSABLE or trouble & given:
        raise click.exceptions.Exit(MISTAKE)


def _make_workers(workers: str | None) -> Any:
    """Return the workers that analyse photos; None for this process."""
    if workers is None:
        return None
    if workers == "ray":
        from faceall.gallery.registration.ray_workers import ray_workers

        return ray_workers()
    from faceall.gallery.registration.local_workers import local_workers

    if not workers.isdecimal():
        raise click.UsageError(f"--workers {workers}: expected a number of processes, or ray")
    return local_workers(int(workers))


def make_embedder(model: str | None) -> Any:
    """Return the embedder with a name; None, for the default of the gallery, without a name."""
    if model is None:
        return None
    from faceall.embed import Embedder

    return Embedder(model)


def _print_results(
    console: Console, registration: Registration, given: set[Path], named: set[str]
) -> tuple[Counter[str], set[Path], int]:
    """Print the result of every file.

    Returns the number of files by status, those that could not be read, and how many found in folders have gone. The
    people who got photos are added to `named`.
    """
    statuses: Counter[str] = Counter()
    trouble: set[Path] = set()
    missing = 0
    with console.progress(registration.total, "photos") as bar:
        for result in registration:
            statuses[result.status] += 1
            missing += result.missing and result.path not in given
            if result.status in _UNREADABLE:
                trouble.add(result.path)
            if result.person is not None and result.status != "unchanged":
                named.add(result.person)
            console.record(result_record(result))
            if console.verbose or result.notes or result.status not in _DONE:
                console.line(result_line(result))
            bar.step()
    return statuses, trouble, missing


def result_record(result: PhotoResult) -> dict[str, Any]:
    """Return the result of one file as JSON."""
    record: dict[str, Any] = {
        "path": str(result.path),
        "status": result.status,
        "faces": result.faces,
        "person": result.person,
    }
    if result.message is not None:
        record["message"] = result.message
    if result.notes:
        record["notes"] = [note.text for note in result.notes]
    return record


def result_line(result: PhotoResult) -> str:
    """Return the result of one file as a line."""
    facts = [shown(result.person)] if result.person else []
    facts += [counted(result.faces, "face")] if result.faces > 1 else []
    facts += [shown(result.message)] if result.message else [shown(note.text) for note in result.notes]
    return f"{result.status:<10} {short_path(result.path)}" + (f": {', '.join(facts)}" if facts else "")


def _print_summary(console: Console, registration: Registration, statuses: Counter[str], seconds: float) -> None:
    done = sum(statuses.values())
    parts = ", ".join(f"{number:,} {status}" for status, number in statuses.most_common())
    rate = f" ({done / seconds:,.0f} photos/s)" if done and seconds >= 0.1 else ""
    text = f"{counted(done, 'photo')} in {seconds:.1f} s{rate}: {parts}" if done else "no photo found"
    if done < registration.total:
        text += f"; stopped, {registration.total - done:,} left for the next run"
    if done == 0 and registration.total == 0:
        console.error(text)
    elif not console.quiet:
        console.remark(text) if console.as_json else console.line(text)
    if console.verbose:
        spent = asdict(registration.timings)
        console.remark("seconds: " + ", ".join(f"{stage} {value:.2f}" for stage, value in spent.items()))


def _print_skipped(console: Console, registration: Registration) -> None:
    """Report the skipped files by kind; with -v list them."""
    if not registration.skipped or console.quiet:
        return
    kinds = Counter(kind for _, kind in registration.skipped)
    console.remark("skipped: " + ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common()))
    if console.verbose:
        for path, kind in registration.skipped:
            console.remark(f"skipped ({kind}): {short_path(path)}")


def _print_names(console: Console, registration: Registration) -> None:
    """Report which folders gave names."""
    if registration.names_in_metadata and not console.quiet:
        named = registration.names_in_metadata.most_common(_MAX_NAMES)
        console.line("named from metadata: " + ", ".join(f"{shown(name)} ({faces})" for name, faces in named))
    accepted = [found for found in registration.folder_names if found.accepted]
    refused = [found for found in registration.folder_names if not found.accepted]
    if accepted and not console.quiet:
        listed = ", ".join(f"{shown(found.name)} ({found.photos})" for found in accepted[:_MAX_NAMES])
        more = f" and {len(accepted) - _MAX_NAMES:,} more" if len(accepted) > _MAX_NAMES else ""
        console.line(f"named after their folders: {listed}{more}")
    for found in refused:
        counts = {"agreeing": found.agreement.agreeing, "compared": found.agreement.faces}
        record = {"path": str(found.folder), "status": "left-unnamed", "suggested": found.name}
        console.record({**record, "photos": found.photos, **counts})
        if not console.quiet:
            agreeing = f"{found.agreement.agreeing} of {found.agreement.faces} faces agree"
            console.line(f"left unnamed: {short_path(found.folder)} shows several people ({agreeing})")
    for folder in registration.joint_folders:
        console.remark(
            f"left unnamed: {short_path(folder)} names two people; name their faces with faceall people name"
        )


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="PATH|FACE_ID...")
@yes_option
@gallery_option
@output_options
def remove(console: Console, targets: tuple[str, ...], yes: bool, gallery: Path | None) -> None:
    """Remove photos (by path or folder) or faces (by id).

    Vectors and thumbnails are deleted permanently. The photo files are kept. `faceall search` prints the ids of faces.
    A number is the id of a face; write ./7 for a photo with that name. Files with the same content are one photo.
    """
    removed: dict[Path, str] = {}
    with open_existing(gallery) as opened:
        confirm(lambda: f"remove from the gallery, permanently: {_contents(opened, targets)}", yes)
        for target in targets:
            if _is_face(target):
                removal = opened.faces.remove([int(target)])
                console.record({"face_id": int(target), "removed": True, "receipt": receipt_of(removal)})
                console.line(f"removed face {target}{proof_of(removal)}")
            elif (twin := removed.get(Path(os.path.abspath(target)))) is not None:
                console.record({"path": os.path.abspath(target), "photos": 0, "removed_with": os.path.abspath(twin)})
                console.line(f"removed already: {short_path(target)} has the same content as {short_path(twin)}")
            else:
                removal = opened.photos.remove(target)
                removed.update((path, target) for path in removal.paths)
                photos = len(removal.photos)
                record = {"path": os.path.abspath(target), "photos": photos, "receipt": receipt_of(removal)}
                console.record(record)
                console.line(f"removed {counted(photos, 'photo')}: {short_path(target)}{proof_of(removal)}")


def _contents(gallery: Gallery, targets: Sequence[str]) -> str:
    """Return what is removed with some targets, with counts, for the question whether to go on."""
    faces = {int(target) for target in targets if _is_face(target)}
    photos = {
        photo.photo_id: photo for target in targets if not _is_face(target) for photo in gallery.photos.below(target)
    }
    faces |= {face.face_id for photo in photos.values() for face in photo.faces}
    names = ", ".join(shown(target) for target in targets[:_MAX_TARGETS])
    more = f" and {len(targets) - _MAX_TARGETS} more" if len(targets) > _MAX_TARGETS else ""
    return f"{counted(len(photos), 'photo')} and {counted(len(faces), 'face')} ({names}{more})"


def _is_face(target: str) -> bool:
    """Return whether a target is the id of a face; refuse a number that is also the name of a file."""
    if not (target.isdecimal() and len(target) < 19):
        return False
    if os.path.lexists(target):
        raise click.ClickException(
            f"{target} is the id of a face and the name of a file; write ./{target} for the file"
        )
    return True


@click.command()
@gallery_option
@output_options
def status(console: Console, gallery: Path | None) -> None:
    """Show the size of the gallery and missing files."""
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        found = opened.status()
        threshold = _threshold_of(opened)
    values = {k: v for k, v in asdict(found).items() if k != "folder"}
    judged = None if threshold is None else threshold.to_json()
    console.record({"path": str(found.folder), **values, "threshold": judged})
    console.line(f"{shown(found.folder)}: " + (f"{found.size / 1e6:,.1f} MB" if found.size else "on a server"))
    console.line(f"{counted(found.faces, 'face')} of {counted(found.people, 'person', 'people')}")
    console.line(f"{counted(found.photos, 'photo')} in {counted(found.files, 'file')}")
    for number, what in (
        (found.unnamed, "faces without a name"),
        (found.without_face, "photos without a face"),
        (found.unreadable, "unreadable photos"),
        (found.too_large, "photos that are too large"),
        (found.vanished, "missing files; their faces are kept"),
    ):
        if number:
            console.line(f"{number:,} {what}")
    if found.model:
        console.line(f"made with {found.model}, {found.dimension} dimensions")
        console.line(_describe_threshold(threshold))


def _threshold_of(opened: Gallery) -> MatchThreshold | None:
    """Return the threshold of searches; None if no model with one is installed."""
    from faceall.errors import FaceallError

    try:
        return opened.match_threshold
    except FaceallError:
        return None


def _describe_threshold(threshold: MatchThreshold | None) -> str:
    """Describe the threshold of searches with its interval."""
    if threshold is None:
        return "searches have no threshold: that of the model is not known, and fewer than 20 people have a name"
    if threshold.fpir is None:
        rate = threshold.false_accept_rate
        aim = "" if rate is None else f", for a false match rate of {rate:g} per comparison"
        return f"match: distance up to {threshold.distance:.3f}{aim}"
    low, high = threshold.interval or (threshold.distance, threshold.distance)
    source = "the scores of the model" if threshold.origin == "model" else "the scores of model and gallery"
    people = counted(threshold.people or 0, "person", "people")
    return (
        f"match: distance up to {threshold.distance:.3f} [{low:.3f}, {high:.3f}], possible: up to "
        f"{threshold.possible:.3f} (FPIR {threshold.fpir:.2%} with {people}, from {source})"
    )

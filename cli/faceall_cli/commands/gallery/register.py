"""`faceall register`."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall.signals import stoppable
from faceall_cli.commands.gallery.people import name_to_use, remark_on_names
from faceall_cli.console import Console, counted, short_path, shown
from faceall_cli.group import INTERRUPTED, MISTAKE
from faceall_cli.memory import share_memory_between_threads
from faceall_cli.options import (
    detector_option,
    gallery_option,
    make_embedder,
    min_face_option,
    model_option,
    output_options,
)
from faceall_cli.sources import sources_argument

if TYPE_CHECKING:
    from faceall.gallery import Gallery, NamesFrom, PhotoResult, Registration
    from faceall.gallery.registration.folder_names import FolderName

_DONE = frozenset(("added", "unchanged"))
_UNREADABLE = frozenset(("unreadable", "too-large"))
_MAX_NAMES = 20
_MAX_PLACES = 5
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
@click.option("--unnamed", is_flag=True, help="Use no names, and remove those that came from paths; faces stay.")
@click.option("--strict", is_flag=True, help="Refuse photos with a small, blurred, turned or cut-off primary face.")
@min_face_option
@click.option(
    "--workers",
    metavar="N|auto|ray",
    default="auto",
    show_default=True,
    help="Processes that analyse photos: a number, auto (several if that is faster) or ray (a cluster, RAY_ADDRESS).",
)
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
    workers: str,
    model: str | None,
    detector: str | None,
    gallery: Path | None,
) -> None:
    """Register photos, and folders of photos, in the gallery.

    A photo in the folder of a person belongs to that person: photos/Ada/1.jpg shows Ada. A folder names its photos if
    its name looks like a person's (no date, no word of a camera, program or event) and most faces in it agree; what was
    named and what was left unnamed is listed at the end. With --names-from folders the faces are not checked; with
    files the file name counts, without dates, counters and copies: ada_2.jpg shows ada; with xmp the face regions in
    the metadata. These three also name registered photos that have no name. Of several faces the large, central one
    gets the name; the others are stored and found without one. `faceall cluster` groups unnamed faces by person.

    Faces that are hard to recognise and near-duplicates of registered photos are reported.

    When you register again, unchanged files are skipped, moved files are recognised, and changed files are analysed
    again. Reported photos are safe on the disk; Ctrl-C keeps everything that is finished. The exit code is 1 if
    a PATH itself is missing or cannot be read, after everything else was done.
    """
    from faceall.gallery import Gallery

    if unnamed and person is not None:
        raise click.UsageError("--unnamed and --person exclude each other")
    share_memory_between_threads()
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
        outcome = _print_results(console, registration, {Path(os.path.abspath(path)) for path in paths})
        _print_summary(console, registration, outcome.statuses, time.monotonic() - start)
        if min_face is not None and (known := outcome.statuses["unchanged"]):
            console.remark(f"--min-face: {counted(known, 'photo')} registered before are not searched again")
        _print_names(console, registration)
        _print_skipped(console, registration)
        decided = {found.name for found in registration.folder_names if found.accepted}
        _print_doubts(console, opened, outcome.named | decided)
    if stop.is_set():
        raise click.exceptions.Exit(INTERRUPTED)
    if outcome.missing:
        lost = counted(outcome.missing, "photo")
        console.complain(f"faceall: {lost} disappeared during the registration; is the drive still connected?")
    if outcome.missing or outcome.unreadable or not set(outcome.statuses) - _UNUSABLE:
        raise click.exceptions.Exit(MISTAKE)


def _make_workers(workers: str) -> Any:
    """Return the workers that analyse photos; None for this process."""
    if workers == "auto":
        return workers
    if workers == "1":
        return None
    if workers == "ray":
        from faceall.gallery.registration.ray_workers import ray_workers

        return ray_workers()
    from faceall.gallery.registration.local_workers import local_workers

    if not workers.isdecimal():
        raise click.UsageError(f"--workers {workers}: expected a number of processes, auto or ray")
    return local_workers(int(workers))


@dataclass
class _Outcome:
    """What became of the files: how many have each status, the named people, and what went wrong.

    `missing` counts files found in folders that have gone; `unreadable` are paths of the command line.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    named: set[str] = field(default_factory=set)
    missing: int = 0
    unreadable: set[Path] = field(default_factory=set)


def _print_results(console: Console, registration: Registration, given: set[Path]) -> _Outcome:
    """Print the result of every file; `given` are the paths of the command line."""
    outcome = _Outcome()
    with console.progress(registration.total, "photos") as bar:
        for result in registration:
            outcome.statuses[result.status] += 1
            outcome.missing += result.missing and result.path not in given
            if result.status in _UNREADABLE and result.path in given:
                outcome.unreadable.add(result.path)
            if result.person is not None and result.status != "unchanged" and not result.undecided:
                outcome.named.add(result.person)
            console.record(result_record(result))
            if console.verbose or result.notes or result.status not in _DONE:
                console.line(result_line(result))
            bar.step()
    return outcome


def _print_doubts(console: Console, opened: Gallery, named: set[str]) -> None:
    """Report names that are similar, and people of this registration whose faces differ."""
    remark_on_names(console, opened)
    for mixed in opened.people.mixed(most=_MAX_CHECKED, among=named) if named and not console.quiet else ():
        console.remark(f"{mixed}; faceall people list NAME lists them")


def result_record(result: PhotoResult) -> dict[str, Any]:
    """Return the result of one file as JSON."""
    record: dict[str, Any] = {
        "path": str(result.path),
        "status": result.status,
        "faces": result.faces,
        "person": None if result.undecided else result.person,
    }
    if result.undecided:
        record["suggested"] = result.person
    if result.message is not None:
        record["message"] = result.message
    if result.notes:
        record["notes"] = [note.text for note in result.notes]
    return record


def result_line(result: PhotoResult) -> str:
    """Return the result of one file as a line."""
    name = shown(result.person) if result.person else None
    facts = [] if name is None else [f"suggested name {name}" if result.undecided else name]
    facts += [counted(result.faces, "face")] if result.faces > 1 else []
    message = "is not an image; for a video use faceall video --register" if _may_be_video(result) else result.message
    facts += [shown(message)] if message else [shown(note.text) for note in result.notes]
    return f"{result.status:<10} {short_path(result.path)}" + (f": {', '.join(facts)}" if facts else "")


def _may_be_video(result: PhotoResult) -> bool:
    """Return whether a file that is not an image has the name of a video."""
    from faceall.images.junk import junk_file

    is_video = junk_file(result.path.name, result.path.suffix.lower()) == "video"
    return is_video and (result.message or "").startswith("is not an image")


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
    for found in accepted:
        console.record({"path": str(found.folder), "status": "named", "person": found.name, **_counts(found)})
    if accepted and not console.quiet:
        listed = ", ".join(f"{shown(found.name)} ({found.photos})" for found in accepted[:_MAX_NAMES])
        more = f" and {len(accepted) - _MAX_NAMES:,} more" if len(accepted) > _MAX_NAMES else ""
        console.line(f"named after their folders: {listed}{more}")
    for found in refused:
        record = {"path": str(found.folder), "status": "left-unnamed", "suggested": found.name}
        console.record({**record, **_counts(found)})
        if not console.quiet:
            console.line(f"left unnamed: {_several(found)}")
    if refused and not console.quiet:
        console.remark("to name them after their folders all the same: faceall register --names-from folders PATH")
    for folder in registration.joint_folders:
        console.remark(
            f"left unnamed: {short_path(folder)} names two people; name their faces with faceall people name"
        )


def _counts(found: FolderName) -> dict[str, int]:
    """Return how many photos of a folder are new, and how many of its faces agree."""
    return {"photos": found.photos, "agreeing": found.agreement.agreeing, "compared": found.agreement.faces}


def _several(found: FolderName) -> str:
    """Return which folders show several people."""
    places = found.places or (found.folder,)
    listed = ", ".join(map(short_path, places[:_MAX_PLACES]))
    more = f" and {len(places) - _MAX_PLACES:,} more" if len(places) > _MAX_PLACES else ""
    return f"{listed}{more} {'shows' if len(places) == 1 else 'show'} several people ({found.agreement})"

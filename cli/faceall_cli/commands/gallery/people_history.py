"""`faceall people` commands of the history, the bin and suggestions."""

from __future__ import annotations

from pathlib import Path

import click

from faceall_cli.commands.gallery.people import open_existing, people
from faceall_cli.commands.gallery.receipts import proof_of, receipt_of
from faceall_cli.console import Console, counted, shown
from faceall_cli.options import gallery_option, output_options


@people.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many changes.")
@gallery_option
@output_options
def history(console: Console, limit: int, gallery: Path | None) -> None:
    """List the changes of people, the last one first."""
    from faceall.gallery import Gallery, describe_change

    with Gallery.open(gallery, read_only=True) as opened:
        found = opened.people.history(limit=limit)
    rows = [("change", "time", "by", "what")]
    for one in found.items:
        console.record({**vars(one), "text": describe_change(one)})
        undone = "" if one.undone is None else f" (undone by {one.undone})"
        rows.append((str(one.id), one.made, one.author, f"{describe_change(one)}{undone}"))
    console.table(rows, right=frozenset((0,)))
    if not found.total:
        console.remark("no changes yet")
    elif found.total > len(found.items):
        console.remark(f"{found.total - len(found.items)} older changes; --limit shows more")


@people.command()
@click.argument("change", metavar="[CHANGE]", type=int, required=False)
@gallery_option
@output_options
def undo(console: Console, change: int | None, gallery: Path | None) -> None:
    """Undo a change of people; by default the last one.

    `faceall people history` lists the changes with their numbers. Undoing an undo applies the change again.
    """
    from faceall.gallery import describe_change

    with open_existing(gallery) as opened:
        made = opened.people.undo(change)
    console.record({**vars(made), "text": describe_change(made)})
    console.line(describe_change(made))


@people.command()
@click.argument("name", metavar="NAME")
@gallery_option
@output_options
def discard(console: Console, name: str, gallery: Path | None) -> None:
    """Move a person with all their faces to the bin.

    `faceall people restore` brings them back, `faceall people erase` erases them. The bin keeps people for 30 days.
    """
    with open_existing(gallery) as opened:
        faces, days = opened.people.discard(name), opened.people.bin_days
    console.record({"person": name, "faces": faces})
    console.line(f"moved {shown(name)} to the bin: {counted(faces, 'face')}")
    if days is not None:
        console.remark(f"faceall people restore NAME brings them back within {counted(days, 'day')}")


@people.command()
@click.argument("name", metavar="NAME")
@gallery_option
@output_options
def restore(console: Console, name: str, gallery: Path | None) -> None:
    """Bring a person back from the bin, with all their faces."""
    with open_existing(gallery) as opened:
        opened.people.restore(name)
        person = opened.people.get(name)
    console.record({"person": person.name, "faces": person.faces})
    console.line(f"restored {shown(person.name)}: {counted(person.faces, 'face')}")


@people.command("bin")
@click.option("--days", type=click.IntRange(0, 36_500), help="Set how many days the bin keeps people.")
@gallery_option
@output_options
def list_bin(console: Console, days: int | None, gallery: Path | None) -> None:
    """List the deleted people in the bin."""
    with open_existing(gallery) as opened:
        if days is not None:
            opened.people.bin_days = days
        found, kept = opened.people.bin(), opened.people.bin_days
    for one in found:
        console.record(vars(one))
    console.table([("person", "deleted", "faces"), *((one.person, one.deleted, str(one.faces)) for one in found)])
    if kept is None:
        console.remark("a gallery in Milvus has no bin: faceall people remove removes for good")
        return
    console.remark(f"{'kept' if found else 'the bin is empty; people are kept'} for {counted(kept, 'day')}")


@people.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="All people in the bin.")
@gallery_option
@output_options
def erase(console: Console, names: tuple[str, ...], everyone: bool, gallery: Path | None) -> None:
    """Erase people in the bin for good, with every change in the history that names them."""
    if bool(names) == everyone:
        raise click.UsageError("give either names of people in the bin, or --all")
    with open_existing(gallery) as opened:
        removal = opened.people.erase(None if everyone else names)
    console.record({"people": list(names), "faces": removal.count, "receipt": receipt_of(removal)})
    console.line(f"erased {counted(removal.count, 'face')}{proof_of(removal)}")


@people.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@gallery_option
@output_options
def suggestions(console: Console, limit: int, gallery: Path | None) -> None:
    """List people and faces that may be the same person, and faces that may belong to someone else.

    Those whose answers correct most faces come first.

    `faceall people answer` answers them; each answer improves the order.
    """
    from faceall.gallery import Gallery

    with Gallery.open(gallery, read_only=True) as opened:
        found = opened.people.suggestions(limit=limit)
    rows: list[tuple[str, ...]] = [("suggestion", "certainty", "this", "is")]
    for one in found:
        fields = {"id": one.id, "effect": one.effect, "certainty": one.certainty, "distance": one.distance}
        console.record({**fields, "names": list(one.names), "within": one.within})
        names = (name or f"face {face}" for name, face in zip(one.names, one.faces, strict=True))
        rows.append((one.id, f"{one.certainty:.2f}", *names))
    console.table(rows, right=frozenset((1,)))
    if not found:
        console.remark("no suggestions")


@people.command()
@click.argument("suggestion", metavar="SUGGESTION")
@click.argument("said", metavar="yes|no|skip", type=click.Choice(["yes", "no", "skip"]))
@gallery_option
@output_options
def answer(console: Console, suggestion: str, said: str, gallery: Path | None) -> None:
    """Answer a suggestion.

    Yes merges or assigns, no is remembered for ever, skip moves the suggestion to the end. `faceall people undo` takes
    an answer back.
    """
    with open_existing(gallery) as opened:
        opened.people.answer(suggestion, said)  # type: ignore[arg-type]
    console.record({"id": suggestion, "answer": said})
    console.line(f"{suggestion}: {said}")

"""`faceall search`: find the most similar faces of the gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.console import Console, counted, rounded, short_path, shown
from faceall_cli.group import MISTAKE
from faceall_cli.images import Drawings, place, read_images
from faceall_cli.options import gallery_option, make_embedder, model_option, output_options
from faceall_cli.sources import sources_argument

if TYPE_CHECKING:
    from faceall.analysis import AnalysedImage
    from faceall.gallery import (
        Gallery,
        GalleryMatch,
        MatchThreshold,
        PersonMatch,
        PersonResult,
        SearchResult,
        StoredPhoto,
    )


@click.command()
@sources_argument("images", "IMG...", with_since=False)
@click.option(
    "-k",
    type=click.IntRange(min=1),
    help="How many matches per face, as a table. Default: one line with the nearest; with -v or --json 5.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 4),
    help="List only faces up to this squared distance, 0 to 4, all as matches. Default: the gallery's threshold.",
)
@click.option(
    "--by",
    type=click.Choice(["face", "person"]),
    default="face",
    show_default=True,
    help="What to list: the nearest faces, or the nearest people with their best and mean distance.",
)
@click.option(
    "--person", "people", multiple=True, metavar="NAME", help="Only among the faces of this person; may be repeated."
)
@click.option("--since", metavar="DATE", help="Only photos of the gallery made from that day on, YYYY-MM-DD.")
@click.option("--until", metavar="DATE", help="Only photos made up to that day.")
@click.option(
    "--explain",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write an image per query there: the query and its matches, with boxes, landmarks and distances.",
)
@model_option
@gallery_option
@output_options
def search(
    console: Console,
    images: tuple[Path, ...],
    k: int | None,
    threshold: float | None,
    by: str,
    people: tuple[str, ...],
    since: str | None,
    until: str | None,
    explain: Path | None,
    model: str | None,
    gallery: Path | None,
) -> None:
    """Find who is in an image: one line per face with the nearest person.

    The distance is squared Euclidean between unit vectors, 0 to 4; the similarity is their cosine. The threshold of a
    match follows from the target false-positive rate (1 % of searches for strangers; `faceall calibrate` changes it),
    the model and the people of the gallery. The distance to the second-best person shows how clear the result is.
    """
    from faceall.gallery import Gallery

    found = 0
    drawings = None if explain is None else Drawings(console, explain, images)
    thresholds: list[MatchThreshold | None] = []
    options: dict[str, Any] = {
        "k": k or 5,
        "threshold": threshold,
        "people": people or None,
        "since": since,
        "until": until,
    }
    dated = since is not None or until is not None
    with Gallery.open(gallery, embedder=make_embedder(model), read_only=True) as opened:
        if not len(opened):
            raise click.ClickException(f"{opened.place}: the gallery is empty; register photos first")
        opened.warm_up()
        for path, image in read_images(console, images):
            analysed = opened.analyse(image)
            results = _search(opened, analysed, by, **options)
            if not results:
                console.error(f"{path}: no face found", path)
            for number, result in enumerate(results, 1):
                if k is None and not console.verbose and not console.as_json:
                    console.line(_one_line(console, path, number if len(results) > 1 else None, result, dated=dated))
                    continue
                which = f", face {number} of {len(results)}" if len(results) > 1 else ""
                console.line(f"{shown(path)}{which} at {place(result.box)}:")
                _print_result(console, path, result, _photos_of(opened, result), dated=dated)
            if drawings is not None:
                drawings.write(path, opened.explain(analysed, **options))
            found += len(results)
            thresholds += [result.threshold for result in results]
    if not found:
        raise click.exceptions.Exit(MISTAKE)
    console.remark(_describe(thresholds[0]))


def _search(opened: Gallery, image: AnalysedImage, by: str, **options: Any) -> Sequence[SearchResult | PersonResult]:
    """Search a gallery for faces or for people."""
    return opened.search_people(image, **options) if by == "person" else opened.search(image, **options)


def _describe(threshold: MatchThreshold | None) -> str:
    """Describe the threshold that was used."""
    if threshold is None:
        return "no threshold: the model has none; faceall calibrate chooses one from your own people"
    if threshold.fpir is not None:
        people = counted(threshold.people or 0, "person", "people")
        return (
            f"match: distance up to {threshold.distance:.3f} (FPIR {threshold.fpir:.2%} with {people}); "
            f"possible: up to {threshold.possible:.3f}"
        )
    source = {"calibration": "calibrated on this gallery", "model": "from the model", "given": "from --threshold"}
    rate = threshold.false_accept_rate
    aim = "" if rate is None else f", for a false match rate of {rate:g} per comparison"
    return f"threshold {threshold.distance:g}, {source.get(threshold.origin, '')}{aim}"


def _one_line(
    console: Console, path: Path, number: int | None, result: SearchResult | PersonResult, *, dated: bool
) -> str:
    """Say who a face is, how sure that is, and how far the nearest face of the person is."""
    from faceall.gallery import SearchResult

    start = f"{shown(path)}{'' if number is None else f', face {number}'}: "
    found = result.matches if isinstance(result, SearchResult) else result.people
    if not found:
        return start + _no_one(result, dated=dated)
    best = found[0]
    name = shown(best.person or "a face without a name")
    if best.decision == "unknown":
        return start + console.styled("unknown", "red") + f" (nearest: {name}, distance {best.distance:.3f})"
    sure = f", {best.decision}" if best.decision else ""
    return start + console.styled(name, "green" if best.matches else "yellow") + f"{sure}, distance {best.distance:.3f}"


def _no_one(result: SearchResult | PersonResult, *, dated: bool) -> str:
    """Say why nothing was found; `dated` if only photos of some days were searched."""
    from faceall.gallery import PersonResult

    if dated:
        return "no one among the photos of these days"
    if isinstance(result, PersonResult) and (result.threshold is None or result.threshold.origin != "given"):
        return "no face of the gallery has a name; faceall cluster groups them"
    return "no one within the threshold"


def _photos_of(opened: Gallery, result: SearchResult | PersonResult) -> dict[int, StoredPhoto]:
    """Return the photos of the found faces by id."""
    from faceall.gallery import SearchResult

    return opened.photos.stored(match.photo_id for match in result.matches) if isinstance(result, SearchResult) else {}


def _print_result(
    console: Console,
    path: Path,
    result: SearchResult | PersonResult,
    photos: Mapping[int, StoredPhoto],
    *,
    dated: bool,
) -> None:
    """Print the matches of one face as a record and as a table."""
    from faceall.gallery import SearchResult

    record: dict[str, Any] = {"path": str(path), "box": rounded(result.box), "score": round(result.score, 6)}
    notes = [{"kind": note.kind, "message": note.text} for note in result.notes]
    threshold = None if result.threshold is None else result.threshold.to_json()
    if isinstance(result, SearchResult):
        matches = [{**_match_record(match), **_shot_record(photos.get(match.photo_id))} for match in result.matches]
        console.record(
            {**record, "matches": matches, "second": _second(result), "threshold": threshold, "notes": notes}
        )
        rows = _rows(result, photos)
    else:
        people = [{**_match_record(match), **_person_record(match)} for match in result.people]
        console.record({**record, "people": people, "threshold": threshold, "notes": notes})
        rows = _person_rows(result)
    if rows:
        console.table(rows, indent="  ", right=frozenset((1, 2, 3)))
    else:
        console.line(f"  {_no_one(result, dated=dated)}")
    if result.notes and result.threshold is not None and result.threshold.fpir is not None:
        console.line(f"  the face is {', '.join(map(str, result.notes))}: at most a possible match")
    if isinstance(result, SearchResult) and result.second is not None:
        console.line(f"  second-best person: {shown(result.second.person or '-')} at {result.second.distance:.3f}")


def _match_record(match: GalleryMatch | PersonMatch) -> dict[str, Any]:
    return {
        "person": match.person,
        "path": str(match.path),
        "distance": round(match.distance, 6),
        "similarity": round(match.similarity, 6),
        "face_id": match.face_id,
        "match": match.matches,
        "decision": match.decision,
        "judged_distance": match.judged_distance,
    }


def _shot_record(photo: StoredPhoto | None) -> dict[str, Any]:
    """Return when and with what a photo was taken, as JSON."""
    return {"taken": None if photo is None else photo.taken, "camera": None if photo is None else photo.camera}


def _person_record(match: PersonMatch) -> dict[str, Any]:
    return {"mean_distance": round(match.mean_distance, 6), "faces": match.faces}


def _second(result: SearchResult) -> dict[str, Any] | None:
    """Return the second-best person as JSON."""
    second = result.second
    if second is None:
        return None
    values = {"distance": round(second.distance, 6), "similarity": round(second.similarity, 6)}
    return {"person": second.person, **values, "face_id": second.face_id}


def _rows(result: SearchResult, photos: Mapping[int, StoredPhoto]) -> list[tuple[str, ...]]:
    """Return the table of matches, empty if there are none; with verdicts only if there is a threshold."""
    rows: list[tuple[str, ...]] = [("person", "distance", "similarity", "face", "verdict", "photo")]
    for match in result.matches:
        numbers = (f"{match.distance:.3f}", f"{match.similarity:.3f}", str(match.face_id))
        photo = photos.get(match.photo_id)
        taken = "" if photo is None or photo.taken is None else f" ({photo.taken[:10]})"
        rows.append((match.person or "-", *numbers, _verdict(match), short_path(match.path) + taken))
    return _with_verdicts(rows, result.threshold)


def _person_rows(result: PersonResult) -> list[tuple[str, ...]]:
    """Return the table of people, in the same way."""
    rows: list[tuple[str, ...]] = [("person", "nearest", "mean", "faces", "verdict", "photo")]
    for match in result.people:
        numbers = (f"{match.distance:.3f}", f"{match.mean_distance:.3f}", str(match.faces))
        rows.append((match.person, *numbers, _verdict(match), short_path(match.path)))
    return _with_verdicts(rows, result.threshold)


def _verdict(match: GalleryMatch | PersonMatch) -> str:
    """Return the decision in one word."""
    return match.decision or "-"


def _with_verdicts(rows: list[tuple[str, ...]], threshold: MatchThreshold | None) -> list[tuple[str, ...]]:
    if len(rows) == 1:
        return []
    return rows if threshold else [(*row[:4], row[5]) for row in rows]

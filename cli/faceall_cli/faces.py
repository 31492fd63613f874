"""Questions about pictures: search, detect, embed, compare."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.console import Console, counted, rounded, short_path, shown
from faceall_cli.group import MISTAKE
from faceall_cli.options import gallery_option, model_option, output_options, pictures_argument
from faceall_cli.photos import make_embedder

if TYPE_CHECKING:
    from faceall.gallery import MatchThreshold, SearchResult
    from faceall.types import Faces, Image


@click.command()
@pictures_argument
@click.option("-k", type=click.IntRange(min=1), default=5, show_default=True, help="How many matches per face.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 4),
    help="The largest squared distance (0 same, 4 opposite) of a match. Default: show all.",
)
@model_option
@gallery_option
@output_options
def search(
    console: Console,
    images: tuple[Path, ...],
    k: int,
    threshold: float | None,
    model: str | None,
    gallery: Path | None,
) -> None:
    """Say who is on pictures: the most similar faces of the gallery for every face.

    The distance is squared Euclidean between unit vectors, 0 to 4; the similarity is their cosine. A match lies within
    the gallery's threshold (`faceall calibrate` chooses one) or else the model's; the distance to the second-best
    person tells how sure the first is.
    """
    from faceall.gallery import Gallery

    found = 0
    judged: list[MatchThreshold | None] = []
    with Gallery.open(gallery, embedder=make_embedder(model), read_only=True) as opened:
        if not len(opened):
            raise click.ClickException(f"{opened.folder}: the gallery is empty; register photos first")
        opened.warm_up()
        for path, image in read_pictures(console, images):
            results = opened.search(image, k=k, threshold=threshold)
            if not results:
                console.complain(f"faceall: {shown(path)}: no face found")
            for number, result in enumerate(results, 1):
                _print_result(console, path, number, len(results), result)
            found += len(results)
            judged += [result.threshold for result in results]
    if not found:
        raise click.exceptions.Exit(MISTAKE)
    console.remark(_explained(judged[0]))


def _explained(threshold: MatchThreshold | None) -> str:
    """What the matches were judged by."""
    if threshold is None:
        return "no threshold says who matches: the model has none; faceall calibrate chooses one on your own people"
    source = {"calibration": "calibrated on this gallery", "model": "the model's own", "given": "as given"}
    rate = threshold.false_accept_rate
    aim = "" if rate is None else f", for a false-accept rate of {rate:g}"
    return f"threshold {threshold.distance:g}, {source[threshold.origin]}{aim}"


def read_pictures(console: Console, paths: tuple[Path, ...]) -> Iterator[tuple[Path, Image]]:
    """Every picture at the paths with its pixels; those that cannot be read get a line on stderr."""
    from faceall.errors import ImageError
    from faceall.images import find_images, read_image

    files = find_images(paths, on_error=lambda error: console.complain(f"faceall: {shown(str(error))}"))
    if not files:
        console.complain("faceall: no picture found there")
    with console.progress(len(files), "pictures") as bar:
        for file in files:
            try:
                image = read_image(file)
            except ImageError as error:
                console.complain(f"faceall: {shown(str(error))}")
            else:
                yield file, image
            bar.step()


def _print_result(console: Console, path: Path, number: int, count: int, result: SearchResult) -> None:
    matches = [
        {
            "person": match.person,
            "path": str(match.path),
            "distance": round(match.distance, 6),
            "similarity": round(match.similarity, 6),
            "face_id": match.face_id,
            "match": match.matches,
        }
        for match in result.matches
    ]
    console.record(
        {
            "query": str(path),
            "box": rounded(result.box),
            "score": round(result.score, 6),
            "matches": matches,
            "second": _second(result),
            "threshold": None if result.threshold is None else asdict(result.threshold),
        }
    )
    which = f", face {number} of {count}" if count > 1 else ""
    console.line(f"{shown(path)}{which} at {_place(result.box)}:")
    if matches:
        console.table(_rows(result), indent="  ", right=frozenset((1, 2, 3)))
    else:
        console.line("  nobody within the threshold")
    if result.second is not None:
        console.line(f"  second-best person: {shown(result.second.person or '-')} at {result.second.distance:.3f}")


def _second(result: SearchResult) -> dict[str, Any] | None:
    """The second-best person as JSON."""
    second = result.second
    if second is None:
        return None
    values = {"distance": round(second.distance, 6), "similarity": round(second.similarity, 6)}
    return {"person": second.person, **values, "face_id": second.face_id}


def _rows(result: SearchResult) -> list[tuple[str, ...]]:
    """The table of matches; the verdict stands there only where there is a threshold."""
    rows: list[tuple[str, ...]] = [("person", "distance", "similarity", "face", "verdict", "photo")]
    for match in result.matches:
        numbers = (f"{match.distance:.3f}", f"{match.similarity:.3f}", str(match.face_id))
        verdict = "match" if match.matches else "no match"
        rows.append((match.person or "-", *numbers, verdict, short_path(match.path)))
    return rows if result.threshold else [(*row[:4], row[5]) for row in rows]


def _place(box: Any) -> str:
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    return f"{x0},{y0} to {x1},{y1}"


@click.command()
@pictures_argument
@click.option(
    "--draw",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the pictures there, with boxes and landmarks drawn in.",
)
@click.option(
    "--min-face", type=click.IntRange(min=12), default=20, show_default=True, help="Smallest face, in pixels."
)
@output_options
def detect(console: Console, images: tuple[Path, ...], draw: Path | None, min_face: int) -> None:
    """Find the faces on pictures: box, score and landmarks of each."""
    from faceall.detect import Detector

    detector = Detector(min_face=min_face)
    total = 0
    taken = _files_of(images)
    for path, image in read_pictures(console, images):
        faces = detector(image)
        total += len(faces)
        _print_faces(console, path, image, faces)
        if draw is not None:
            _draw(console, draw, path, image, faces, taken)
    if not total:
        console.complain("faceall: no face found")
        raise click.exceptions.Exit(MISTAKE)


def _print_faces(console: Console, path: Path, image: Image, faces: Faces) -> None:
    listed = [
        {
            "box": rounded(face.box),
            "score": round(face.score, 6),
            "landmarks": [rounded(point) for point in face.landmarks],
        }
        for face in faces
    ]
    console.record({"path": str(path), "width": image.shape[1], "height": image.shape[0], "faces": listed})
    console.line(f"{shown(path)}: {counted(len(faces), 'face')}")
    for face in faces:
        console.line(f"  {_place(face.box)}  score {face.score:.3f}")


def _files_of(images: tuple[Path, ...]) -> set[Path]:
    """The files that are read, which no drawing may replace."""
    from faceall.images import find_images

    return {path.resolve() for path in find_images(images, on_error=lambda error: None)}


def _draw(console: Console, folder: Path, path: Path, image: Image, faces: Faces, taken: set[Path]) -> None:
    """Write a picture with its faces drawn in, under a name that is not `taken`; others get a number."""
    from faceall.errors import ImageError
    from faceall.images import draw_faces, write_image

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder}: cannot be made ({error.strerror})") from error
    names = (folder / f"{path.stem}{f'-{number}' if number > 1 else ''}.jpg" for number in itertools.count(1))
    target = next(name for name in names if name.resolve() not in taken)
    taken.add(target.resolve())
    write_image(target, draw_faces(image, faces))
    console.remark(f"wrote {shown(target)}")


@click.command()
@pictures_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE.npy",
    help="The file for the vectors: float32, one row of unit length per face.",
)
@model_option
@output_options
def embed(console: Console, images: tuple[Path, ...], output: Path, model: str | None) -> None:
    """Write the vectors of all faces on pictures to a NumPy file, and print which row is which face."""
    import numpy as np

    from faceall.gallery import Analyser

    if not output.parent.is_dir():
        raise click.ClickException(f"{output}: cannot be written, as there is no folder {output.parent}")
    analyser = Analyser(embedder=make_embedder(model))
    rows: list[Any] = []
    for path, image in read_pictures(console, images):
        faces, vectors = analyser.find(image)
        for face, vector in zip(faces, vectors, strict=True):
            console.record(
                {"row": len(rows), "path": str(path), "box": rounded(face.box), "score": round(face.score, 6)}
            )
            console.line(f"{len(rows):>5}  {shown(path)} at {_place(face.box)}")
            rows.append(vector)
        if not len(faces):
            console.complain(f"faceall: {shown(path)}: no face found")
    if not rows:
        raise click.ClickException(f"no face to embed; {output} is not written")
    _save(output, np.stack(rows))
    console.remark(f"wrote {shown(output)}: {len(rows)} x {len(rows[0])} float32")


def _save(path: Path, array: Any) -> None:
    """Write an array whole or not at all."""
    import io

    import numpy as np

    from faceall_cli.files import write_whole

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(path, buffer.getvalue())


@click.command()
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@model_option
@output_options
def compare(console: Console, first: Path, second: Path, model: str | None) -> None:
    """Compare the chief faces of two pictures: are A and B the same person?"""
    from faceall.gallery import Analyser, compare_pictures

    analyser = Analyser(embedder=make_embedder(model))
    found = compare_pictures(first, second, analyser)
    if found is None:
        raise click.ClickException("one of the two pictures shows no face")
    limit = analyser.embedder.model.manifest.match_threshold
    verdict = {} if limit is None else {"same": found.distance <= limit, "threshold": limit}
    console.record(
        {
            "a": str(first),
            "b": str(second),
            "distance": round(found.distance, 6),
            "similarity": round(found.similarity, 6),
            **verdict,
        }
    )
    words = "" if limit is None else f": {'the same person' if verdict['same'] else 'two people'} (limit {limit:g})"
    console.line(f"distance {found.distance:.3f}, similarity {found.similarity:.3f}{words}")

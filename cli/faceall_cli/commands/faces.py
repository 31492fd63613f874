"""`faceall detect`, `embed` and `compare`: commands on images, without a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceall_cli.console import Console, counted, rounded, shown
from faceall_cli.group import MISTAKE
from faceall_cli.images import Drawings, place, read_images
from faceall_cli.options import detector_option, make_embedder, min_face_option, model_option, output_options
from faceall_cli.records import threshold_of
from faceall_cli.sources import sources_argument

if TYPE_CHECKING:
    from faceall.analysis import Analyser
    from faceall.types import Faces, Image


@click.command()
@sources_argument("images", "IMG...")
@click.option(
    "--draw",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write copies of the images there, with numbered boxes and landmarks.",
)
@min_face_option
@detector_option
@output_options
def detect(
    console: Console, images: tuple[Path, ...], draw: Path | None, min_face: int | None, detector: str | None
) -> None:
    """Find the faces in images: boxes, scores and landmarks."""
    from faceall.detect import Detector
    from faceall.images import draw_faces

    finder = Detector(detector or "mtcnn", min_face=min_face)
    images_read = total = 0
    drawings = None if draw is None else Drawings(console, draw, images)
    for path, image in read_images(console, images):
        faces = finder(image)
        images_read, total = images_read + 1, total + len(faces)
        _print_faces(console, path, image, faces, finder.smallest_face(image.shape[1], image.shape[0]))
        if drawings is not None:
            drawings.write(path, draw_faces(image, faces, [str(number) for number in range(1, len(faces) + 1)]))
    if not total:
        console.complain(f"faceall: {'no face found' if images_read else 'no image could be read'}")
        raise click.exceptions.Exit(MISTAKE)


def _print_faces(console: Console, path: Path, image: Image, faces: Faces, smallest: float) -> None:
    listed = [
        {
            "box": rounded(face.box),
            "score": round(face.score, 6),
            "landmarks": [rounded(point) for point in face.landmarks],
        }
        for face in faces
    ]
    size = {"width": image.shape[1], "height": image.shape[0], "smallest_face": round(smallest, 1)}
    console.record({"path": str(path), **size, "faces": listed})
    console.line(f"{shown(path)}: {counted(len(faces), 'face')}")
    for number, face in enumerate(faces, 1):
        console.line(f"  {number}  {place(face.box)}  score {face.score:.3f}")


@click.command()
@sources_argument("images", "IMG...")
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
    """Write the vectors of all faces in images to a NumPy file.

    Prints which row belongs to which face.
    """
    import numpy as np

    from faceall.analysis import Analyser

    if not output.parent.is_dir():
        raise click.ClickException(f"{output}: cannot be written: the folder {output.parent} does not exist")
    analyser = Analyser(embedder=make_embedder(model))
    rows: list[Any] = []
    for path, image in read_images(console, images):
        faces, vectors = analyser.find(image)
        for face, vector in zip(faces, vectors, strict=True):
            console.record(
                {"path": str(path), "row": len(rows), "box": rounded(face.box), "score": round(face.score, 6)}
            )
            console.line(f"{len(rows):>5}  {shown(path)} at {place(face.box)}")
            rows.append(vector)
        if not len(faces):
            console.error(f"{path}: no face found", path)
    if not rows:
        raise click.ClickException(f"no face to embed; {output} is not written")
    _save(output, np.stack(rows))
    console.remark(f"wrote {shown(output)}: {len(rows)} x {len(rows[0])} float32")


def _save(path: Path, array: Any) -> None:
    """Write an array atomically."""
    import io

    import numpy as np

    from faceall_cli.files import write_whole

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(path, buffer.getvalue())


def _names_without_face(analyser: Analyser, paths: tuple[Path, Path]) -> str:
    """Name the images without a face, with the verb."""
    from faceall.images import read_image

    without = [shown(path) for path in paths if not len(analyser.detector.detect_batch([read_image(path)])[0])]
    return " and ".join(without) + (" shows" if len(without) == 1 else " show")


@click.command()
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@model_option
@output_options
def compare(console: Console, first: Path, second: Path, model: str | None) -> None:
    """Compare the primary faces of the images A and B."""
    from faceall.analysis import Analyser, compare_images
    from faceall.analysis.open_set import pair_threshold_of
    from faceall.gallery.naming.paths import refuse_urls

    refuse_urls((first, second))
    analyser = Analyser(embedder=make_embedder(model))
    found = compare_images(first, second, analyser)
    if found is None:
        raise click.ClickException(f"{_names_without_face(analyser, (first, second))} no face, so there is no distance")
    limit, rate = pair_threshold_of(analyser.embedder.model.manifest) or (None, None)
    same = None if limit is None else found.distance <= limit
    console.record(
        {
            "path": str(first),
            "other_path": str(second),
            "distance": round(found.distance, 6),
            "similarity": round(found.similarity, 6),
            "match": same,
            "threshold": None if limit is None else threshold_of(limit, "model", rate),
        }
    )
    aim = "" if rate is None else f", false match rate {rate:g} per comparison"
    words = "" if limit is None else f": {'the same person' if same else 'two people'} (limit {limit:.4g}{aim})"
    console.line(f"distance {found.distance:.3f}, similarity {found.similarity:.3f}{words}")

"""`faceall classifier`: train a classifier on people, and apply it to images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall_cli.commands.gallery.people import open_existing
from faceall_cli.console import Console, counted, rounded, shown
from faceall_cli.group import MISTAKE
from faceall_cli.images import place, read_images
from faceall_cli.options import gallery_option, make_embedder, model_option, output_options
from faceall_cli.sources import sources_argument

if TYPE_CHECKING:
    from faceall.classify import Classifier, LabelledVectors, Prediction
    from faceall.embed import Embedder


@click.group()
def classifier() -> None:
    """Train a linear classifier on people, and name the faces in images with it."""


@classifier.command()
@click.argument("output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Train on this folder, which has one folder per person, instead of the gallery.",
)
@click.option(
    "--kind",
    type=click.Choice(("svm", "logistic")),
    default="svm",
    show_default=True,
    help="A linear support vector machine, or logistic regression, which takes longer.",
)
@click.option(
    "--fpir",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.01,
    show_default=True,
    help="Target FPIR: the share of strangers that get a name.",
)
@click.option(
    "--min-faces",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Leave out people with fewer faces.",
)
@model_option
@gallery_option
@output_options
def train(
    console: Console,
    output: Path,
    folder: Path | None,
    kind: str,
    fpir: float,
    min_faces: int,
    model: str | None,
    gallery: Path | None,
) -> None:
    """Train a classifier on the named people of the gallery, or on a folder, and write it to FILE.

    Parts of the people are left out in turn; their faces, classified as the others, are the strangers from whose scores
    the reject option is calibrated. With fewer than 20 people that is not possible: then no answer is more than
    `possible`. Needs scikit-learn: pip install "faceall[classifier]".
    """
    from faceall.classify import Classifier

    data = _labelled(console, folder, model, gallery)
    made = Classifier.train(data, kind=kind, fpir=fpir, fewest_faces=min_faces)  # type: ignore[arg-type]
    try:
        made.save(output)
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written ({error.strerror})") from error
    left_out = len(data.names) - len(made.names)
    console.record(
        {
            "path": str(output),
            "kind": made.kind,
            "people": len(made.names),
            "faces": made.faces,
            "left_out": left_out,
            "model": made.model,
            "fpir": made.fpir,
            "match_score": made.match,
            "possible_score": made.possible,
        }
    )
    console.line(f"{shown(output)}: {counted(len(made.names), 'person', 'people')}, {counted(made.faces, 'face')}")
    if left_out:
        console.remark(f"{counted(left_out, 'person', 'people')} with fewer than {counted(min_faces, 'face')} left out")
    if made.match is None:
        console.complain(
            "faceall: fewer than 20 people: it cannot reject strangers, so no answer is more than possible"
        )


def _labelled(console: Console, folder: Path | None, model: str | None, gallery: Path | None) -> LabelledVectors:
    """Return the vectors to train on."""
    from faceall.classify import vectors_of_folder, vectors_of_gallery
    from faceall.detect import Detector
    from faceall.embed import Embedder

    if folder is None:
        if model is not None:
            raise click.UsageError("--model: only with --folder; a gallery has its model", click.get_current_context())
        with open_existing(gallery) as opened:
            return vectors_of_gallery(opened)
    with console.progress(0, "images") as bar:
        found = vectors_of_folder(folder, make_embedder(model) or Embedder(), Detector(), progress=bar.move_to)
    for image in found.unusable:
        console.complain(f"faceall: {shown(image.message)}")
    return found


@classifier.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@sources_argument("images", "IMG...")
@output_options
def apply(console: Console, file: Path, images: tuple[Path, ...]) -> None:
    """Name the faces in images with the classifier in FILE: match, possible or unknown.

    The model that made the classifier's vectors must be installed.
    """
    from faceall.analysis import Analyser, notes_on
    from faceall.classify import Classifier
    from faceall.detect import Detector

    loaded = Classifier.load(file)
    analyser = Analyser(Detector(), _embedder_of(loaded))
    found = 0
    for path, image in read_images(console, images):
        faces, vectors = analyser.find(image)
        if not len(faces):
            console.error(f"{path}: no face found", path)
            continue
        notes = [notes_on(image, face) for face in faces]
        predictions = loaded.classify(vectors, poor=[bool(note) for note in notes])
        for face, prediction, note in zip(faces, predictions, notes, strict=True):
            record = {"path": str(path), "box": rounded(face.box), "notes": [str(one) for one in note]}
            console.record(record | _as_record(prediction))
            where = f" at {place(face.box)}" if len(predictions) > 1 else ""
            console.line(f"{shown(path)}{where}: {_text(console, prediction)}")
        found += len(predictions)
    if not found:
        raise click.exceptions.Exit(MISTAKE)


def _embedder_of(loaded: Classifier) -> Embedder:
    """Return the embedder whose vectors the classifier was trained on."""
    from faceall.analysis.analyser import model_of_label
    from faceall.embed import Embedder
    from faceall.errors import ModelNotFoundError

    model = model_of_label(loaded.model)
    if model is None:
        raise ModelNotFoundError(f"the classifier was trained with {loaded.model}, which is not installed")
    return Embedder(model.path)


def _as_record(prediction: Prediction) -> dict[str, object]:
    """Return a prediction as JSON values."""
    return {
        "person": prediction.person,
        "score": round(prediction.score, 6),
        "decision": prediction.decision,
        "second": {"person": prediction.second, "score": round(prediction.second_score, 6)},
    }


def _text(console: Console, prediction: Prediction) -> str:
    """Say who a face is, and how sure that is."""
    name, score = shown(prediction.person), f"score {prediction.score:.3f}"
    if prediction.decision == "unknown":
        return f"{console.styled('unknown', 'red')} (nearest: {name}, {score})"
    colour = "green" if prediction.decision == "match" else "yellow"
    return f"{console.styled(name, colour)}, {prediction.decision}, {score}"

"""Make a model folder of an embedder that Caffe's formats cannot express: it runs as its file has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceall.caffe import get_engine
from faceall.convert import SourceOptions
from faceall.convert.runnable import CLOSED_TARGETS, RunnableFile, open_runnable, runnable_contents
from faceall.embed.nets import compile_model
from faceall.errors import FileOnlyError, ModelError
from faceall.models import ModelFolder, write_model_folder

_TOLERANCE = 1e-3
"""How much a unit vector may change with the number of images that run at once."""


def write_as_file(error: FileOnlyError, options: SourceOptions, folder: Path) -> tuple[ModelFolder, RunnableFile]:
    """Write the model folder of a file that cannot be converted.

    Parameters
    ----------
    error : FileOnlyError
        Names the file.
    options : SourceOptions
        How it is read.
    folder : Path
        An empty folder; the model is written to `model` in it.

    Returns
    -------
    ModelFolder, RunnableFile
        The model, and what is known about its input.

    Raises
    ------
    ConvertError
        If it is not an embedder of images, or the options do not suit it.
    ModelError
        If it gives other vectors for several images at once.
    """
    file = open_runnable(error.path, error.kind, options)
    made = folder / "files"
    made.mkdir()
    model = write_model_folder(folder / "model", file.manifest, runnable_contents(file, made))
    _require_independent_images(model)
    return model, file


def closed(error: FileOnlyError, model: ModelFolder) -> str:
    """Return one sentence: how the model runs, and which targets of a conversion are closed to it."""
    return f"runs as {model.manifest.net_file}; the targets {CLOSED_TARGETS} are closed to it: {error.reason}"


def _require_independent_images(model: ModelFolder) -> None:
    """Raise ModelError if the vector of an image depends on the images beside it."""
    width, height = model.manifest.input_size
    blob, output = model.manifest.input_blob, model.manifest.output_blob
    images = np.random.default_rng(0).uniform(0, 1, (3, 3, height, width)).astype(np.float32)
    run = compile_model(model, get_engine())
    together = run({blob: images})[output]
    alone = np.concatenate([run({blob: images[number : number + 1]})[output] for number in range(len(images))])
    lengths = np.linalg.norm(alone, axis=1, keepdims=True)
    if together.shape != alone.shape or not np.all(np.abs(together - alone) <= _TOLERANCE * np.maximum(lengths, 1e-12)):
        raise ModelError(
            f"{model.manifest.source}: the net gives other vectors for several images at once; it is not installed"
        )

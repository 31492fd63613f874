"""The interfaces that a detector and an embedder of your own implement, to be used by `Gallery.open`.

A `FaceDetector` has `detect_batch(images) -> list[Faces]`. A `FaceEmbedder` has `size`, `model`, `crop(image, faces)`
and `embed_crops(crops)`; `describe_embedder` makes its `model`. `examples/own_detector.py` and
`examples/own_embedder.py` are complete.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from faceall.analysis.analyser import FaceDetector, FaceEmbedder
from faceall.models import Manifest, ModelFolder

__all__ = ["FaceDetector", "FaceEmbedder", "describe_embedder"]


def describe_embedder(
    name: str,
    size: int,
    *,
    input_size: tuple[int, int] = (112, 112),
    match_threshold: float | None = None,
    version: str = "1",
) -> ModelFolder:
    """Return the description of an embedder that has no model folder.

    A gallery remembers it and refuses vectors of an embedder with another name or version.

    Parameters
    ----------
    name : str
        Letters, digits, dot, dash and underscore.
    size : int
        Dimension of the vectors.
    input_size : tuple of 2 int
        Width and height of the crops, in pixels.
    match_threshold : float, optional
        The largest squared L2 distance of two faces of one person, 0 to 4.
    version : str
        Change it whenever the same crop gives another vector.

    Returns
    -------
    ModelFolder
        For the attribute `model` of a `FaceEmbedder`. It has no files.

    Raises
    ------
    ModelError
        If a value is out of range.
    """
    identity = hashlib.sha256(f"{name}\n{size}\n{version}".encode()).hexdigest()
    manifest = Manifest(
        name=name,
        embedding_size=size,
        input_size=input_size,
        input_blob="data",
        output_blob="embeddings",
        match_threshold=match_threshold,
        files={"code": identity},
    )
    return ModelFolder(Path(name), manifest)

"""The task of a worker: read photos, find faces and embed them, without a gallery."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from faceall.analysis import Analyser, FaceDetector, FaceEmbedder, label_of
from faceall.errors import FaceallError, ModelNotFoundError
from faceall.gallery.naming import Candidate
from faceall.gallery.registration.batch_analysis import BatchAnalyzer, Timings, batches
from faceall.gallery.registration.scan import read_file
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.version import __version__

Answer: TypeAlias = list[ScannedFile] | FaceallError
"""The analysed files of a worker, without their images; an error if it cannot analyse any."""

Make: TypeAlias = Callable[[], tuple[FaceDetector | None, FaceEmbedder | None]]
"""Makes the detector and the embedder of a worker; None for a default."""


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker analyses photos with.

    Attributes
    ----------
    version : str
        Of faceall; another version may give other results.
    label : str
        The model, as galleries remember it.
    folder : Path
        Where the model is on the gallery's machine; another machine searches for one with the same label.
    make : callable or None
        Makes the detector and the embedder instead of the defaults.
    detector : str or None
        Name of the default detector; None for MTCNN.
    min_face : float or None
        Smallest face in pixels; None lets it follow the photo.
    """

    version: str
    label: str
    folder: Path
    make: Make | None = None
    detector: str | None = None
    min_face: float | None = None


def setup_for(analyser: Analyser, make: Make | None) -> WorkerSetup:
    """Return what workers need to give the same results as `analyser`.

    Raises FaceallError if it has a custom detector, which cannot be sent to workers without `make`.

    Raises
    ------
    FaceallError
        If the detector is not the default one and `make` is missing.
    """
    if make is None and analyser.has_own_detector:
        raise FaceallError("workers use the default detector: pass `make` for another one")
    folder = analyser.embedder.model.path.absolute()
    return WorkerSetup(__version__, analyser.model_label, folder, make, analyser.detector_name(), analyser.min_face)


def analyse_files(setup: WorkerSetup, candidates: Sequence[Candidate]) -> Answer:
    """Read and analyse some photos; an error is returned, not raised, so that it survives pickling."""
    try:
        batch_analyzer = BatchAnalyzer(_analyser(setup), Timings())
        reduction = batch_analyzer.reduction
        for batch in batches((read_file(one, reduction=reduction) for one in candidates), Timings()):
            batch_analyzer.analyse(batch)
        batch_analyzer.embed(everything=True)
    except FaceallError as error:
        return FaceallError(f"a worker on {socket.gethostname()}: {error}")
    return list(batch_analyzer.files)


_current: tuple[WorkerSetup, Analyser] | None = None
"""The analyser of this worker process, with its setup."""


def _analyser(setup: WorkerSetup) -> Analyser:
    global _current
    if _current is None or _current[0] != setup:
        _current = setup, _make_analyser(setup)
    return _current[1]


def _make_analyser(setup: WorkerSetup) -> Analyser:
    """Make the analyser. Raises FaceallError if this machine would give other results than the gallery's."""
    if setup.version != __version__:
        raise FaceallError(
            f"runs faceall {__version__}, the gallery's machine {setup.version}; install the same on both"
        )
    detector, embedder = setup.make() if setup.make else (None, None)
    made = Analyser(detector, embedder or _embedder(setup), detector_name=lambda: setup.detector)
    made.limit_faces(setup.min_face)
    if made.model_label != setup.label:
        raise ModelNotFoundError(f"would embed with {made.model_label}, the gallery with {setup.label}")
    return made


def _embedder(setup: WorkerSetup) -> FaceEmbedder:
    from faceall.embed import Embedder
    from faceall.models import installed_models

    if setup.folder.is_dir():
        return Embedder(setup.folder)
    found = next((model for model in installed_models("embedder") if label_of(model) == setup.label), None)
    if found is None:
        raise ModelNotFoundError(f"the model {setup.label} is not installed there; import it, or copy {setup.folder}")
    return Embedder(found.path)

"""What a worker of a registration does: read photos, find faces, embed them. It knows no gallery."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from faceall.analysis.analyser import Analyser, FaceDetector, FaceEmbedder, label_of
from faceall.errors import FaceallError, ModelNotFoundError
from faceall.gallery.records import Findings
from faceall.gallery.registration.batch_analysis import Looker, Timings, batches
from faceall.gallery.registration.naming import Candidate
from faceall.gallery.registration.reader import Arrival, read_file
from faceall.version import __version__

Look: TypeAlias = tuple[Arrival, Findings | None]
"""A file without its pixels, and what was found on it; None where there was nothing to look at."""

Answer: TypeAlias = list[Look] | FaceallError
"""What a worker says of some photos; an error where it cannot look at any."""

Make: TypeAlias = Callable[[], tuple[FaceDetector | None, FaceEmbedder | None]]
"""Makes what a worker finds and embeds faces with; None for a default."""


@dataclass(frozen=True)
class Kit:
    """What a worker is to look with.

    version  of faceall: another one may see other things
    label    of the model, as galleries remember it
    folder   where the model lies on the owner's machine; elsewhere one with the same label is looked for
    make     makes the detector and the embedder in place of the defaults
    detector  name of the default detector; None for MTCNN
    """

    version: str
    label: str
    folder: Path
    make: Make | None = None
    detector: str | None = None


def kit_for(analyser: Analyser, make: Make | None) -> Kit:
    """What workers need to see what `analyser` sees.

    Raises FaceallError where it has a detector of its own, which cannot be told to workers without `make`.
    """
    if make is None and analyser.has_own_detector:
        raise FaceallError("workers find faces with the default detector: give them `make` for another one")
    return Kit(
        __version__, analyser.model_label, analyser.embedder.model.path.absolute(), make, analyser.detector_name()
    )


def look_at(kit: Kit, candidates: Sequence[Candidate]) -> Answer:
    """Read some photos and look at them; an error is handed back, not raised, so that it comes through whole."""
    try:
        looker = Looker(_analyser(kit), Timings())
        for batch in batches(map(read_file, candidates), Timings()):
            looker.look(batch)
        looker.embed(everything=True)
    except FaceallError as error:
        return FaceallError(f"a worker on {socket.gethostname()}: {error}")
    return [(job.arrival, None if job.arrival.result else job.findings()) for job in looker.jobs]


_held: tuple[Kit, Analyser] | None = None
"""In a worker: what it looks with."""


def _analyser(kit: Kit) -> Analyser:
    global _held
    if _held is None or _held[0] != kit:
        _held = kit, _equip(kit)
    return _held[1]


def _equip(kit: Kit) -> Analyser:
    """Raises FaceallError where this machine cannot see what the owner would."""
    if kit.version != __version__:
        raise FaceallError(f"runs faceall {__version__}, the gallery's machine {kit.version}; install the same on both")
    detector, embedder = kit.make() if kit.make else (None, None)
    made = Analyser(detector, embedder or _embedder(kit), detector_name=lambda: kit.detector)
    if made.model_label != kit.label:
        raise ModelNotFoundError(f"would embed with {made.model_label}, the gallery with {kit.label}")
    return made


def _embedder(kit: Kit) -> FaceEmbedder:
    from faceall.embed import Embedder
    from faceall.models import installed_models

    if kit.folder.is_dir():
        return Embedder(kit.folder)
    found = next((model for model in installed_models("embedder") if label_of(model) == kit.label), None)
    if found is None:
        raise ModelNotFoundError(f"the model {kit.label} is not installed there; import it, or copy {kit.folder}")
    return Embedder(found.path)

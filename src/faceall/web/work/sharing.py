"""A gallery whose model is loaded once and shared by many threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from faceall.analysis.analyser import Analyser, FaceEmbedder
from faceall.gallery import Gallery
from faceall.web.work.batching import PLACES, Worker


@contextmanager
def open_shared(
    folder: str | os.PathLike[str] | None,
    *,
    embedder: FaceEmbedder | None = None,
    places: int = PLACES,
    observe: Callable[[str, int], None] = lambda net, size: None,
) -> Iterator[tuple[Gallery, Worker]]:
    """Open the gallery in a folder, or make one there, and a worker that looks at its pictures.

    embedder  by default the one that made the gallery's vectors, where it is installed
    places, observe  see `Worker`

    Raises what `Gallery.open` raises.
    """
    with Gallery.open(folder) as gallery:
        remembered = gallery.model
    worker = Worker(Analyser(None, embedder, remembered=lambda: remembered), places=places, observe=observe)
    try:
        with Gallery.open(folder, detector=worker.detector, embedder=worker.embedder) as gallery:
            yield gallery, worker
    finally:
        worker.close(0)

"""`open_shared`: a gallery whose model is loaded once and shared by many threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from faceall.analysis.analyser import Analyser, FaceEmbedder
from faceall.gallery import Gallery
from faceall.web.work.batching import MAX_REQUESTS, Worker


@contextmanager
def open_shared(
    folder: str | os.PathLike[str] | None,
    *,
    embedder: FaceEmbedder | None = None,
    max_requests: int = MAX_REQUESTS,
    observe: Callable[[str, int], None] = lambda network, size: None,
) -> Iterator[tuple[Gallery, Worker]]:
    """Open or create a gallery, and a worker that runs its networks.

    Parameters
    ----------
    folder : path, optional
        Of the gallery; None is the default gallery.
    embedder : FaceEmbedder, optional
        By default the one that made the gallery's embeddings, if it is installed.
    max_requests, observe
        See `Worker`.

    Yields
    ------
    Gallery, Worker
        Both are closed when the block ends.

    Raises
    ------
    FaceallError
        As `Gallery.open`.
    """
    with Gallery.open(folder) as gallery:
        remembered, chosen = gallery.model, gallery.detector
    analyser = Analyser(None, embedder, remembered=lambda: remembered, detector_name=lambda: chosen)
    worker = Worker(analyser, max_requests=max_requests, observe=observe)
    try:
        with Gallery.open(folder, detector=worker.detector, embedder=worker.embedder) as gallery:
            yield gallery, worker
    finally:
        worker.close(0)

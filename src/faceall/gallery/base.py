"""What all parts of `Gallery` share: the place of the records, and what turns pictures into faces."""

from __future__ import annotations

import shlex

from faceall.analysis.analyser import Analyser
from faceall.errors import FaceallError, IndexMismatchError
from faceall.gallery.embedded import EmbeddedStore
from faceall.gallery.store import Store
from faceall.index import FaceIndex


class GalleryBase:
    """A store of records and an analyser of pictures."""

    def __init__(self, store: Store, analyser: Analyser) -> None:
        self._store = store
        self._analyser = analyser

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors, None before the first face."""
        return self._store.model

    def __len__(self) -> int:
        """How many faces there are."""
        return len(self._store.faces)

    def __repr__(self) -> str:
        return f"Gallery('{self._store.name}')"

    def _agree(self) -> None:
        """Refuse to mix vectors of two models; tell an empty gallery which one it will hold."""
        try:
            self._store.adopt(model=self._analyser.model_label, dimension=self._analyser.embedder.size)
        except IndexMismatchError as error:
            command = f"faceall index migrate --model {shlex.quote(self._analyser.embedder.model.manifest.name)}"
            if not isinstance(self._store, EmbeddedStore):
                command = f"faceall index move {self._store.name} FOLDER, there {command}, and move it back"
            raise IndexMismatchError(f"{error}, or switch the gallery to this one: {command}") from error

    @property
    def _index(self) -> FaceIndex:
        """The index in the gallery's folder, for what cannot be done elsewhere. Raises FaceallError."""
        if isinstance(self._store, EmbeddedStore):
            return self._store.index
        raise FaceallError(
            f"{self._store.name}: that takes a gallery in a folder; copy this one there, and back afterwards:"
            f" faceall index move {self._store.name} FOLDER"
        )

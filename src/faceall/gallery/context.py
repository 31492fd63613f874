"""What the parts of a `Gallery` share: the store, the analyser, and the rules that need both."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from faceall.analysis.analyser import Analyser
from faceall.errors import FaceallError, IndexMismatchError
from faceall.gallery.embedded import EmbeddedStore
from faceall.gallery.store import Store
from faceall.gallery.thresholds import MatchThreshold, read_calibration, threshold_in_force
from faceall.index import FaceIndex


@dataclass(frozen=True)
class Context:
    """The store of one gallery and the analyser that fills and queries it."""

    store: Store
    analyser: Analyser

    def require_same_model(self) -> None:
        """Refuse to mix vectors of two models; set the model of an empty gallery.

        Raises
        ------
        IndexMismatchError
            The gallery holds vectors of another model.
        """
        try:
            self.store.adopt(model=self.analyser.model_label, dimension=self.analyser.embedder.size)
        except IndexMismatchError as error:
            command = f"faceall index migrate --model {shlex.quote(self.analyser.embedder.model.manifest.name)}"
            if not isinstance(self.store, EmbeddedStore):
                command = f"faceall index move {self.store.name} FOLDER, there {command}, and move it back"
            raise IndexMismatchError(f"{error}, or switch the gallery to this one: {command}") from error

    @property
    def face_index(self) -> FaceIndex:
        """The index of a gallery in a folder.

        Raises
        ------
        FaceallError
            The gallery is in Milvus.
        """
        if isinstance(self.store, EmbeddedStore):
            return self.store.index
        raise FaceallError(
            f"{self.store.name}: that takes a gallery in a folder; copy this one there, and back afterwards:"
            f" faceall index move {self.store.name} FOLDER"
        )

    @property
    def match_threshold(self) -> MatchThreshold | None:
        """The distance up to which faces match: the gallery's own threshold, else the model's, else None."""
        return threshold_in_force(read_calibration(self.store), self.analyser.embedder.model.manifest)

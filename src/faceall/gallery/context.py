"""The store and the analyser of a `Gallery`, shared by its parts, and the rules that need both."""

from __future__ import annotations

from dataclasses import dataclass, field

from faceall.analysis.analyser import Analyser
from faceall.errors import IndexMismatchError
from faceall.gallery.decisions import Decisions
from faceall.gallery.store import Store
from faceall.gallery.thresholds import MatchThreshold, read_calibration, threshold_in_force


@dataclass(frozen=True)
class Context:
    """The store of one gallery and the analyser that fills and queries it."""

    store: Store
    analyser: Analyser
    decisions: Decisions = field(default_factory=Decisions)

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
            command = self.store.migration_command(self.analyser.embedder.model.manifest.name)
            raise IndexMismatchError(f"{error}, or switch the gallery to this one: {command}") from error

    @property
    def match_threshold(self) -> MatchThreshold | None:
        """The threshold of searches: chosen for the target FPIR, or by a calibration; None without a distribution."""
        return self.decisions.threshold(self.store, self.analyser.embedder.model.manifest)

    @property
    def pair_threshold(self) -> MatchThreshold | None:
        """The distance up to which two faces match, per comparison: the calibration's, else the model's, else None."""
        return threshold_in_force(read_calibration(self.store), self.analyser.embedder.model.manifest)

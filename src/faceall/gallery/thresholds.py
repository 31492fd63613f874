"""Match thresholds: calibrated on the people of the gallery, or given by the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from faceall.analysis.open_set import Decision, pair_threshold_of
from faceall.errors import IndexDamagedError
from faceall.gallery.store import Store
from faceall.models import Manifest
from faceall.types import Float32Array, Int64Array

Origin: TypeAlias = Literal["calibration", "gallery", "model", "given"]

_KEY = "calibration"


@dataclass(frozen=True)
class MatchThreshold:
    """The distance up to which a face matches, and where it comes from.

    Attributes
    ----------
    distance : float
        Squared L2, 0 to 4.
    false_accept_rate : float or None
        False match rate per comparison of two people, if the threshold was chosen for one.
    origin : Origin
        "gallery": chosen for an FPIR on the people of the gallery; "model": chosen for an FPIR from the model's
        distribution and the size of the gallery, or the model's pair threshold; "calibration": chosen by
        `faceall calibrate --false-accept-rate`; "given": an argument of the search.
    possible : float or None
        The distance up to which a face is a possible match (ten times the FPIR).
    fpir : float or None
        The false-positive identification rate: the share of searches of strangers that return a match.
    people : int or None
        Number of people in the gallery.
    interval : (float, float) or None
        95 % interval of the distance at which the FPIR is the target; `distance` is cautious, in its lower half.
    margin : float
        A match is only possible if a second person is within the threshold and this much farther or nearer.
    """

    distance: float
    false_accept_rate: float | None
    origin: Origin
    possible: float | None = None
    fpir: float | None = None
    people: int | None = None
    interval: tuple[float, float] | None = None
    margin: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the threshold as JSON values; fields that do not apply are omitted."""
        always = {"distance": self.distance, "false_accept_rate": self.false_accept_rate, "origin": self.origin}
        if self.fpir is None:
            return always
        low, high = self.interval or (self.distance, self.distance)
        return always | {
            "possible": self.possible,
            "fpir": self.fpir,
            "people": self.people,
            "interval": [low, high],
        }

    def decide(self, distance: float, second: float | None = None) -> Decision:
        """Decide whether a person at `distance` is the one searched for.

        Parameters
        ----------
        distance : float
            Squared L2 to the person's nearest face.
        second : float, optional
            Squared L2 to the nearest face of the second-best person.
        """
        if distance <= self.distance:
            return "possible" if second is not None and self._ambiguous(distance, second) else "match"
        return "possible" if self.possible is not None and distance <= self.possible else "unknown"

    def _ambiguous(self, distance: float, second: float) -> bool:
        """Return whether a second person is also within the threshold and nearly as near."""
        return second <= self.distance and second - distance < self.margin


@dataclass(frozen=True)
class Calibration:
    """A threshold that was chosen on the people of a gallery.

    Attributes
    ----------
    threshold : float
        Squared L2 distance, 0 to 4.
    interval : (float, float)
        Its 95 % interval.
    false_accept_rate : float
        The rate that it was chosen for.
    false_reject_rate : float or None
        Share of faces farther than that from their own person; None if no person has two faces.
    false_reject_interval : (float, float) or None
        Its 95 % interval.
    people, faces : int
        Number of people and faces that were compared.
    model : str
        The label of the model that made the vectors.
    """

    threshold: float
    interval: tuple[float, float]
    false_accept_rate: float
    false_reject_rate: float | None
    false_reject_interval: tuple[float, float] | None
    people: int
    faces: int
    model: str


@dataclass(frozen=True, eq=False)
class NamedVectors:
    """The faces of people who have a name.

    Attributes
    ----------
    names : (p,) tuple of str
        The people.
    people : (n,) int64
        Index of each face's person in `names`, ascending.
    vectors : (n, D) float32
        The vectors of the faces.
    """

    names: tuple[str, ...]
    people: Int64Array
    vectors: Float32Array


def read_calibration(store: Store) -> Calibration | None:
    """Return the stored calibration for the gallery's model, or None.

    Raises
    ------
    IndexDamagedError
        The stored calibration cannot be read.
    """
    values = store.setting(_KEY)
    if values is None:
        return None
    try:
        found = Calibration(**{field.name: _tuple(values[field.name]) for field in fields(Calibration)})
        sound = 0 <= found.threshold <= 4
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(store, "cannot be read") from error
    if not sound:
        raise _damaged(store, f"says {found.threshold}")
    return found if found.model == store.model else None


def _damaged(store: Store, what: str) -> IndexDamagedError:
    return IndexDamagedError(f"{store.name} is damaged: its calibration {what}; run: faceall calibrate")


def write_calibration(store: Store, calibration: Calibration | None) -> None:
    """Store a calibration; None removes the stored one."""
    store.put_setting(_KEY, None if calibration is None else asdict(calibration))


def threshold_in_force(calibration: Calibration | None, manifest: Manifest) -> MatchThreshold | None:
    """Return the calibrated threshold, else the one of the model, else None."""
    if calibration is not None:
        return MatchThreshold(calibration.threshold, calibration.false_accept_rate, "calibration")
    stated = pair_threshold_of(manifest)
    return None if stated is None else MatchThreshold(*stated, "model")


def read_named_vectors(store: Store, *, most_people: int, most_faces: int) -> NamedVectors:
    """Return faces of named people, or a reproducible sample of them; unnamed clusters are left out.

    People and faces are in the order of the ids that they have on every device, and a sample is evenly spread over
    that order, so that a phone with the same people chooses the same ones.

    Parameters
    ----------
    store : Store
        The gallery.
    most_people : int
        Sample at most this many people.
    most_faces : int
        Sample at most this many faces per person.
    """
    with store.reading():
        named = store.people.in_shared_order(sorted(set(store.people.with_faces()) - store.people.clusters()))
        chosen = spread(named, most_people)
        assigned = store.people.faces_of(chosen)
        ordered = store.faces.in_shared_order([key for keys in assigned.values() for key in keys])
        place = {key: number for number, key in enumerate(ordered)}
        keys = [spread(sorted(assigned[person], key=place.__getitem__), most_faces) for person in chosen]
        names = store.people.names(chosen)
        vectors = store.faces.vectors([key for some in keys for key in some])
    people = np.repeat(np.arange(len(chosen), dtype=np.int64), [len(some) for some in keys])
    return NamedVectors(tuple(names[person] for person in chosen), people, vectors)


def spread(values: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of some values, evenly spread over them."""
    if len(values) <= most:
        return list(values)
    return [values[number * len(values) // most] for number in range(most)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

"""Up to which distance two faces count as one person: chosen on the gallery's own people, or by the model's makers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from faceall.errors import IndexDamagedError
from faceall.models import Manifest
from faceall.types import Float32Array, Int64Array

Origin: TypeAlias = Literal["calibration", "model", "given"]

_KEY = "gallery.calibration"


@dataclass(frozen=True)
class MatchThreshold:
    """A limit and where it comes from.

    distance           squared L2, 0 .. 4; faces up to it match
    false_accept_rate  the share of comparisons of two people that it lets through, where that is known
    origin             "calibration": chosen on the people of the gallery; "model": stands in the model's manifest;
                       "given": by whoever asked
    """

    distance: float
    false_accept_rate: float | None
    origin: Origin


@dataclass(frozen=True)
class Calibration:
    """A threshold that was chosen on the people of a gallery.

    threshold              squared L2, 0 .. 4
    interval               its 95 % interval
    false_accept_rate      the rate it was chosen for
    false_reject_rate      the share of faces whose own person lies beyond it; None where nobody has two faces
    false_reject_interval  its 95 % interval
    people, faces          how many were compared
    model                  the model that made the vectors, as the gallery calls it
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
    """The faces of people who are known by name.

    names    (p,) the people
    people   (n,) int64, the number of each face's person in `names`, ascending
    vectors  (n, D) float32
    """

    names: tuple[str, ...]
    people: Int64Array
    vectors: Float32Array


def read_calibration(connection: sqlite3.Connection, name: str, model: str | None) -> Calibration | None:
    """What was stored for the vectors of `model`; None where nothing was. Raises IndexDamagedError."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    if row is None:
        return None
    try:
        values = json.loads(row[0])
        found = Calibration(**{field.name: _tuple(values[field.name]) for field in fields(Calibration)})
        sound = 0 <= found.threshold <= 4
    except (ValueError, TypeError, KeyError) as error:
        raise IndexDamagedError(f"{name}/faces.db is damaged: {_KEY} cannot be read; run: faceall calibrate") from error
    if not sound:
        raise IndexDamagedError(f"{name}/faces.db is damaged: {_KEY} says {found.threshold}; run: faceall calibrate")
    return found if found.model == model else None


def write_calibration(connection: sqlite3.Connection, calibration: Calibration | None) -> None:
    """Store it, or with None forget the one that is stored, inside the caller's transaction."""
    if calibration is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
    else:
        text = json.dumps(asdict(calibration))
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_KEY, text))


def threshold_in_force(calibration: Calibration | None, manifest: Manifest) -> MatchThreshold | None:
    """The gallery's own threshold, else the one of the model, else None."""
    if calibration is not None:
        return MatchThreshold(calibration.threshold, calibration.false_accept_rate, "calibration")
    if manifest.match_threshold is not None:
        return MatchThreshold(manifest.match_threshold, manifest.match_threshold_false_accept_rate, "model")
    return None


def read_named_vectors(
    connection: sqlite3.Connection,
    dimension: int,
    *,
    most_people: int,
    most_faces: int,
    unnamed: Container[str] = (),
) -> NamedVectors:
    """The faces of the people of a gallery; a sample of them, the same every time, where there are more.

    most_people  at most so many people, drawn at random
    most_faces   at most so many faces of each, drawn at random
    unnamed      the names of clusters, which no person has looked at: they are left out
    """
    everybody = connection.execute("SELECT id, name FROM people WHERE id IN (SELECT person FROM faces)")
    names = {row: name for row, name in everybody if name not in unnamed}
    random = np.random.default_rng(0)
    chosen = sorted(_sample(sorted(names), most_people, random))
    keys: list[tuple[int, int]] = []
    for number, person in enumerate(chosen):
        rows = connection.execute("SELECT key FROM faces WHERE person = ? ORDER BY key", (person,)).fetchall()
        keys += [(number, key) for key in _sample([row[0] for row in rows], most_faces, random)]
    vectors = np.empty((len(keys), dimension), np.float32)
    for row, (_, key) in enumerate(keys):
        (blob,) = connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        vectors[row] = np.frombuffer(blob, "<f4")
    people = np.fromiter((number for number, _ in keys), np.int64, len(keys))
    return NamedVectors(tuple(names[person] for person in chosen), people, vectors)


def _sample(values: Sequence[int], most: int, random: np.random.Generator) -> list[int]:
    if len(values) <= most:
        return list(values)
    return [values[place] for place in sorted(random.choice(len(values), most, replace=False))]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

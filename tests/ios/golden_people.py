"""Golden vectors about people: which are chosen of a large gallery, and which details are valid.

    python tests/ios/golden_people.py ios_export/FaceAll/Tests/FaceAllCoreTests/Vectors

also writes server-details.faceall, a bundle with hidden people and details, whose ids and times are new each time.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from golden_vectors import scores_manifest

from faceall.analysis.open_set import comparisons
from faceall.gallery.decisions import fit_named, prior_of
from faceall.gallery.records.checks import is_date
from faceall.gallery.thresholds import read_named_vectors
from faceall.models import Manifest
from faceall.types import Float32Array

PEOPLE, SIZE = 1040, 8
_MOST_PEOPLE, _MOST_FACES, _FPIR = 1000, 5, 0.01

_DATES = (
    *("2019-05-31", "1961-03-05", "2000-02-29", "1900-02-29", "2023-02-29", "2024-13-01", "2024-04-31", "0001-01-01"),
    *("0000-01-01", "9999-12-31", "20190531", "2019-5-31", "2019-05-31 ", "2019-W22-5", "31.05.2019", ""),
)


class Numbers:
    """The numbers of a linear congruential generator, which Swift computes as well."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def next(self) -> int:
        """Return the next number, 0 to 2^31 - 1."""
        self._state = (self._state * 1103515245 + 12345) % 2**31
        return self._state


def people_vectors() -> dict[str, dict[str, Any]]:
    """File name -> its content."""
    return {"sampling.json": sampling_vectors(), "details.json": details_vectors()}


def sampling_manifest() -> Manifest:
    """A model of small vectors with the similarities of two people."""
    return replace(scores_manifest(), embedding_size=SIZE)


def sampling_vectors() -> dict[str, Any]:
    """The people and faces that are chosen of a gallery with more than 1,000 people, and the threshold."""
    people, faces, vectors = _gallery()
    owners = [owner for owner, _ in faces]
    store = SimpleNamespace(
        reading=nullcontext,
        people=SimpleNamespace(
            with_faces=lambda: list(range(len(people))),
            clusters=set,
            in_shared_order=lambda rows: sorted(rows, key=people.__getitem__),
            faces_of=lambda chosen: {
                person: [key for key, owner in enumerate(owners) if owner == person] for person in chosen
            },
            names=lambda rows: {row: people[row] for row in rows},
        ),
        faces=SimpleNamespace(
            in_shared_order=lambda keys: sorted(keys, key=lambda key: faces[key][1]),
            vectors=lambda keys: vectors[keys],
        ),
    )
    named = read_named_vectors(store, most_people=_MOST_PEOPLE, most_faces=_MOST_FACES)  # type: ignore[arg-type]
    fitted = fit_named(named, len(people), prior_of(sampling_manifest()), _FPIR, faces=len(faces))
    compared = comparisons(len(people), len(faces))
    return {
        "people": PEOPLE,
        "size": SIZE,
        "faces": len(faces),
        "used": len(named.people),
        "first": list(named.names[:5]),
        "chosen_sha256": hashlib.sha256(" ".join(named.names).encode()).hexdigest(),
        "vectors_sum": named.vectors.astype(np.float64).sum(axis=0).tolist(),
        "manifest": json.loads(sampling_manifest().to_json()),
        "distance": fitted.scores.cautious_threshold(_FPIR, compared),
        "possible": fitted.scores.cautious_threshold(10 * _FPIR, compared),
        "margin": 0.5 * fitted.scores.deviation,
    }


def _gallery() -> tuple[list[str], list[tuple[int, str]], Float32Array]:
    """Return ids of people, the person and id of every face, and the vectors, all from one sequence of numbers."""
    numbers = Numbers(7)
    people, faces, rows = [], [], []
    for person in range(PEOPLE):
        people.append(f"{numbers.next():08x}-0000-4000-8000-{person:012d}")
        centre = [numbers.next() % 2001 - 1000 for _ in range(SIZE)]
        for _ in range(7 if person % 10 == 0 else 1 + person % 2):
            faces.append((person, f"{numbers.next():08x}-0000-4000-8000-{len(faces):012d}"))
            row = [one + numbers.next() % 801 - 400 for one in centre]
            length = math.sqrt(sum(one * one for one in row))
            rows.append([one / length for one in row])
    return people, faces, np.asarray(rows).astype(np.float32)


def details_vectors() -> dict[str, Any]:
    """Which texts are dates of birth."""
    return {"dates": [{"text": text, "valid": is_date(text)} for text in _DATES]}


def write_details_bundle(path: Path) -> None:
    """Write a bundle with Ann, who is hidden and has a note, a birth date and a cover, Bo, and a hidden face."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "gallery"))
    from bundles import open_whole
    from stand_ins import one_face, write_photo

    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        for number in range(3):
            write_photo(photos / "Ann" / f"{number}.png", one_face(number))
        write_photo(photos / "Bo" / "0.png", one_face(10))
        write_photo(photos / "Bo" / "1.png", [*one_face(11), (5, 5, 9, (250, 3, 3))])
        with open_whole(Path(work) / "server") as gallery:
            list(gallery.iter_register(photos))
            cover = sorted(face.face_id for face in gallery.faces if face.person == "Ann")[1]
            gallery.people.set_details("Ann", note="aunt", born="1961-03-05", cover=cover)
            gallery.people.hide("Ann")
            gallery.faces.hide([face.face_id for face in gallery.faces if face.person is None])
            gallery.index.export_bundle(path, replace=True)


def main() -> None:
    """Write the vectors and the bundle into the folder that the command line names."""
    folder = Path(sys.argv[1])
    for name, values in people_vectors().items():
        (folder / name).write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")
    write_details_bundle(folder / "server-details.faceall")


if __name__ == "__main__":
    main()

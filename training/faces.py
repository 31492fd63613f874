"""The face sets of the recipe: their canvases, who is held out, and the teacher."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIDE = 128
"""Side in pixels of the teacher's input."""

ROOM = 16
"""Pixels of a canvas around the teacher's input, so that views can be shifted, rotated and scaled."""

CANVAS = SIDE + 2 * ROOM
_DRAWN_PEOPLE = {"celeba_test": 300, "pins": 12}
_LEAST_SCORE = 0.55


@dataclass(frozen=True)
class FaceRecord:
    """One canvas.

    Attributes
    ----------
    set : str
        Name of the face set; its canvases are in `SET.npy`, their records in `SET.json`.
    index : int
        Row of the canvas.
    file : str
        Path of the photo in its set.
    person : str
        The person's name or number, empty if unknown.
    """

    set: str
    index: int
    file: str
    person: str


def read_records(folder: Path, identities: Path | None = None) -> tuple[list[FaceRecord], list[FaceRecord]]:
    """List the faces of all sets: those to learn from, and those of held-out people.

    Parameters
    ----------
    folder : Path
        Canvases as `cut_canvases.py` writes them.
    identities : Path, optional
        CelebA's identity_CelebA.txt. Held-out people of CelebA's test part are left out of the other CelebA sets too.

    Returns
    -------
    tuple of two lists of FaceRecord
        To learn from, to measure on.
    """
    celeba = _read_identities(identities)
    sets = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    people = {name: {_person(name, row[0], celeba) for row in rows} - {""} for name, rows in sets.items()}
    held = _held_out(people)
    learn, measure = [], []
    for name, rows in sets.items():
        for index, (file, score, *_) in enumerate(rows):
            if score < _LEAST_SCORE:
                continue
            record = FaceRecord(name, index, file, _person(name, file, celeba))
            own = "celeba_test" if name.startswith("celeba") else name
            if record.person and record.person in held.get(own, ()):
                measure.append(record)
            else:
                learn.append(record)
    return learn, [record for record in measure if record.set in _DRAWN_PEOPLE]


def _held_out(people: dict[str, set[str]]) -> dict[str, set[str]]:
    """Choose the people of each set whom no run has learnt from.

    The first runs drew CelebA's people from a list in the order of numbers, later ones from one in the order of texts.
    86 of 987 people were drawn both times.
    """
    random = np.random.default_rng(7)
    held = {
        name: set(random.permutation(sorted(people.get(name, ())))[:count].tolist())
        for name, count in _DRAWN_PEOPLE.items()
    }
    numbers = np.random.default_rng(7).permutation(sorted(map(int, people.get("celeba_test", set()))))
    first = {str(number) for number in numbers[: _DRAWN_PEOPLE["celeba_test"]].tolist()}
    return held | {"celeba_test": held["celeba_test"] & first}


def open_canvases(folder: Path) -> dict[str, npt.NDArray[np.uint8]]:
    """Map the canvases of all sets: name -> (n, 160, 160, 3) uint8 BGR, memory-mapped."""
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}


def _read_identities(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    rows = (line.split() for line in file.read_text("utf-8").splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2 and row[1].isdecimal()}


def _person(name: str, file: str, celeba: dict[str, str]) -> str:
    if name.startswith("celeba"):
        return celeba.get(Path(file).name, "")
    return Path(file).parent.name if name == "pins" else ""


class Teacher:
    """face-reidentification-retail-0095, run by OpenVINO on one thread.

    Parameters
    ----------
    model : Path
        The model's .xml file.
    precision : {"f32", "bf16"}
        bfloat16 is twice as fast on processors that have it; its cosine to float32 was at least 0.999.
    """

    batch = 16

    def __init__(self, model: Path, precision: str = "bf16") -> None:
        import openvino

        core = openvino.Core()
        net = core.read_model(model)
        net.reshape([self.batch, 3, SIDE, SIDE])
        options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
        self._net = core.compile_model(net, "CPU", options)

    def __call__(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed views: (n, 128, 128, 3) uint8 BGR to (n, 256) float32 of unit length.

        The vector of a view is the mean of those of the view and of its mirror image, which have a cosine of only 0.90.
        The mean recognises a little more, and a small student learns no difference that means nothing.
        """
        return _unit(self._embed(views) + self._embed(views[:, :, ::-1]))

    def _embed(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        rows = []
        for start in range(0, len(views), self.batch):
            part = views[start : start + self.batch]
            blob = np.zeros((self.batch, 3, SIDE, SIDE), np.float32)
            blob[: len(part)] = part.transpose(0, 3, 1, 2)
            rows.append(self._net(blob)[0].reshape(self.batch, -1)[: len(part)].copy())
        return _unit(np.concatenate(rows))


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

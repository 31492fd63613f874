"""Frames of a camera that moves over real photos, with MTCNN's faces in them, for the tests of the tracker.

    python tests/ios/golden_frames.py OUT.json PHOTO...       # photos of several people, and scenes of four portraits
    python tests/ios/golden_frames.py OUT.json                # the shipped ones: scikit-image's portrait, twice

Each face has the number of its person, which follows from where the camera is, and what a frame says of its quality.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from faceall import images
from faceall.analysis import quality
from faceall.detect import MtcnnDetector
from faceall.embed import Embedder
from faceall.types import Array, Faces, Float32Array, Image

WIDTH, HEIGHT, FRAMES = 480, 360, 32
"""Size and number of the frames of a sequence."""

_BLURRED, _MISSED = 7, 11
"""Every so many frames one is blurred; in every so many the detector is taken to have missed a face."""

_SAME = 0.3  # intersection over union from which a face is the one at that place
_FREE = 0.05  # below it, it is none of them
_STEADY = 0.02  # deviation of the camera's shake, as a share of the view


class Place(NamedTuple):
    """Where a face of a person is in a frame."""

    person: int
    box: Float32Array


class Shot(NamedTuple):
    """A frame with the people in it."""

    image: Image
    places: tuple[Place, ...]


def pan(photo: Image, people: Float32Array, *, zoom: float = 1.0, seed: int = 0) -> Iterator[Shot]:
    """Move a camera over a photo, back and forth and with a shake; `people` are the boxes (n, 4) in the photo."""
    random = np.random.default_rng(seed)
    high, wide = photo.shape[:2]
    view = min(wide, high * WIDTH / HEIGHT) / zoom
    for number in range(FRAMES):
        turn = 2 * np.pi * number / FRAMES
        side = view * (1 + 0.15 * np.sin(2 * turn))
        size = np.array([side, side * HEIGHT / WIDTH])
        free = np.maximum(np.array([wide, high]) - size, 0)
        corner = (
            free * (0.5 + 0.5 * np.array([np.sin(turn), np.sin(2 * turn) / 2])) + random.normal(0, _STEADY, 2) * size
        )
        scale = WIDTH / side
        boxes = (people - np.tile(corner, 2)) * scale
        image = images.crop(photo, (*corner, *(corner + size)), size=(WIDTH, HEIGHT))
        yield Shot(image, tuple(Place(person, box.astype(np.float32)) for person, box in enumerate(boxes)))


def passing(portraits: Sequence[tuple[Image, Float32Array]]) -> Iterator[Shot]:
    """Move the heads of portraits over a plain ground on paths of their own; those in front hide the others."""
    heads = [_head(photo, box) for photo, box in portraits]
    for number in range(FRAMES):
        image = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
        places = []
        for person, (head, box) in enumerate(heads):
            turn = 2 * np.pi * (number / FRAMES + person / len(heads))
            side = int(150 * (1 + 0.2 * np.sin(turn + person)))
            x = int((WIDTH - side) * (0.5 + 0.5 * np.sin(turn) * (-1) ** person))
            y = int((HEIGHT - side) * (0.2 + 0.6 * person / max(len(heads) - 1, 1)))
            image[y : y + side, x : x + side] = images.resize(head, (side, side))
            place = Place(person, (box * side + [x, y, x, y]).astype(np.float32))
            places = [old for old in places if overlap(old.box, place.box) < _SAME] + [place]
        yield Shot(image, tuple(places))


def _head(photo: Image, box: Float32Array) -> tuple[Image, Float32Array]:
    """Cut the square around a face out of a photo; return it with the box, 0 to 1."""
    centre, half = (box[:2] + box[2:]) / 2, float(max(box[2:] - box[:2]))
    square = np.array([*(centre - half), *(centre + half)])
    relative = (box - np.tile(square[:2], 2)) / (2 * half)
    return images.crop(photo, square, size=(240, 240)), relative.astype(np.float32)


def overlap(first: Array, second: Array) -> float:
    """Return the intersection over union of two boxes (4,)."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    total = float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - common)
    return common / total if total > 0 else 0.0


class Recorder:
    """Detects the faces of frames and describes them as JSON."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._detector = MtcnnDetector(min_face=32)
        self._embedder = embedder

    def people(self, photo: Image) -> Faces:
        """Return the certain faces of a photo from left to right; the faces of its frames are compared with them."""
        faces = self._detector(photo)
        sure = [place for place in np.argsort(faces.boxes[:, 0]) if faces.scores[place] > 0.95]
        return faces.take(sure)

    def sequence(self, name: str, shots: Iterator[Shot], known: list[npt.NDArray[np.float32]]) -> dict[str, Any]:
        """Return the frames of a sequence; `known` are the vectors of its people."""
        frames = []
        for number, shot in enumerate(shots):
            image = shot.image
            if number % _BLURRED == _BLURRED - 1:
                image = images.resize(images.resize(image, (WIDTH // 4, HEIGHT // 4)), (WIDTH, HEIGHT))
            faces = self._detector(image)
            if number % _MISSED == _MISSED - 1 and len(faces):
                faces = faces.take(list(range(1, len(faces))))
            frames.append(self._frame(image, faces, shot.places))
        people = [{"vector": _numbers(vector, 6)} for vector in known]
        return {"name": name, "width": WIDTH, "height": HEIGHT, "people": people, "frames": frames}

    def _frame(self, image: Image, faces: Faces, places: Sequence[Place]) -> list[dict[str, Any]]:
        vectors = self.vectors(image, faces)
        found = []
        for number, face in enumerate(faces):
            near = max(places, key=lambda place: overlap(place.box, face.box), default=None)
            share = overlap(near.box, face.box) if near else 0.0
            person = near.person if near and share >= _SAME else (-1 if share < _FREE else -2)
            sharp, turn, cut = quality.sharpness(image, face), quality.turn(face), quality.cut(image.shape, face)
            found.append({
                "person": person,  # -1: none of the people, -2: not certain
                "box": _numbers(face.box, 2), "score": round(float(face.score), 4),
                "landmarks": _numbers(face.landmarks.reshape(-1), 2),
                "quality": _numbers(np.array([sharp, turn, cut]), 4),
                "vector": _numbers(vectors[number], 6) if len(vectors) else None,
            })  # fmt: skip
        return found

    def vectors(self, image: Image, faces: Faces) -> Float32Array:
        """Return the vectors of faces, none without an embedder."""
        if self._embedder is None:
            return np.zeros((0, 0), np.float32)
        return self._embedder(image, faces)


def _numbers(values: Array, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def shipped_frames(portrait: Image) -> dict[str, Any]:
    """The frames in the repository: a portrait and its mirror image, side by side and passing each other."""
    half = images.crop(portrait, (96, 0, 352, 256), size=(256, 256))
    both, recorder = np.ascontiguousarray(np.hstack([half, half[:, ::-1]])), Recorder()
    people = recorder.people(both).boxes
    heads = [(both, box) for box in people]
    return {
        "sequences": [
            recorder.sequence("a camera moves", pan(both, people, zoom=1.1), []),
            recorder.sequence("heads pass each other", passing(heads), []),
        ]
    }


def frames_of_photos(paths: Sequence[Path]) -> dict[str, Any]:
    """Frames of photos with several faces, and scenes in which four of the portraits pass each other."""
    recorder, sequences, portraits = Recorder(Embedder()), [], []
    for number, path in enumerate(paths):
        photo = images.read_image(path)
        if photo.shape[1] > 1200:
            photo = images.resize(photo, (1200, round(photo.shape[0] * 1200 / photo.shape[1])))
        people = recorder.people(photo)
        vectors = list(recorder.vectors(photo, people))
        if len(people) == 1:
            portraits.append((photo, people.boxes[0], vectors[0]))
        elif len(people) > 1:
            shots = pan(photo, people.boxes, zoom=1.5, seed=number)
            sequences.append(recorder.sequence(path.stem, shots, vectors))
    for start in range(0, len(portraits) - 1, 4):
        some = portraits[start : start + 4]
        shots = passing([(photo, box) for photo, box, _ in some])
        sequences.append(recorder.sequence(f"portraits {start // 4 + 1}", shots, [vector for *_, vector in some]))
    return {"sequences": sequences}


def main() -> None:
    """Write the frames of the command line's photos, without photos the shipped ones."""
    target, paths = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    if paths:
        values = frames_of_photos(paths)
    else:
        from skimage import data

        values = shipped_frames(np.asarray(data.astronaut()))
    target.write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

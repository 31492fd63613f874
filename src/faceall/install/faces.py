"""Faces of several people, to compare how well an embedder separates them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall import embed, images
from faceall.arguments import checked
from faceall.detect import Detector
from faceall.embed.cutting import cut_faces
from faceall.embed.portrait import vary
from faceall.errors import ConvertError, ImageError
from faceall.models import Alignment, CropRule
from faceall.types import Array, Image

_PORTRAITS = (Path(embed.__file__).with_name("portrait.jpg"), Path(__file__).with_name("hopper.jpg"))
"""Eileen Collins (NASA) and Grace Hopper (US Navy), both in the public domain."""

_VARIATIONS = 12
"""Variations of each bundled portrait."""

_JITTER = 0.04
"""Standard deviation of a variation's shift, as a share of the box's side."""

_MOST = 200
"""The most photos of a folder that are read."""


@dataclass(frozen=True, eq=False)
class LabelledFace:
    """A face with its person's name: its image, its box (4,) and its landmarks (5, 2) in pixels."""

    image: Image
    box: Array
    landmarks: Array
    label: str


@dataclass(frozen=True, eq=False)
class PeopleFaces:
    """Detected faces of several people.

    Attributes
    ----------
    origin : str
        What the faces are, for messages.
    faces : tuple of LabelledFace
        The faces.
    bundled : bool
        Whether these are variations of the few portraits in the package.
    """

    origin: str
    faces: tuple[LabelledFace, ...]
    bundled: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the person of each crop."""
        names = [face.label for face in self.faces]
        return tuple(np.repeat(names, _VARIATIONS).tolist() if self.bundled else names)

    @property
    def people(self) -> int:
        """The number of people."""
        return len({face.label for face in self.faces})

    def crops(self, framing: CropRule | Alignment, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Cut the faces out as a model expects them.

        Parameters
        ----------
        framing : CropRule or Alignment
            The model's crop rule or alignment.
        size : tuple of int
            Width and height of the model's input.

        Returns
        -------
        (n, height, width, 3) uint8
            RGB, the same at every call.
        """
        random = np.random.default_rng(0)
        made = []
        for face in self.faces:
            count = _VARIATIONS if self.bundled else 1
            shifts = random.normal(0, _JITTER if self.bundled else 0, (count, 1, 2)) * (face.box[2] - face.box[0])
            boxes, landmarks = face.box.reshape(1, 2, 2) + shifts, face.landmarks[None] + shifts
            cut = cut_faces(face.image, boxes.reshape(-1, 4), landmarks, framing, size=size)
            made += [vary(crop, random) for crop in cut] if self.bundled else [*cut]
        return np.stack(made)


@checked
def bundled_faces() -> PeopleFaces:
    """Return variations of the two portraits in the package."""
    detector = Detector()
    faces = [face for path in _PORTRAITS if (face := _largest(detector, path, path.stem)) is not None]
    return PeopleFaces("the portraits in the package", tuple(faces), bundled=True)


@checked
def read_people(folder: str | Path, *, progress: Callable[[int, int], None] | None = None) -> PeopleFaces:
    """Detect the largest face of every photo FOLDER/NAME/FILE.

    Parameters
    ----------
    folder : path
        A folder with one folder for each person.
    progress : callable, optional
        Called with the number of photos done and the total.

    Returns
    -------
    PeopleFaces
        The faces; photos without a face are skipped.

    Raises
    ------
    ConvertError
        If there are fewer than three people, or no person with two photos.
    """
    root = Path(folder)
    files = [file for file in images.find_images(root) if file.parent.parent == root]
    files = [files[place * len(files) // _MOST] for place in range(_MOST)] if len(files) > _MOST else files
    detector, found = Detector(), []
    for number, file in enumerate(files):
        if progress is not None:
            progress(number, len(files))
        try:
            face = _largest(detector, file, file.parent.name)
        except ImageError:
            continue
        found += [face] if face is not None else []
    labels = [face.label for face in found]
    if len(set(labels)) < 3 or len(set(labels)) == len(labels):
        raise ConvertError(
            f"{root}: has faces of {len(set(labels))} people in {len(files)} photos, expected at least three people, "
            "as NAME/FILE.jpg, with two photos each"
        )
    return PeopleFaces(f"{len(found)} faces of {len(set(labels))} people in {root}", tuple(found))


def _largest(detector: Detector, path: Path, label: str) -> LabelledFace | None:
    image = images.read_image(path)
    faces = detector(image)
    if not len(faces):
        return None
    areas = (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(axis=1)
    best = int(np.argmax(areas))
    return LabelledFace(image, faces.boxes[best].astype(np.float64), faces.landmarks[best].astype(np.float64), label)

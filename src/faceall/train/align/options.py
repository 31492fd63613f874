"""What an alignment does with a face, and the file that remembers it beside the crops."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from faceall.errors import AlignError, FaceallError
from faceall.images import crop
from faceall.models import FACENET_CROP
from faceall.models.preparation import CropRule
from faceall.types import Array, Image
from faceall.version import __version__

SCHEMA = 1
"""The number of this layout of align.json; it grows when an older faceall could misread a newer file."""

OPTIONS = "align.json"

FaceChoice = Literal["central", "surest", "all"]
CropFormat = Literal["jpg", "png"]

_LARGEST_SIDE = 2048  # pixels of a crop
_MOST_ROOM = 4.0


@dataclass(frozen=True, kw_only=True)
class AlignOptions:
    """How faces are cut out of photos.

    rule      which part of a photo belongs to a face, as a model's manifest has it
    size      side in pixels of what the model sees
    room      how much a crop is larger than that in all, in proportion, so that training can turn, shift and scale
              it without black corners; what the model sees lies exactly in the middle
    faces     "central": one face of each photo, large and near the middle; "surest": the one with the highest score;
              "all": every face
    format    "jpg" of quality 95, or "png"
    min_face  side in pixels of the smallest face that is looked for

    Raises ValueError that names the field, what it is and what was expected.
    """

    rule: CropRule = FACENET_CROP
    size: int = 160
    room: float = 0.15
    faces: FaceChoice = "central"
    format: CropFormat = "jpg"
    min_face: float = 20

    def __post_init__(self) -> None:
        for name, known in (("faces", get_args(FaceChoice)), ("format", get_args(CropFormat))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}, known are {', '.join(known)}")
        _check("size", self.size, 1, _LARGEST_SIDE)
        _check("room", self.room, 0, _MOST_ROOM)
        _check("min_face", self.min_face, 12, math.inf)
        _check("the crop's side, room included,", self.side, 1, _LARGEST_SIDE)
        if self.rule.border == "clip" and self.room:
            raise ValueError("room is not 0, but the crop rule ends at the picture's edge: such crops have no room")

    @property
    def side(self) -> int:
        """Width and height of a crop in pixels: `size` and the room, the same number of pixels on every side."""
        return self.size + 2 * round(self.size * self.room / 2)

    def regions(self, boxes: Array, *, image_size: tuple[int, int]) -> Array:
        """Where to cut.

        boxes    (n, 4) x0 y0 x1 y1 in pixels
        picture  (width, height)
        returns  (n, 4) float64, x0 y0 x1 y1 in pixels; places outside the picture included
        """
        inner = self.rule.regions(boxes, image_size=image_size)
        more = (inner[:, 2:] - inner[:, :2]) * ((self.side / self.size - 1) / 2)
        return np.concatenate([inner[:, :2] - more, inner[:, 2:] + more], axis=1)

    def cut(self, image: Image, boxes: Array) -> list[Image]:
        """Cut faces out of a photo (H, W, 3) uint8: one (side, side, 3) uint8 for each box (n, 4)."""
        regions = self.regions(boxes, image_size=(image.shape[1], image.shape[0]))
        return [crop(image, region, size=(self.side, self.side)) for region in regions]

    def middle(self, crops: Array) -> Array:
        """What the model sees of crops: (n, side, side, 3) -> (n, size, size, 3), a view."""
        edge = (self.side - self.size) // 2
        return crops[:, edge : edge + self.size, edge : edge + self.size]

    def to_json(self) -> str:
        """The text of align.json; `from_json` gives the same options back."""
        values = {
            "schema": SCHEMA,
            "faceall": __version__,
            "crop": self.rule.to_json(),
            "size": self.size,
            "room": self.room,
            "side": self.side,
            "faces": self.faces,
            "format": self.format,
            "min_face": self.min_face,
        }
        return json.dumps(values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> AlignOptions:
        """The options in the text of an align.json. Raises AlignError: not one, or of a newer faceall."""
        try:
            values: dict[str, Any] = json.loads(text)
            schema = int(values["schema"])
            if schema > SCHEMA:
                raise AlignError(f"schema {schema} is newer than this faceall, which knows {SCHEMA}: upgrade faceall")
            names = ("size", "room", "faces", "format", "min_face")
            return cls(rule=CropRule(**values["crop"]), **{name: values[name] for name in names})
        except AlignError:
            raise
        except (ValueError, TypeError, KeyError, FaceallError, RecursionError) as error:
            raise AlignError(f"is no record of an alignment ({error})") from error


def read_options(folder: str | os.PathLike[str]) -> AlignOptions:
    """How the crops in a folder were made. Raises AlignError: absent, damaged, or of a newer faceall."""
    path = Path(folder) / OPTIONS
    try:
        return AlignOptions.from_json(path.read_text("utf-8"))
    except AlignError as error:
        raise AlignError(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise AlignError(f"{path}: is no record of an alignment ({error.reason})") from error
    except OSError as error:
        raise AlignError(f"{path}: cannot be read ({error.strerror}); faceall align writes it") from error


def _check(name: str, value: object, least: float, most: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # type: ignore[operator]
        bounds = f"at least {least:g}" if most == math.inf else f"{least:g} .. {most:g}"
        raise ValueError(f"{name} is {value!r}, expected {bounds}")

"""Options of an alignment, and the file beside the crops that records them."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from faceall.errors import AlignError, FaceallError
from faceall.images import crop, warp
from faceall.models import FACENET_CROP, Alignment, CropRule
from faceall.types import Array, Image
from faceall.version import __version__

SCHEMA = 2
"""Newest version of the layout of align.json. Version 2 adds `alignment`; crop rules are written as version 1."""

OPTIONS = "align.json"

FaceChoice = Literal["central", "surest", "all"]
CropFormat = Literal["jpg", "png"]

_LARGEST_SIDE = 2048  # pixels of a crop
_MOST_ROOM = 4.0


@dataclass(frozen=True, kw_only=True)
class AlignOptions:
    """How faces are chosen and cut out of photos.

    Attributes
    ----------
    rule : CropRule or Alignment
        Which part of a photo belongs to a face, or the template to which a face is aligned, as in a model's manifest.
    size : int
        Side in pixels of the part that the model sees.
    room : float
        Total margin around that part, relative to `size`. Training can rotate, shift and scale a crop without black
        corners; the part that the model sees is exactly in the middle.
    faces : {"central", "surest", "all"}
        "central": the primary face of each photo; "surest": the face with the highest score; "all": every face.
    format : {"jpg", "png"}
        File format; JPEG has quality 95.
    min_face : float
        Side in pixels of the smallest face to detect.

    Raises
    ------
    ValueError
        If a field has an unusable value.
    """

    rule: CropRule | Alignment = FACENET_CROP
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
            raise ValueError(
                "room is not 0, but the crop rule ends at the edge of the image: such crops have no margin"
            )

    @property
    def side(self) -> int:
        """Width and height of a crop in pixels: `size` and an equal margin on every side."""
        return self.size + 2 * round(self.size * self.room / 2)

    @property
    def edge(self) -> int:
        """Pixels of a crop on each side of the part that the model sees."""
        return (self.side - self.size) // 2

    def regions(self, boxes: Array, *, image_size: tuple[int, int]) -> Array:
        """Compute the regions to cut out by a crop rule.

        Parameters
        ----------
        boxes : (n, 4) float
            Faces as x0, y0, x1, y1 in pixels.
        image_size : tuple of 2 int
            Width and height of the image in pixels.

        Returns
        -------
        (n, 4) float64
            x0, y0, x1, y1 in pixels; may extend beyond the image.

        Raises
        ------
        ValueError
            If faces are aligned to a template: they have no regions then.
        """
        if isinstance(self.rule, Alignment):
            raise ValueError("faces that are aligned to a template have no regions; use cut")
        inner = self.rule.regions(boxes, image_size=image_size)
        more = (inner[:, 2:] - inner[:, :2]) * ((self.side / self.size - 1) / 2)
        return np.concatenate([inner[:, :2] - more, inner[:, 2:] + more], axis=1)

    def cut(self, image: Image, boxes: Array, landmarks: Array) -> list[Image]:
        """Cut faces out of an image.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB.
        boxes : (n, 4) float
            Faces as x0, y0, x1, y1 in pixels.
        landmarks : (n, 5, 2) float
            Their landmarks as x, y in pixels; not read by a crop rule.

        Returns
        -------
        list of (side, side, 3) uint8
            One crop per face.
        """
        size = (self.side, self.side)
        if isinstance(self.rule, Alignment):
            fit = self.rule.fit(landmarks, boxes, size=(self.size, self.size), room=self.edge)
            return [warp(image, matrix, size=size, border=self.rule.border) for matrix in fit.matrices]
        regions = self.regions(boxes, image_size=(image.shape[1], image.shape[0]))
        return [crop(image, region, size=size) for region in regions]

    def middle(self, crops: Array) -> Array:
        """Return the part that the model sees: (n, side, side, 3) to (n, size, size, 3), a view."""
        edge, end = self.edge, self.edge + self.size
        return crops[:, edge:end, edge:end]

    def to_json(self) -> str:
        """Return the text of align.json; `from_json` restores the options."""
        aligned = isinstance(self.rule, Alignment)
        values = {
            "schema": 2 if aligned else 1,
            "faceall": __version__,
            "alignment" if aligned else "crop": self.rule.to_json(),
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
        """Read the options from the text of an align.json.

        Parameters
        ----------
        text : str
            What `to_json` returned.

        Returns
        -------
        AlignOptions
            The options.

        Raises
        ------
        AlignError
            If the text is something else or was written by a newer faceall.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            schema = int(values["schema"])
            if schema > SCHEMA:
                raise AlignError(f"schema {schema} is newer than this faceall, which knows {SCHEMA}: upgrade faceall")
            names = ("size", "room", "faces", "format", "min_face")
            aligned = schema > 1 and "alignment" in values
            rule = Alignment(**values["alignment"]) if aligned else CropRule(**values["crop"])
            return cls(rule=rule, **{name: values[name] for name in names})
        except AlignError:
            raise
        except (ValueError, TypeError, KeyError, FaceallError, RecursionError) as error:
            raise AlignError(f"is not a record of an alignment ({error})") from error


def read_options(folder: str | os.PathLike[str]) -> AlignOptions:
    """Read how the crops in a folder were made.

    Parameters
    ----------
    folder : str or path-like
        The folder of crops.

    Returns
    -------
    AlignOptions
        The options in its align.json.

    Raises
    ------
    AlignError
        If align.json is missing, damaged or written by a newer faceall.
    """
    path = Path(folder) / OPTIONS
    try:
        return AlignOptions.from_json(path.read_text("utf-8"))
    except AlignError as error:
        raise AlignError(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise AlignError(f"{path}: is not a record of an alignment ({error.reason})") from error
    except OSError as error:
        raise AlignError(f"{path}: cannot be read ({error.strerror}); faceall align writes it") from error


def _check(name: str, value: object, least: float, most: float) -> None:
    """Raise ValueError unless a field is a number in its range."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # type: ignore[operator]
        bounds = f"at least {least:g}" if most == math.inf else f"{least:g} .. {most:g}"
        raise ValueError(f"{name} is {value!r}, expected {bounds}")

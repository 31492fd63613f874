"""Read insightface's packed pairs (lfw.bin, cfp_fp.bin, agedb_30.bin): encoded images and labels in one pickle.

The pickle is read without running code from it. The images are aligned to ArcFace's template, so their faces are not
detected: the landmarks are those of the template.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.arguments import checked
from faceall.errors import EvaluationError, ImageError, IndexDamagedError
from faceall.evaluate.pairs import Pair
from faceall.images import read_image
from faceall.index.portable.pickles import load_plain
from faceall.models.alignment import LANDMARKS_IN_BOX, TEMPLATES
from faceall.types import Faces, Image

_EXPECTED = "expected insightface's form: a list of encoded images, two per pair, and a list of labels"


@dataclass(frozen=True, eq=False)
class PackedPairs:
    """Pairs of images that are in one file.

    Attributes
    ----------
    pairs : tuple of Pair
        The pairs; the paths are the file and a digest of the image, equal images have equal paths.
    images : dict of Path to bytes
        The encoded images.
    """

    pairs: tuple[Pair, ...]
    images: dict[Path, bytes]

    def read(self, path: Path) -> Image:
        """Decode an image, (H, W, 3) uint8 RGB.

        Raises
        ------
        ImageError
            If it is not an image.
        """
        try:
            return read_image(self.images[path])
        except ImageError as error:
            raise type(error)(str(path), error.reason) from error


class TemplateDetector:
    """Says that every image is one face, aligned to ArcFace's template."""

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """Return one face per image: the landmarks of the template, and the box that goes with them."""
        return [_aligned_face(image.shape[1], image.shape[0]) for image in images]


def _aligned_face(width: int, height: int) -> Faces:
    """Return the face of an image that is aligned to the template."""
    points = np.array(TEMPLATES["arcface-112"], np.float64) * (width, height)
    typical = np.array(LANDMARKS_IN_BOX)
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum() / ((typical - typical.mean(axis=0)) ** 2).sum())
    corner = points.mean(axis=0) - spread * typical.mean(axis=0)
    box = np.concatenate([corner, corner + spread])
    return Faces(box[None].astype(np.float32), np.ones(1, np.float32), points[None].astype(np.float32))


@checked
def read_packed_pairs(path: str | os.PathLike[str]) -> PackedPairs:
    """Read a file of packed pairs.

    Parameters
    ----------
    path : path-like
        The .bin file.

    Returns
    -------
    PackedPairs

    Raises
    ------
    EvaluationError
        If the file cannot be read, is damaged, or contains anything but images and labels.
    """
    file = Path(path)
    try:
        value = load_plain(file.read_bytes(), str(file))
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read ({error.strerror})") from error
    except IndexDamagedError as error:
        raise EvaluationError(f"{error}; {_EXPECTED}") from error
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise EvaluationError(f"{file}: is a pickle of something else; {_EXPECTED}")
    encoded, labels = value
    if not isinstance(encoded, list | tuple) or not isinstance(labels, list | tuple | np.ndarray):
        raise EvaluationError(f"{file}: is a pickle of something else; {_EXPECTED}")
    if len(encoded) != 2 * len(labels) or not len(labels):
        raise EvaluationError(f"{file}: has {len(encoded)} images and {len(labels)} labels; {_EXPECTED}")
    return _packed(file, [_bytes(file, one) for one in encoded], [_label(file, one) for one in labels])


def _packed(file: Path, encoded: list[bytes], labels: list[bool]) -> PackedPairs:
    """Name the images by their digests, so that each is embedded once."""
    paths = [file / f"{hashlib.sha256(data).hexdigest()[:16]}.jpg" for data in encoded]
    pairs = [Pair(paths[2 * place], paths[2 * place + 1], same, place + 1) for place, same in enumerate(labels)]
    return PackedPairs(tuple(pairs), dict(zip(paths, encoded, strict=True)))


def _bytes(file: Path, value: object) -> bytes:
    """Return an encoded image as bytes: a pickle of Python 2 has a text, one of MXNet an array."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode("latin1")
        except UnicodeEncodeError as error:
            raise EvaluationError(f"{file}: contains a text where an image is expected; {_EXPECTED}") from error
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 1:
        return value.tobytes()
    raise EvaluationError(f"{file}: contains a {type(value).__name__} where an image is expected; {_EXPECTED}")


def _label(file: Path, value: object) -> bool:
    """Return whether a pair shows one person."""
    if isinstance(value, bool | int | np.bool_ | np.integer) and value in (0, 1):
        return bool(value)
    raise EvaluationError(f"{file}: contains the label {str(value)[:20]!r}, expected true or false; {_EXPECTED}")

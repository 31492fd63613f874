"""Align faces: map five facial landmarks to a template by a similarity (turn, scale and shift).

The arithmetic is closed-form so that every implementation (Python, Swift, training) returns the same numbers. With the
landmarks p and the template q, both taken from their means, the similarity nearest to q in the least-squares sense is

    a = sum(px * qx + py * qy) / sum(px^2 + py^2)
    b = sum(px * qy - py * qx) / sum(px^2 + py^2)
    x' = a x - b y + tx
    y' = b x + a y + ty

where tx and ty bring the mean of the landmarks to the mean of the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.errors import ModelError
from faceall.models.preparation import _check_choice
from faceall.types import Array

Interpolation = Literal["bilinear"]
AlignmentBorder = Literal["black", "replicate"]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Template: TypeAlias = tuple[tuple[float, float], ...]

_ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))

TEMPLATES: dict[str, Template] = {
    "arcface-112": tuple((x / 112, y / 112) for x, y in _ARCFACE),
    "openvino-0095": (
        (0.31556875, 0.46157410),
        (0.68262292, 0.46157410),
        (0.50026249, 0.64050540),
        (0.34947187, 0.82469192),
        (0.65343645, 0.82469192),
    ),
}
"""Name -> five points x, y as shares of the input's width and height: the eyes, the nose, the corners of the mouth.

Left and right are those of the viewer. ``arcface-112`` is the template of ArcFace (Deng et al. 2019) and of most
embedders since; ``openvino-0095`` that of face-reidentification-retail-0095 (OpenVINO).
"""

LANDMARKS_IN_BOX = ((0.27, 0.39), (0.73, 0.39), (0.5, 0.584), (0.29, 0.754), (0.71, 0.754))
"""Where MTCNN's landmarks lie in its boxes, as shares of the box: medians over frontal faces."""

_SMALLEST_SPREAD = 0.1
"""Root mean square distance of usable landmarks from their mean, as a share of the box's side; a frontal face has
0.31."""

_LARGEST_ERROR = 0.12
"""Largest root mean square distance of aligned landmarks from the template, as a share of the input's side."""


@dataclass(frozen=True, eq=False)
class Similarities:
    """How n faces are mapped to the input of a model.

    Attributes
    ----------
    matrices : (n, 2, 3) float64
        Map points x, y, 1 of the image to the input, both in pixels; always finite and invertible.
    errors : (n,) float64
        Root mean square distance of the mapped landmarks from the template, as a share of the input's side; large for
        profiles and wrong landmarks, infinite where the landmarks could not be used.
    usable : (n,) bool
        False where the landmarks were degenerate, so that the box was aligned instead.
    """

    matrices: Array
    errors: Array
    usable: BoolArray

    def note(self, number: int) -> str:
        """Describe what is wrong with the landmarks of a face; empty if nothing is."""
        if not self.usable[number]:
            return "landmarks are degenerate; the box was aligned instead"
        if self.errors[number] > _LARGEST_ERROR:
            return "landmarks do not fit a frontal face (profile, or a wrong detection)"
        return ""


@dataclass(frozen=True)
class Alignment:
    """How a model wants faces to be aligned.

    Parameters
    ----------
    template : str or five pairs of float
        A name of `TEMPLATES`, or five points x, y as shares of the input's width and height, in the order of
        `faceall.Face.landmarks`.
    interpolation : {"bilinear"}
        How pixels are interpolated. Where a face is reduced at least twofold, areas are averaged first.
    border : {"black", "replicate"}
        What a crop shows outside the image: black, or the nearest pixel of the image.

    Raises
    ------
    ModelError
        If a choice or a point is not valid.

    References
    ----------
    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE TPAMI 13(4), 1991.
    """

    template: str | Template = "arcface-112"
    interpolation: Interpolation = "bilinear"
    border: AlignmentBorder = "black"

    def __post_init__(self) -> None:
        if isinstance(self.template, str):
            _check_choice("alignment.template", self.template, tuple(TEMPLATES))
        else:
            object.__setattr__(self, "template", _checked_template(self.template))
        _check_choice("alignment.interpolation", self.interpolation, get_args(Interpolation))
        _check_choice("alignment.border", self.border, get_args(AlignmentBorder))

    @property
    def points(self) -> Array:
        """The template, (5, 2) float64, as shares of the input's width and height."""
        template = TEMPLATES[self.template] if isinstance(self.template, str) else self.template
        return np.array(template, np.float64)

    def fit(
        self, landmarks: npt.ArrayLike, boxes: npt.ArrayLike, *, size: tuple[int, int], room: int = 0
    ) -> Similarities:
        """Fit one similarity per face.

        Degenerate landmarks (not finite, or much nearer to each other than those of a face in such a box) are replaced
        by the usual places in the box.

        Parameters
        ----------
        landmarks : (n, 5, 2) array_like
            x, y in pixels of the image.
        boxes : (n, 4) array_like
            x0, y0, x1, y1 in pixels of the image.
        size : (width, height)
            The model's input size in pixels.
        room : int
            Pixels that a crop has more than the input on each side, as for training.

        Returns
        -------
        Similarities
            One map per face.

        Raises
        ------
        ValueError
            If the numbers of landmarks and boxes differ.
        """
        points = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
        corners = _usable_boxes(np.asarray(boxes, np.float64).reshape(-1, 2, 2))
        if len(points) != len(corners):
            raise ValueError(f"there are {len(points)} rows of landmarks and {len(corners)} boxes, expected as many")
        usable = _are_usable(points, corners)
        sides = corners[:, 1:] - corners[:, :1]
        points = np.where(usable[:, None, None], points, corners[:, :1] + np.array(LANDMARKS_IN_BOX) * sides)
        target = self.points * size + room
        matrices = fit_similarities(points, target)
        mapped = points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
        errors = np.sqrt(((mapped - target) ** 2).sum(axis=2).mean(axis=1)) / np.sqrt(size[0] * size[1])
        return Similarities(matrices, np.where(usable, errors, np.inf), usable)

    def to_json(self) -> dict[str, Any]:
        """Return the alignment as plain JSON values."""
        template = self.template if isinstance(self.template, str) else [list(point) for point in self.template]
        return {"template": template, "interpolation": self.interpolation, "border": self.border}


@checked
def fit_similarities(points: Array, target: Array) -> Array:
    """Fit the least-squares similarity from each set of points to the target.

    Parameters
    ----------
    points : (n, k, 2) float64
        x, y; the points of a set must not all be equal.
    target : (k, 2) float64
        x, y.

    Returns
    -------
    (n, 2, 3) float64
        Maps points x, y, 1 to the target.
    """
    centre, target_centre = points.mean(axis=1, keepdims=True), target.mean(axis=0)
    p, q = points - centre, target - target_centre
    spread = (p**2).sum(axis=(1, 2))
    a = (p * q).sum(axis=(1, 2)) / spread
    b = (p[..., 0] * q[:, 1] - p[..., 1] * q[:, 0]).sum(axis=1) / spread
    linear = np.stack([np.stack([a, -b], axis=1), np.stack([b, a], axis=1)], axis=1)
    shift = target_centre - (linear @ centre.transpose(0, 2, 1))[..., 0]
    return np.concatenate([linear, shift[..., None]], axis=2)


def _are_usable(points: Array, corners: Array) -> BoolArray:
    """Tell which landmarks can be aligned: finite, as spread as those of a face, and near their box."""
    finite = np.asarray(np.isfinite(points).all(axis=(1, 2)))
    side = (corners[:, 1] - corners[:, 0]).mean(axis=1)
    safe = np.where(finite[:, None, None], points, 0.0)
    offsets = safe - safe.mean(axis=1, keepdims=True)
    spread = np.sqrt((offsets**2).sum(axis=2).mean(axis=1))
    far = np.abs(safe - corners.mean(axis=1, keepdims=True)).max(axis=(1, 2)) > 4 * side
    result: BoolArray = finite & (spread > _SMALLEST_SPREAD * side) & ~far
    return result


def _usable_boxes(corners: Array) -> Array:
    """Replace boxes that are not finite or have no area by one pixel, so that every face has a finite map."""
    good = np.asarray(np.isfinite(corners).all(axis=(1, 2)) & ((corners[:, 1] - corners[:, 0]) > 0).all(axis=1))
    return np.where(good[:, None, None], corners, np.array([[0.0, 0.0], [1.0, 1.0]]))


def _checked_template(template: object) -> Template:
    """Return five points as tuples; raise ModelError unless they are that, finite and not all in one place."""
    try:
        points = np.array(template, np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.shape != (5, 2) or not np.isfinite(points).all() or np.ptp(points, axis=0).min() < 0.01:
        known = ", ".join(TEMPLATES)
        raise ModelError(
            f"alignment.template is {template!r}, expected five points [x, y] as shares of the input, or one of {known}"
        )
    return tuple((float(x), float(y)) for x, y in points)

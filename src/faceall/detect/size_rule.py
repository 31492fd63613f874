"""The size rule: the smallest face that is searched for follows the size of the photo."""

from __future__ import annotations

from faceall.arguments import checked

SMALLEST_FACE = 20.0
"""Side in pixels of the smallest face that is searched for in small photos."""

SHARE = 1 / 60
"""Side of the smallest face in large photos, as a share of the shorter side of the photo."""

_ENOUGH = 24.0  # pixels of the smallest face after a reduction
_REDUCTIONS = (8, 4, 2)  # JPEGs can be decoded at these fractions


@checked
def smallest_face(width: int, height: int) -> float:
    """Return the side of the smallest face to search for, in pixels.

    A share of the shorter side, at least 20 pixels: a face that fills less of a large photo is too blurred or too
    little of the scene to be recognised (`benchmarks/smallest_face.py` measures what the rule misses).

    Parameters
    ----------
    width, height : int
        Size of the photo in pixels.
    """
    return max(SMALLEST_FACE, SHARE * min(width, height))


@checked
def reduction(width: int, height: int) -> int:
    """Return by which factor a photo may be reduced before its faces are searched: 1, 2, 4 or 8.

    The smallest face of the size rule keeps at least 24 pixels, so the same faces are found.

    Parameters
    ----------
    width, height : int
        Size of the photo in pixels.
    """
    smallest = SHARE * min(width, height)
    return next((factor for factor in _REDUCTIONS if smallest >= _ENOUGH * factor), 1)

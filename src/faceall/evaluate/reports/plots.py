"""Draw curves and histograms as SVG; colours come from the style sheet of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from faceall.evaluate.curves import Roc

_WIDTH, _HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 14, 44
_BINS = 48
_NORMAL = NormalDist()
_DET_TICKS = (1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.2, 0.4)


class _Axes:
    """A frame with ticks that maps 0 to 1 in both directions to pixels."""

    def __init__(self, across: str, up: str) -> None:
        self._parts: list[str] = []
        self._label((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, across, "label")
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        self._parts.append(
            f'<text class="label" text-anchor="middle" transform="translate(13 {middle:.0f}) rotate(-90)">{up}</text>'
        )

    def x(self, share: float) -> float:
        """Return pixels from the left."""
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, share: float) -> float:
        """Return pixels from the top; 0 is the bottom of the frame."""
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def tick_across(self, share: float, text: str) -> None:
        """Add a vertical grid line with its number below."""
        x = self.x(share)
        self._parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.y(0):.1f}" y2="{self.y(1):.1f}"/>')
        self._label(x, self.y(0) + 17, text, "tick")

    def tick_up(self, share: float, text: str) -> None:
        """Add a horizontal grid line with its number on the left."""
        y = self.y(share)
        self._parts.append(f'<line class="grid" x1="{self.x(0):.1f}" x2="{self.x(1):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        self._parts.append(f'<text class="tick" text-anchor="end" x="{_LEFT - 7}" y="{y + 4:.1f}">{text}</text>')

    def draw(self, element: str) -> None:
        """Add any other SVG element."""
        self._parts.append(element)

    def svg(self, title: str) -> str:
        """Return the whole drawing."""
        frame = f'<path class="axis" d="M{self.x(0):.1f} {self.y(1):.1f}V{self.y(0):.1f}H{self.x(1):.1f}"/>'
        inside = "".join([*self._parts, frame])
        return (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}" '
            f'xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
        )

    def _label(self, x: float, y: float, text: str, kind: str) -> None:
        """Add centred text."""
        self._parts.append(f'<text class="{kind}" text-anchor="middle" x="{x:.1f}" y="{y:.1f}">{text}</text>')


def roc_svg(curves: Sequence[Roc]) -> str:
    """Draw the ROCs of several models in one frame.

    Parameters
    ----------
    curves : sequence of Roc
        One per model.

    Returns
    -------
    str
        SVG. The false-accept rate is logarithmic; it starts at the power of ten at or below one non-mated pair.
    """
    smallest = min(float(curve.false_accept[curve.false_accept > 0].min()) for curve in curves)
    decades = max(1, math.ceil(-math.log10(smallest) - 1e-9))
    left = 10.0**-decades
    lowest = min(curve.at(left)[1] for curve in curves)
    step = _round_step(1 - lowest)
    bottom = max(0.0, 1 - step * max(1, math.ceil((1 - lowest) / step - 1e-9)))
    axes = _Axes("false-accept rate", "true-accept rate")
    for decade in range(decades + 1):
        axes.tick_across(1 - decade / decades, "1" if decade == 0 else f"{10.0**-decade:g}")
    for rate in np.arange(1, bottom - step / 2, -step):
        axes.tick_up(float(rate - bottom) / (1 - bottom), f"{max(0.0, rate):.3g}")
    for number, curve in enumerate(curves):
        seen = curve.false_accept >= left
        across = [0.0, *(1 + np.log10(curve.false_accept[seen]) / decades)]
        up = [curve.at(left)[1], *curve.true_accept[seen]]
        points = [(axes.x(a), axes.y((b - bottom) / (1 - bottom))) for a, b in zip(across, up, strict=True)]
        axes.draw(f'<path class="curve c{number % 6}" d="{_stairs(points)}"/>')
    return axes.svg("ROC")


def det_svg(curves: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> str:
    """Draw detection error trade-off (DET) curves: FNMR over FMR, both on normal-deviate axes.

    Parameters
    ----------
    curves : sequence of (FMR, FNMR)
        One per model, FMR ascending.

    Returns
    -------
    str
        SVG.

    References
    ----------
    A. Martin et al.: The DET curve in assessment of detection task performance. Eurospeech (1997).
    """
    drawn = [(np.asarray(across, np.float64), np.asarray(up, np.float64)) for across, up in curves]
    rates = np.concatenate([rate for curve in drawn for rate in curve])
    least = min((float(rate) for rate in rates if rate > 0), default=1e-2)
    low = max((tick for tick in _DET_TICKS[:4] if tick <= least), default=_DET_TICKS[0])
    ticks = [tick for tick in _DET_TICKS if tick >= low]
    left, right = _NORMAL.inv_cdf(low), _NORMAL.inv_cdf(_DET_TICKS[-1])

    def share(rate: float) -> float:
        return (_NORMAL.inv_cdf(min(max(rate, low), _DET_TICKS[-1])) - left) / (right - left)

    axes = _Axes("FMR (per comparison)", "FNMR")
    for tick in ticks:
        axes.tick_across(share(tick), f"{100 * tick:g} %")
        axes.tick_up(share(tick), f"{100 * tick:g} %")
    for number, (across, up) in enumerate(drawn):
        points = [(axes.x(share(x)), axes.y(share(y))) for x, y in zip(across.tolist(), up.tolist(), strict=True)]
        axes.draw(f'<path class="curve c{number % 6}" d="{_stairs(points)}"/>')
    return axes.svg("DET")


def misses_svg(curves: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> str:
    """Draw FNIR over FPIR of several models; each curve is (FPIR, FNIR), FPIR ascending, on a logarithmic axis."""
    drawn = [(np.log10(np.asarray(across, np.float64)), np.asarray(up, np.float64)) for across, up in curves]
    decades = max(1, math.ceil(-min(float(across.min()) for across, _ in drawn) - 1e-9))
    axes, top = _from_zero("FPIR", "FNIR", max(float(up.max()) for _, up in drawn))
    for decade in range(decades + 1):
        axes.tick_across(1 - decade / decades, f"{10.0**-decade:g}")
    for number, (across, up) in enumerate(drawn):
        axes.draw(_line(axes, number, 1 + across / decades, up / top))
    return axes.svg("FNIR over FPIR")


def cmc_svg(curves: Sequence[Sequence[float]]) -> str:
    """Draw the cumulative match characteristics of several models: 1 minus the share found within each rank."""
    axes, top = _from_zero("rank", "share not found", max(1 - min(curve) for curve in curves))
    longest = max(len(curve) for curve in curves)
    for rank in range(1, longest + 1, max(1, longest // 5)):
        axes.tick_across((rank - 1) / max(1, longest - 1), str(rank))
    for number, curve in enumerate(curves):
        across = np.arange(len(curve)) / max(1, longest - 1)
        axes.draw(_line(axes, number, across, (1 - np.asarray(curve)) / top))
    return axes.svg("CMC")


def _from_zero(across: str, up: str, highest: float) -> tuple[_Axes, float]:
    """Return a frame that reaches from 0 to at least `highest`, with ticks, and its upper end."""
    step = _round_step(max(highest, 1e-3))
    top = step * max(1, math.ceil(highest / step - 1e-9))
    axes = _Axes(across, up)
    for height in np.arange(0, top + step / 2, step):
        axes.tick_up(float(height) / top, f"{100 * height:.3g} %")
    return axes, top


def _line(axes: _Axes, number: int, across: npt.NDArray[np.float64], up: npt.NDArray[np.float64]) -> str:
    """Return the curve of a model through points in units of the frame."""
    points = " ".join(f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in zip(across.tolist(), up.tolist(), strict=True))
    return f'<path class="curve c{number % 6}" d="M{points}"/>'


def _stairs(points: Sequence[tuple[float, float]]) -> str:
    """Return a path of horizontal and vertical steps."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    parts += [f"H{x:.1f}V{y:.1f}" for x, y in points[1:]]
    return "".join(parts)


def histogram_svg(distances: npt.ArrayLike, same: npt.ArrayLike, threshold: float) -> str:
    """Draw the distributions of the distances of mated and non-mated pairs, with the threshold.

    Parameters
    ----------
    distances : (n,) array_like
        Squared L2.
    same : (n,) array_like of bool
        Whether a pair shows one person.
    threshold : float
        Squared L2.

    Returns
    -------
    str
        SVG.
    """
    values, truth = np.asarray(distances, np.float64), np.asarray(same, bool)
    right = max(0.5, math.ceil(max(float(values.max()), threshold) * 2 + 1e-9) / 2)
    edges = np.linspace(0, right, _BINS + 1)
    shares = [np.histogram(values[kind], edges)[0] / max(1, int(kind.sum())) for kind in (truth, ~truth)]
    highest = max(float(share.max()) for share in shares)
    step = _round_step(highest)
    top = step * math.ceil(highest / step - 1e-9)
    axes = _Axes("squared distance", "share of pairs")
    for distance in np.arange(0, right + 0.25, 0.5):
        axes.tick_across(float(distance) / right, f"{distance:g}")
    for height in np.arange(0, top + step / 2, step):
        axes.tick_up(float(height) / top, f"{100 * height:.3g} %")
    for kind, heights in zip(("same", "other"), shares, strict=True):
        axes.draw(f'<path class="bars {kind}" d="{_outline(axes, heights / top)}"/>')
    x = axes.x(min(1.0, threshold / right))
    axes.draw(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{axes.y(0):.1f}" y2="{axes.y(1):.1f}"/>')
    axes.draw(f'<text class="tick" x="{x + 5:.1f}" y="{axes.y(1) + 10:.1f}">{threshold:.2f}</text>')
    return axes.svg("distances")


def _round_step(length: float) -> float:
    """Return the step for about five ticks on a length: 1, 2 or 5 times a power of ten."""
    rough = max(length, 1e-6) / 5
    power = float(10.0 ** math.floor(math.log10(rough)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _outline(axes: _Axes, heights: npt.NDArray[np.float64]) -> str:
    """Return the outline of a histogram as a path."""
    parts = [f"M{axes.x(0):.1f} {axes.y(0):.1f}"]
    for number, height in enumerate(heights):
        parts.append(f"V{axes.y(float(height)):.1f}H{axes.x((number + 1) / len(heights)):.1f}")
    return "".join([*parts, f"V{axes.y(0):.1f}Z"])

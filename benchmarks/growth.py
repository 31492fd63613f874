"""Plot how a cost grows, with the exponent of a power law fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from index_growth import exponent


@dataclass(frozen=True)
class Growth:
    """Seconds by size.

    Attributes
    ----------
    size, cost : str
        What the axes show.
    points : list of (int, float)
        Size and seconds, ascending.
    """

    size: str
    cost: str
    points: list[tuple[int, float]]


def draw(found: list[Growth], path: Path) -> None:
    """Draw one diagram beside the other."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "speeds", "svg.fonttype": "none"}
    from matplotlib import pyplot

    figure, diagrams = pyplot.subplots(1, len(found), figsize=(4 * len(found), 3.5))
    for axes, growth in zip(diagrams, found, strict=True):
        sizes, seconds = zip(*growth.points, strict=True)
        axes.loglog(sizes, seconds, "o-", color="#1b6ca8", label=f"n^{exponent(sizes, seconds):.2f}")
        axes.set_xlabel(growth.size)
        axes.set_ylabel(growth.cost)
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})

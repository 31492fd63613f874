"""Plot how the cost of a search grows with the number of vectors, from the JSON file of `index.py`.

Usage: python benchmarks/index_growth.py PLOT.svg FILE.json...
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7b4b94")


def exponent(counts: Any, times: Any) -> float:
    """Fit the slope of log(time) over log(count) by least squares."""
    return float(np.polyfit(np.log(counts), np.log(times), 1)[0])


def series(rows: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Return (count, microseconds per query), ascending, by kind of graph and recall."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        graph = f"{row['vectors']}, {row['dimension']} numbers, M {row['links']}, build {row['build effort']}"
        for wished in (0.95, 0.99):
            found.setdefault(f"{graph}, recall {wished}", []).append((row["count"], row[f"p50 us at {wished}"]))
    return {name: sorted(points) for name, points in found.items() if len(points) > 1}


def draw(found: dict[str, list[tuple[int, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "index", "svg.fonttype": "none"}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 6))
    for number, (name, points) in enumerate(found.items()):
        counts, times = zip(*points, strict=True)
        label = f"{name}: n^{exponent(counts, times):.2f}"
        axes.loglog(counts, times, "o-" if "0.99" in name else "o--", color=COLOURS[number // 2 % 4], label=label)
    axes.set_xlabel("vectors")
    axes.set_ylabel("one query, median, microseconds")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    given = parser.parse_args()
    found = series([row for file in given.files for row in json.loads(file.read_text(encoding="utf-8"))["rows"]])
    for name, points in found.items():
        print(f"{name}: n^{exponent(*zip(*points, strict=True)):.3f} over {points}")
    draw(found, given.image)


if __name__ == "__main__":
    main()

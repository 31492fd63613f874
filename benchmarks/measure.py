"""Shared code of the benchmarks: run candidates in turns, take medians, print a table, write JSON."""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REST = 0.3
"""Seconds between two candidates: worker threads of the previous one may keep spinning and would slow the next."""


def alternate(candidates: Mapping[str, Callable[[], Any]], rounds: int = 7) -> dict[str, float]:
    """Run the candidates in turns (A B A B) after one warm-up round; return the median seconds of each."""
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            time.sleep(REST)
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows with equal keys as an aligned table."""
    cells = [[str(key) for key in rows[0]], *[[_text(value) for value in row.values()] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def write_json(path: str | None, rows: list[dict[str, Any]]) -> None:
    """Write the rows and a description of the machine, if `path` is given."""
    if path is None:
        return
    machine = {"processor": processor(), "python": sys.version.split()[0], "system": platform.platform()}
    Path(path).write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def processor() -> str:
    """Return the name of the processor and the number of available cores (Linux)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()

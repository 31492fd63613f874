"""Damaged and hostile files of every format that faceall reads: a result or one clear line, in time and memory.

Usage: scripts/fuzz [FORMAT ...] [--cases 2000] [--seed 0] [--engine NAME]
Each case is a number: the same number makes the same file. One that broke is shown with its number; run it again with
--seed NUMBER --cases 1 --keep FOLDER, which leaves its file there.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fuzz_formats import FORMATS
from fuzz_judge import Verdict, judge


def verdicts(name: str, seeds: range, *, engine: str | None = "reference") -> Iterator[tuple[int, Verdict]]:
    """Each seed's file, used as a user would."""
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="faceall-fuzz-") as folder:
            path = FORMATS[name].write(Path(folder), random.Random(f"{name} {seed}"))
            yield seed, judge(lambda path=path: FORMATS[name].use(path, engine))  # type: ignore[misc]


def summary(name: str, seeds: range, engine: str | None) -> tuple[str, int]:
    """A row of the table, and how many broke."""
    count: Counter[str] = Counter()
    seconds, memory = 0.0, 0
    for seed, verdict in verdicts(name, seeds, engine=engine):
        count[verdict.outcome] += 1
        seconds, memory = max(seconds, verdict.seconds), max(memory, verdict.memory)
        if verdict.outcome == "broke":
            print(f"{name}, case {seed}: {verdict.text}", flush=True)
    cells = [name, len(seeds), count["refused"], count["fine"], count["broke"], f"{seconds:.1f}", memory >> 20]
    return f"| {' | '.join(map(str, cells))} |", count["broke"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(FORMATS)}; default: all")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="the first case's number")
    parser.add_argument("--engine", default="reference", help="what runs the nets; 'default': faceall's own choice")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the cases' files there, without using them")
    options = parser.parse_args()
    if unknown := set(options.formats) - set(FORMATS):
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(FORMATS)}")
    seeds = range(options.seed, options.seed + options.cases)
    names = options.formats or list(FORMATS)
    if options.keep:
        for name in names:
            keep(name, seeds, options.keep)
        return
    rows = ["| format | cases | refused in one line | read | broke | s, longest | MB, most |", f"|---{'|---:' * 6}|"]
    broke = 0
    for name in names:
        row, failures = summary(name, seeds, None if options.engine == "default" else options.engine)
        print(row, flush=True)
        rows.append(row)
        broke += failures
    print("\n".join(["", *rows]))
    raise SystemExit(min(broke, 1))


def keep(name: str, seeds: range, folder: Path) -> None:
    """Write the files of the cases into folders of their own."""
    for seed in seeds:
        place = folder / f"{name}-{seed}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        print(FORMATS[name].write(place, random.Random(f"{name} {seed}")))


if __name__ == "__main__":
    main()

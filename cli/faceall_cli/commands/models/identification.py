"""`faceall evaluate --protocol open-set`: measure 1:N identification."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceall_cli.commands.models.verification import Models, print_comparison, print_ratio, rate_cells
from faceall_cli.console import Console, counted, shown

if TYPE_CHECKING:
    from faceall.evaluate import Factor, Identification, PartedSearches, SearchOutcomes


@dataclass(frozen=True)
class SearchAdditions:
    """What is computed from the searches: rates of groups, rates by properties, comparisons with earlier results."""

    groups: Mapping[str, str] | None
    factors: tuple[Factor, ...]
    earlier: Sequence[tuple[str, SearchOutcomes]]

    def add_to(self, found: Identification, folder: Path) -> Identification:
        """Return the evaluation with the additions; the groups name images and people below `folder`."""
        from faceall.evaluate import add_search_factors, add_search_groups, compare_identification

        if self.groups is not None:
            found = add_search_groups(found, self.groups, folder=folder)
        return compare_identification(add_search_factors(found, self.factors), self.earlier)


def read_search_additions(groups: Path | None, factors: tuple[Factor, ...], earlier: Path | None) -> SearchAdditions:
    """Read the groups and the earlier report."""
    from faceall.evaluate import read_groups, read_searches

    known = None if groups is None else read_groups(groups)
    return SearchAdditions(known, factors, () if earlier is None else read_searches(earlier))


def evaluate_open_set(
    console: Console,
    folder: Path,
    models: Models,
    *,
    people: int | None,
    repeat: int,
    flip: bool,
    speed: bool,
) -> Identification:
    """Evaluate embedders on searches; show the progress."""
    from faceall.detect import Detector
    from faceall.evaluate import OpenSetOptions, evaluate_identification, read_people

    listed, finder = read_people(folder), Detector(models.detector or "mtcnn")
    options = OpenSetOptions(size=people, repeat=repeat, flip=flip, speed=speed)
    with console.progress(0, "images") as bar:
        return evaluate_identification(listed, models.embedders, finder, options, progress=bar.move_to)


def print_open_set(console: Console, found: Identification) -> None:
    """Print one row or record per model, and what failed."""
    common = {key: value for key, value in found.to_json().items() if key != "models"}
    for result in found.results:
        console.record({**result.to_json(), **common})
    rows = _rates_table(found)
    console.table(rows, right=frozenset(range(2, len(rows[0]))))
    console.line(
        f"{counted(found.repeat, 'random gallery', 'random galleries')} of {counted(found.people, 'person', 'people')},"
        f" {counted(found.strangers, 'stranger')}; 95 % intervals in brackets; ? marks too few strangers"
    )
    for result in found.results:
        for part in result.parts:
            _print_parts(console, result.name, part)
        for comparison in result.comparisons:
            print_comparison(console, comparison)
    for image in found.unusable:
        console.complain(f"faceall: {shown(image.message)}")
    if found.unusable:
        console.complain(f"faceall: {counted(len(found.unusable), 'failure')} to acquire, counted as misses")


def _rates_table(found: Identification) -> list[tuple[str, ...]]:
    """Return a header and one row per model."""
    heading = ["model", "precision", *(f"FNIR @ FPIR {point.fpir:.1%}" for point in found.results[0].points), "rank 1"]
    if found.results[0].speed:
        heading += ["faces/s", "16 at once"]
    rows = [tuple(heading)]
    for result in found.results:
        cells = [
            f"{point.fnir:.2%} [{point.interval[0]:.1%}, {point.interval[1]:.1%}]{'' if point.supported else ' ?'}"
            for point in result.points
        ]
        speed = [] if result.speed is None else [f"{result.speed.alone:.0f}", f"{result.speed.batch:.0f}"]
        rows.append((result.name, result.precision, *cells, f"{result.cmc[0]:.2%}", *speed))
    return rows


def _print_parts(console: Console, model: str, found: PartedSearches) -> None:
    """Print the rates of groups, or by a property of the faces."""
    rows: list[tuple[str, ...]] = [(found.by, "known people", "FNIR", "", "strangers", "FPIR", "")]
    for part in found.parts:
        known = f"{part.known:,}", *rate_cells(part.fnir, part.fnir_interval)
        rows.append((part.name, *known, f"{part.strangers:,}", *rate_cells(part.fpir, part.fpir_interval)))
    console.line(f"{shown(model)}, threshold {found.threshold:.3f} (FPIR {found.fpir:.2%} of all searches):")
    console.table(rows, indent="  ", right=frozenset(range(1, 7)))
    for ratio in found.ratios:
        print_ratio(console, ratio)
    if found.unknown:
        console.remark(f"{counted(found.unknown, 'person', 'people')} without a known {found.by}")


def write_open_set(
    console: Console, folder: Path, found: Identification, *, json_file: str, html_file: str, worst: int
) -> None:
    """Write the JSON and HTML files."""
    from faceall.evaluate import identification_html
    from faceall_cli.files import write_whole

    text = json.dumps(found.to_json(searches=True), indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / json_file, text.encode("utf-8", "backslashreplace"))
    write_whole(folder / html_file, identification_html(found, worst=worst).encode("utf-8", "backslashreplace"))
    console.remark(f"wrote {shown(folder / json_file)} and {shown(folder / html_file)}")

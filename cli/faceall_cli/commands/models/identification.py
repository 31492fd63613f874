"""`faceall evaluate --protocol open-set`: measure 1:N identification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from faceall_cli.commands.models.verification import print_comparison
from faceall_cli.console import Console, counted, shown

if TYPE_CHECKING:
    from faceall.embed import Embedder
    from faceall.evaluate import Identification


def evaluate_open_set(
    console: Console,
    folder: Path,
    embedders: list[Embedder],
    *,
    people: int | None,
    repeat: int,
    flip: bool,
    earlier: Path | None,
) -> Identification:
    """Evaluate and print the results."""
    from faceall.detect import Detector
    from faceall.evaluate import compare_identification, evaluate_identification, read_people, read_searches

    stored = [] if earlier is None else read_searches(earlier)
    listed = read_people(folder)
    with console.progress(0, "images") as bar:
        found = evaluate_identification(
            listed, embedders, Detector(), size=people, repeat=repeat, flip=flip, progress=bar.move_to
        )
    found = compare_identification(found, stored)
    common = {key: value for key, value in found.to_json().items() if key != "models"}
    for result in found.results:
        console.record({**result.to_json(), **common})
    heading = ("model", "precision", *(f"FNIR @ FPIR {point.fpir:.1%}" for point in found.results[0].points), "rank 1")
    rows = []
    for result in found.results:
        cells = [
            f"{point.fnir:.2%} [{point.interval[0]:.1%}, {point.interval[1]:.1%}]{'' if point.supported else ' ?'}"
            for point in result.points
        ]
        rows.append((result.name, result.precision, *cells, f"{result.cmc[0]:.2%}"))
    console.table([heading, *rows], right=frozenset(range(2, len(heading))))
    console.line(
        f"{counted(found.repeat, 'random gallery', 'random galleries')} of {counted(found.people, 'person', 'people')},"
        f" {counted(found.strangers, 'stranger')}; 95 % intervals in brackets; ? marks too few strangers"
    )
    for result in found.results:
        for comparison in result.comparisons:
            print_comparison(console, comparison)
    for image in found.unusable:
        console.complain(f"faceall: {shown(image.message)}")
    if found.unusable:
        console.complain(f"faceall: {counted(len(found.unusable), 'failure')} to acquire, counted as misses")
    return found


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

"""`faceall calibrate`: choose the gallery's threshold on its own people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall_cli.commands.gallery.people import open_existing
from faceall_cli.console import Console, counted, shown
from faceall_cli.options import gallery_option, output_options

if TYPE_CHECKING:
    from faceall.evaluate import CalibrationReport


@click.command()
@click.option(
    "--false-accept-rate",
    "rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=1e-3,
    show_default=True,
    help="How often a face may be taken for a given other person.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be chosen.")
@click.option("--forget", is_flag=True, help="Remove the gallery's threshold; the model's own counts again.")
@gallery_option
@output_options
def calibrate(console: Console, rate: float, dry_run: bool, forget: bool, gallery: Path | None) -> None:
    """Choose the distance up to which faces match, on the people of the gallery.

    Every face is left out in turn and compared with the nearest face of every person. The threshold lets the wished
    share of comparisons of two people through; it is stored in the gallery, and `faceall search` says on which side of
    it a match lies. A rate needs many people: 0.01 needs 15, 0.001 needs 46.
    """
    from faceall.evaluate import calibrate as choose

    with open_existing(gallery) as opened:
        if forget:
            opened.calibration = None
            console.record({"forgotten": True})
            console.line("the gallery has no threshold of its own any more")
            return
        report = choose(opened, false_accept_rate=rate)
        if not dry_run:
            opened.calibration = report.calibration
        _print_report(console, report, stored=not dry_run)


def _print_report(console: Console, report: CalibrationReport, *, stored: bool) -> None:
    found = report.calibration
    nearest = [asdict(pair) for pair in report.nearest]
    console.record({**asdict(found), "sampled": report.sampled, "nearest": nearest, "stored": stored})
    low, high = found.interval
    rate = f"a false-accept rate of {found.false_accept_rate:g}"
    console.line(f"threshold {found.threshold:.4f} [{low:.4f}, {high:.4f}] for {rate}")
    if found.false_reject_rate is None or found.false_reject_interval is None:
        console.line("false rejections are unknown: nobody has two faces")
    else:
        low, high = found.false_reject_interval
        console.line(f"it rejects {found.false_reject_rate:.2%} [{low:.2%}, {high:.2%}] of the faces of known people")
    what = "a sample of " if report.sampled else ""
    console.line(f"from {what}{counted(found.faces, 'face')} of {counted(found.people, 'person', 'people')}")
    for pair in report.nearest:
        console.remark(f"nearest: {shown(pair.first)} and {shown(pair.second)}, {pair.distance:.3f}")
    console.remark("stored; faceall search uses it" if stored else "not stored")

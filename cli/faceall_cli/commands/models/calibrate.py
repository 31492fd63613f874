"""`faceall calibrate`: choose the threshold of searches on the people of the gallery."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall_cli.commands.gallery.people import open_existing
from faceall_cli.console import Console, counted, shown
from faceall_cli.options import gallery_option, output_options
from faceall_cli.records import threshold_of

if TYPE_CHECKING:
    from faceall.evaluate import CalibrationReport
    from faceall.gallery import Gallery


@click.command()
@click.option(
    "--fpir",
    type=click.FloatRange(0, 0.5, min_open=True),
    help="Target FPIR: the share of searches for strangers that return a name. Default: 0.01.",
)
@click.option(
    "--false-accept-rate",
    "rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Instead, a false match rate per comparison: how often a face is taken for a given other person.",
)
@click.option("--dry-run", is_flag=True, help="Print the result, store nothing.")
@click.option("--forget", is_flag=True, help="Restore the defaults: an FPIR of 0.01, no threshold per comparison.")
@gallery_option
@output_options
def calibrate(
    console: Console, fpir: float | None, rate: float | None, dry_run: bool, forget: bool, gallery: Path | None
) -> None:
    """Choose the match threshold from the people of the gallery.

    With --fpir, every person is left out of the gallery once and searched for; the threshold lets the target share of
    these strangers through, and is updated as people are added. With --false-accept-rate, the threshold lets
    a share of the comparisons of two people through, whatever the size of the gallery.
    """
    if fpir is not None and rate is not None:
        raise click.UsageError("--fpir and --false-accept-rate exclude each other", click.get_current_context())
    with open_existing(gallery) as opened:
        if forget:
            opened.calibration = None
            opened.choose_fpir(None)
            console.record({"forgotten": True})
            console.line("searches use an FPIR of 0.01 again")
        elif rate is not None:
            _calibrate_pairs(console, opened, rate, dry_run)
        else:
            _calibrate_searches(console, opened, fpir or 0.01, dry_run)


def _calibrate_pairs(console: Console, opened: Gallery, rate: float, dry_run: bool) -> None:
    """Choose a threshold for a false match rate per comparison."""
    from faceall.evaluate import calibrate as choose

    report = choose(opened, false_accept_rate=rate)
    if not dry_run:
        opened.calibration = report.calibration
    _print_report(console, report, stored=not dry_run)


def _calibrate_searches(console: Console, opened: Gallery, fpir: float, dry_run: bool) -> None:
    """Choose a threshold for a false-positive identification rate."""
    from faceall.evaluate import calibrate_searches

    found = calibrate_searches(opened, fpir=fpir, model_manifest=opened.installed_manifest)
    if not dry_run:
        opened.calibration = None
        opened.choose_fpir(fpir)
    threshold = threshold_of(found.threshold, "calibration")
    chosen = {"fpir": found.fpir, "people": found.people, "interval": found.interval}
    console.record({**asdict(found), "threshold": threshold | chosen, "stored": not dry_run})
    low, high = found.interval
    console.line(f"threshold {found.threshold:.4f} for an FPIR of at most {found.fpir:.2%}, with a confidence of 80 %")
    console.line(f"the FPIR is {found.fpir:.2%} at a threshold in [{low:.4f}, {high:.4f}] (95 % interval)")
    if found.fnir is None or found.fnir_interval is None:
        console.line("the FNIR is unknown: no person has two faces")
    else:
        low, high = found.fnir_interval
        console.line(f"FNIR {found.fnir:.2%} [{low:.2%}, {high:.2%}]: share of known people who are not found")
    what = "a sample of " if found.sampled else ""
    console.line(f"from {what}{counted(found.faces, 'face')} of {counted(found.people, 'person', 'people')}")
    if found.extrapolated:
        needed = f"{math.ceil(1 / found.fpir - 1e-9):,}"
        console.remark(f"{needed} people are needed to observe this rate: it is extrapolated from the model's scores")
    console.remark("not stored" if dry_run else "stored; faceall search uses it")


def _print_report(console: Console, report: CalibrationReport, *, stored: bool) -> None:
    """Print a calibration per comparison."""
    found = report.calibration
    nearest = [asdict(pair) for pair in report.nearest]
    threshold = threshold_of(found.threshold, "calibration", found.false_accept_rate)
    values = {"sampled": report.sampled, "nearest": nearest, "stored": stored}
    console.record({**asdict(found), "threshold": threshold, **values})
    low, high = found.interval
    rate = f"a false match rate of {found.false_accept_rate:g} per comparison"
    console.line(f"threshold {found.threshold:.4f} [{low:.4f}, {high:.4f}] for {rate}")
    if found.false_reject_rate is None or found.false_reject_interval is None:
        console.line("false rejections are unknown: no person has two faces")
    else:
        low, high = found.false_reject_interval
        console.line(f"it rejects {found.false_reject_rate:.2%} [{low:.2%}, {high:.2%}] of the faces of known people")
    what = "a sample of " if report.sampled else ""
    console.line(f"from {what}{counted(found.faces, 'face')} of {counted(found.people, 'person', 'people')}")
    for pair in report.nearest:
        console.remark(f"nearest: {shown(pair.first)} and {shown(pair.second)}, {pair.distance:.3f}")
    console.remark("stored; faceall search uses it" if stored else "not stored")

"""Render error rates by group or property, and comparisons of models, for the HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from faceall.evaluate.curves import Interval
from faceall.evaluate.evaluation import ModelResult
from faceall.evaluate.search_parts import PartedSearches
from faceall.evaluate.verification.comparison import PairedComparison
from faceall.evaluate.verification.groups import PartedRates, Ratio
from faceall.evaluate.verification.images import UNITS

_DISCORDANT = {
    "pair": "At an FMR of 1 % per comparison the first model alone accepts {:,} pairs of one person, the second alone"
    " {:,}",
    "search": "At an FPIR of 1 % the first model alone finds {:,} people of the first gallery, the second alone {:,}",
}


def differences_html(result: ModelResult) -> str:
    """Render the parts and comparisons of one model; empty if there are none."""
    parts = "".join(map(_parts, result.parts))
    compared = "".join(map(comparison_html, result.comparisons))
    if not parts + compared:
        return ""
    return f"<section><h2>Differences: {escape(result.name)}, {result.precision}</h2>{parts}{compared}</section>"


def _parts(found: PartedRates) -> str:
    """Render one table of rates."""
    units = next((f" ({text})" for factor, text in UNITS.items() if factor == found.by), "")
    rows = [
        f"<th>{escape(part.name)}</th><td>{part.people:,}</td>"
        f"<td>{part.non_mated:,}</td>{_rate(part.fmr, part.fmr_interval)}"
        f"<td>{part.mated:,}</td>{_rate(part.fnmr, part.fnmr_interval)}"
        for part in found.parts
    ]
    heads = (found.by, "people", "pairs of two people", "FMR", "pairs of one person", "FNMR")
    which = "every image with every other one" if found.all_comparisons else "the listed pairs"
    unknown = (
        f" {found.unknown:,} {'images' if found.by == 'group' else 'pairs'} are not known." if found.unknown else ""
    )
    return (
        f"<h3>By {escape(found.by)}{escape(units)}</h3>{_table(heads, rows)}"
        f"<p><small>Threshold {found.threshold:.3f} for all, FMR {found.fmr:.2%} per comparison; {which}. "
        f"{_ratios(found.ratios)}{unknown}</small></p>"
    )


def searches_html(found: PartedSearches) -> str:
    """Render one table of the rates of searches."""
    units = next((f" ({text})" for factor, text in UNITS.items() if factor == found.by), "")
    rows = [
        f"<th>{escape(part.name)}</th><td>{part.known:,}</td>{_rate(part.fnir, part.fnir_interval)}"
        f"<td>{part.strangers:,}</td>{_rate(part.fpir, part.fpir_interval)}"
        for part in found.parts
    ]
    heads = (found.by, "known people", "FNIR", "strangers", "FPIR")
    unknown = f" Not known of {found.unknown:,} people." if found.unknown > 1 else " Not known of 1 person."
    unknown = unknown if found.unknown else ""
    return (
        f"<h3>By {escape(found.by)}{escape(units)}</h3>{_table(heads, rows)}"
        f"<p><small>Threshold {found.threshold:.3f} for all, FPIR {found.fpir:.2%} of all searches. "
        f"{_ratios(found.ratios)}{unknown}</small></p>"
    )


def _ratios(ratios: Sequence[Ratio]) -> str:
    """Render the worst and the best group by each rate."""
    return " ".join(
        f"{ratio.rate}: {escape(ratio.worst)} to {escape(ratio.best)}, "
        f"{'no errors in the best group' if ratio.value is None else f'{ratio.value:.2f} times'} "
        f"[{ratio.interval[0]:.2f}, {'∞' if ratio.interval[1] is None else f'{ratio.interval[1]:.2f}'}]."
        for ratio in ratios
    )


def comparison_html(found: PairedComparison) -> str:
    """Render one comparison with another model."""
    rows = [
        f"<th>{row.rate}</th><td>{row.value:.2%}</td><td>{row.other:.2%}</td>"
        f"<td>{100 * (row.value - row.other):+.2f} points<small>{100 * row.interval[0]:+.2f} to "
        f"{100 * row.interval[1]:+.2f}</small></td><td>{row.p:.3f}</td>"
        for row in found.differences
    ]
    heads = ("rate", escape(found.model), escape(found.other), "difference", "p")
    verdict = "no significant difference" if found.better is None else f"{escape(found.better)} is better"
    return (
        f"<h3>Compared with {escape(found.other)}: {verdict}</h3>{_table(heads, rows)}"
        f"<p><small>{found.pairs:,} {'common pairs' if found.unit == 'pair' else 'searches of known people'}. "
        f"{_DISCORDANT[found.unit].format(found.only_model, found.only_other)} (McNemar, p = {found.mcnemar_p:.3f})."
        "</small></p>"
    )


def _rate(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "<td>-</td>"
    small = f"<small>{interval[0]:.2%} to {interval[1]:.2%}</small>" if interval else ""
    return f"<td>{value:.2%}{small}</td>"


def _table(heads: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'

"""Render an evaluation as one self-contained HTML file: tables, curves and the worst pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from faceall.arguments import checked
from faceall.evaluate.evaluation import Evaluation, ModelResult
from faceall.evaluate.folds import Scores
from faceall.evaluate.pairs import Pair
from faceall.evaluate.reports.differences import differences_html
from faceall.evaluate.reports.plots import det_svg, histogram_svg, roc_svg
from faceall.evaluate.reports.style import STYLE
from faceall.evaluate.reports.thumbnails import Thumbnails
from faceall.types import Int64Array
from faceall.version import __version__

WORST = 8
"""Default number of pairs of each kind that are shown per model."""

_LISTED = 100  # unusable images


@checked
def report_html(found: Evaluation, *, title: str = "Face verification report", worst: int = WORST) -> str:
    """Render the report of an evaluation.

    Parameters
    ----------
    found : Evaluation
        The evaluation. Its image files are read again for thumbnails; missing files are left blank.
    title : str
        Title of the page.
    worst : int
        Number of pairs of each kind that are shown per model.

    Returns
    -------
    str
        The text of the HTML file.
    """
    thumbnails = Thumbnails(found.faces, found.read)
    sections = [
        f"<header><h1>{escape(title)}</h1>{_facts(found)}</header>",
        f"<section>{_error_rates(found)}</section>",
        f"<section>{_figures(found)}</section>",
        _curves(found),
        *map(differences_html, found.results),
        *(_worst_pairs(found, result, thumbnails, worst) for result in found.results),
        _unusable(found),
        f"<footer>{_method(found)}</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main></body></html>\n"
    )


def _facts(found: Evaluation) -> str:
    """Render the counts at the top."""
    same = int(found.same.sum())
    facts = [
        (f"{len(found.pairs):,}", "pairs used"),
        (f"{same:,}", "of one person"),
        (f"{len(found.pairs) - same:,}", "of two people"),
        (f"{len(found.left_out):,}", "pairs left out"),
        (f"{len(found.faces):,}", "images with a face"),
        (f"{found.folds}", "folds"),
    ]
    return '<dl class="facts">' + "".join(f"<div><dd>{n}</dd><dt>{what}</dt></div>" for n, what in facts) + "</dl>"


def _name(result: ModelResult) -> str:
    """Return the name and precision of a model."""
    return escape(f"{result.name}, {result.precision}")


def _swatch(number: int) -> str:
    """Render the colour of a model."""
    return f'<i class="swatch c{number % 6}"></i>'


def _figures(found: Evaluation) -> str:
    """Render the table of results."""
    rates = [validation.wanted for validation in found.results[0].scores["squared_l2"].validations]
    heads = ["model", "dimensions", "accuracy", *[f"VAL at FAR {rate:g}" for rate in rates], "AUC", "EER", "threshold"]
    if found.left_out:
        heads.insert(3, "left-out pairs counted wrong")
    if found.results[0].speed:
        heads += ["faces/s", "16 at once"]
    rows = ["".join(_cells(found, result, number)) for number, result in enumerate(found.results)]
    head = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _error_rates(found: Evaluation) -> str:
    """Render the error rates in the terms of ISO/IEC 19795-1."""
    first = found.results[0].verification
    heads = [
        "model",
        "FTA",
        "EER",
        *(f"{point.name}<small>FNMR at FMR {point.fmr:.2%}</small>" for point in first.points),
    ]
    rows = []
    for number, result in enumerate(found.results):
        rates = result.verification
        cells = [f"<th>{_swatch(number)}{_name(result)}</th>"]
        cells.append(_share(rates.failure_to_acquire, rates.failure_to_acquire_interval))
        cells.append(_share(rates.equal_error_rate, rates.equal_error_interval))
        for point in rates.points:
            mark = "" if point.supported else " <b title='too few non-mated pairs for this rate'>?</b>"
            cells.append(_share(point.fnmr, point.interval, mark))
        rows.append("".join(cells))
    head = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _share(value: float, interval: tuple[float, float], mark: str = "") -> str:
    """Render a rate in percent with its interval in small print."""
    return f"<td>{value:.2%}{mark}<small>{interval[0]:.2%} to {interval[1]:.2%}</small></td>"


def _cells(found: Evaluation, result: ModelResult, number: int) -> Iterator[str]:
    """Render the cells of one row."""
    scores: Scores = result.scores["squared_l2"]
    yield f"<th>{_swatch(number)}{_name(result)}</th><td>{result.size}</td>"
    yield _cell(f"{scores.accuracy:.4f} ± {scores.deviation:.4f}", scores.accuracy_interval)
    if found.left_out:
        yield _cell(f"{result.accuracy_of_all:.4f}")
    for validation in scores.validations:
        mark = "" if validation.supported else " <b title='too few non-mated pairs for this rate'>?</b>"
        yield _cell(f"{validation.value:.4f}{mark}", validation.interval)
    yield _cell(f"{scores.area:.5f}", scores.area_interval)
    yield _cell(f"{scores.equal_error_rate:.4f}", scores.equal_error_interval)
    yield _cell(f"{scores.threshold:.3f}")
    if result.speed:
        yield _cell(f"{result.speed.alone:.0f}") + _cell(f"{result.speed.batch:.0f}")


def _cell(text: str, interval: tuple[float, float] | None = None) -> str:
    """Render one cell, with an interval in small print."""
    small = f"<small>{interval[0]:.4f} to {interval[1]:.4f}</small>" if interval else ""
    return f"<td>{text}{small}</td>"


def _curves(found: Evaluation) -> str:
    """Render the ROC and the histograms."""
    legend = "".join(f"<span>{_swatch(number)}{_name(result)}</span>" for number, result in enumerate(found.results))
    figures = [
        _figure("DET", det_svg([(r.verification.fmr, r.verification.fnmr) for r in found.results]), legend),
        _figure("ROC", roc_svg([result.curve for result in found.results]), legend),
    ]
    kinds = '<span><i class="swatch same"></i>one person</span><span><i class="swatch other"></i>two people</span>'
    for result in found.results:
        drawing = histogram_svg(result.distances, found.same, result.scores["squared_l2"].threshold)
        figures.append(_figure(f"Distances: {_name(result)}", drawing, kinds))
    return f'<section class="figures">{"".join(figures)}</section>'


def _figure(title: str, drawing: str, legend: str) -> str:
    """Render a drawing with title and legend."""
    return f'<figure><figcaption>{title}</figcaption>{drawing}<div class="legend">{legend}</div></figure>'


def _worst_pairs(found: Evaluation, result: ModelResult, thumbnails: Thumbnails, worst: int) -> str:
    """Render the pairs that one model gets most wrong."""
    threshold = result.scores["squared_l2"].threshold
    groups = []
    for title, kind, order in (
        ("One person, largest distances", found.same, np.argsort(-result.distances, kind="stable")),
        ("Two people, smallest distances", ~found.same, np.argsort(result.distances, kind="stable")),
    ):
        chosen: Int64Array = order[kind[order]][:worst]
        cards = "".join(
            _card(found.pairs[place], float(result.distances[place]), threshold, thumbnails) for place in chosen
        )
        groups.append(f'<h3>{title}</h3><div class="cards">{cards}</div>')
    return f"<section><h2>Worst pairs: {_name(result)}</h2>{''.join(groups)}</section>"


def _card(pair: Pair, distance: float, threshold: float, thumbnails: Thumbnails) -> str:
    """Render one pair."""
    wrong = (distance < threshold) != pair.same
    faces = "".join(map(thumbnails.show, (pair.first, pair.second)))
    names = "<br>".join(escape(path.name) for path in (pair.first, pair.second))
    verdict = "wrong" if wrong else "right"
    return (
        f'<div class="card {verdict}"><div class="two">{faces}</div><p><b>{distance:.3f}</b> {verdict}</p>'
        f"<p><small>{names}<br>line {pair.line}</small></p></div>"
    )


def _unusable(found: Evaluation) -> str:
    """Render the list of unusable images."""
    if not found.left_out:
        return ""
    rows = "".join(
        f"<tr><td>{escape(str(image.path))}</td><td>{escape(image.problem)}</td></tr>"
        for image in found.unusable[:_LISTED]
    )
    more = _more(found.unusable)
    return (
        f"<section><h2>Left out: {len(found.left_out):,} pairs</h2>"
        f'<div class="wide"><table class="plain"><tbody>{rows}</tbody></table></div>{more}</section>'
    )


def _more(images: Sequence[object]) -> str:
    """Say how many images are not listed."""
    return f"<p>and {len(images) - _LISTED:,} more</p>" if len(images) > _LISTED else ""


def _method(found: Evaluation) -> str:
    """Explain how the results were computed."""
    vectors = "the mean of the crop and its mirror image" if found.flip else "that of the crop"
    mean = "; the mean vector of the other folds is subtracted" if found.subtract_mean else ""
    return (
        "<p>If an image shows several faces, the large and central one is used. The vector of a face is "
        f"{vectors}{mean}. Distances are squared L2. Accuracy: the threshold is chosen on the other folds. VAL: the "
        "share of pairs of one person below a threshold that accepts the given share (FAR) of the pairs of two people "
        "in the other folds; ? marks a rate for which there are too few pairs. Small print: 95 % intervals, of "
        "proportions by Wilson, of AUC and of the EER in the second table by resampling pairs 1,000 times.</p>"
        "<p>First table (ISO/IEC 19795-1): FTA, images without a face; FMR, share of the comparisons of two people "
        "that are accepted, a rate per comparison; FNMR, share of the comparisons of one person that are rejected; "
        "EER, where both are equal. One threshold for all pairs. Intervals by resampling people 500 times.</p>"
        f"<p>faceall {__version__}</p>"
    )

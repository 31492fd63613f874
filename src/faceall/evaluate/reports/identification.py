"""Render an open-set evaluation as one self-contained HTML file."""

from __future__ import annotations

from html import escape

from faceall.arguments import checked
from faceall.evaluate.identification_results import Identification, IdentificationResult
from faceall.evaluate.reports.differences import comparison_html, searches_html
from faceall.evaluate.reports.plots import cmc_svg, misses_svg
from faceall.evaluate.reports.style import STYLE
from faceall.evaluate.reports.thumbnails import Thumbnails
from faceall.evaluate.worst_searches import WorstSearch
from faceall.images import read_image
from faceall.version import __version__

WORST = 8
"""Default number of searches of each kind that are shown per model."""


@checked
def identification_html(found: Identification, *, worst: int = WORST) -> str:
    """Render the results with the curves of FNIR over FPIR and the CMC, and the worst searches.

    Parameters
    ----------
    found : Identification
        The results. The image files are read again for thumbnails; missing files are left blank.
    worst : int
        Number of searches of each kind that are shown per model.

    Returns
    -------
    str
        The text of the HTML file.
    """
    thumbnails = Thumbnails(found.faces, read_image)
    compared = "".join(map(_differences, found.results))
    searches = "".join(_worst(result, thumbnails, worst) for result in found.results)
    facts = {
        "people in the gallery": found.people,
        "strangers": found.strangers,
        "random galleries": found.repeat,
        "images": found.images,
        "failures to acquire": len(found.unusable),
    }
    tiles = "".join(f"<div><dd>{number:,}</dd><dt>{text}</dt></div>" for text, number in facts.items())
    legend = "".join(
        f'<span><i class="swatch c{number % 6}"></i>{escape(result.name)} ({result.precision})</span>'
        for number, result in enumerate(found.results)
    )
    curves = misses_svg([(result.fpir, result.fnir) for result in found.results])
    figures = _figure("Known people missed (FNIR) by strangers named (FPIR)", curves, legend)
    figures += _figure("Rank of the right person (CMC)", cmc_svg([result.cmc for result in found.results]), legend)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Open-set evaluation</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>'
        f'<h1>Open-set evaluation</h1><dl class="facts">{tiles}</dl>{_table(found)}'
        f'<section class="figures">{figures}</section>{compared}{searches}'
        f"<footer>{_METHOD}<p>faceall {__version__}</p></footer>"
        "</main></body></html>\n"
    )


_METHOD = (
    "<p>The first image of each person is in the gallery, the second is searched; strangers are all other people. "
    "FPIR: share of searches of strangers that return a person. FNIR: share of searches of known people whose "
    "person is not the nearest or is beyond the threshold; images without a face count as misses. Small print: 95 % "
    "intervals by resampling people and strangers 500 times; ? marks a rate for which there are too few strangers.</p>"
)


def _table(found: Identification) -> str:
    """Render one row per model."""
    heads = ["model", *(f"FNIR @ FPIR {point.fpir:.1%}" for point in found.results[0].points), "rank 1"]
    heads += ["faces/s", "16 at once"] if found.results[0].speed else []
    head = "".join(f"<th>{text}</th>" for text in heads)
    rows = "".join(f"<tr>{_row(result)}</tr>" for result in found.results)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(result: IdentificationResult) -> str:
    """Render the results of one model."""
    cells = [f"<th>{escape(result.name)} ({result.precision})</th>"]
    for point in result.points:
        low, high = point.interval
        mark = "" if point.supported else " <b title='too few strangers for this rate'>?</b>"
        cells.append(f"<td>{point.fnir:.2%}{mark}<small>{low:.2%} to {high:.2%}</small></td>")
    cells.append(f"<td>{result.cmc[0]:.2%}</td>")
    if result.speed:
        cells += [f"<td>{result.speed.alone:.0f}</td>", f"<td>{result.speed.batch:.0f}</td>"]
    return "".join(cells)


def _differences(result: IdentificationResult) -> str:
    """Render the rates of groups and the comparisons of one model; empty if there are none."""
    inside = "".join([*map(searches_html, result.parts), *map(comparison_html, result.comparisons)])
    title = f"Differences: {escape(result.name)} ({result.precision})"
    return f"<section><h2>{title}</h2>{inside}</section>" if inside else ""


def _worst(result: IdentificationResult, thumbnails: Thumbnails, count: int) -> str:
    """Render the worst searches of one model."""
    titles = {"missed": "Known people, worst first", "named": "Strangers, nearest first"}
    groups = []
    for kind, title in titles.items():
        cards = "".join(
            _card(search, thumbnails) for search in [one for one in result.worst if one.kind == kind][:count]
        )
        groups.append(f'<h3>{title}</h3><div class="cards">{cards}</div>' if cards else "")
    return f"<section><h2>Worst searches: {escape(result.name)} ({result.precision})</h2>{''.join(groups)}</section>"


def _card(search: WorstSearch, thumbnails: Thumbnails) -> str:
    """Render one search: the query, the enrolled image of the person, and the nearest of another person."""
    images = [path for path in (search.query, search.own, search.found) if path is not None]
    wrong = search.own_distance is None or search.own_distance > search.distance
    own = "" if search.own_distance is None else f"own {search.own_distance:.3f}, "
    names = "<br>".join(escape("/".join(path.parts[-2:])) for path in images)
    return (
        f'<div class="card {"wrong" if wrong else "right"}"><div class="two">{"".join(map(thumbnails.show, images))}'
        f"</div><p>{own}other <b>{search.distance:.3f}</b></p><p><small>{names}</small></p></div>"
    )


def _figure(title: str, drawing: str, legend: str) -> str:
    """Render a drawing with title and legend."""
    return f'<figure><figcaption>{title}</figcaption>{drawing}<div class="legend">{legend}</div></figure>'

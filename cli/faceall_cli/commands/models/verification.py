"""`faceall evaluate` on pairs: read them, print the error rates, write the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceall_cli.console import Console, counted, shown

if TYPE_CHECKING:
    from faceall.analysis import FaceDetector
    from faceall.embed import Embedder
    from faceall.evaluate import (
        Evaluation,
        Factor,
        ModelResult,
        Pair,
        PairedComparison,
        PartedRates,
        Ratio,
        StoredResult,
        Validation,
    )
    from faceall.types import Image

_PACKED = ".bin"


@dataclass(frozen=True)
class Models:
    """The embedders to evaluate, and the name of the detector; None is the default."""

    embedders: list[Embedder]
    detector: str | None


@dataclass(frozen=True)
class ListedPairs:
    """Pairs, how their images are read, and a detector if the faces need none."""

    pairs: list[Pair]
    read: Callable[[Path], Image]
    detector: FaceDetector | None = None


def list_pairs(folder: Path, pairs: Path | None, protocol: str) -> ListedPairs:
    """Read the pairs of a protocol, from a list, a .bin file, or the default list of the folder."""
    from faceall.errors import EvaluationError
    from faceall.evaluate import TemplateDetector, read_cfp, read_packed_pairs, read_pairs
    from faceall.images import read_image

    if protocol != "lfw":
        if pairs is not None:
            raise EvaluationError("--pairs: not with the protocols of CFP, whose pairs are in DIR/Protocol")
        return ListedPairs(read_cfp(folder, "FF" if protocol == "cfp-ff" else "FP"), read_image)
    if pairs is None:
        pairs = folder if folder.suffix.lower() == _PACKED else folder / "pairs.txt"
        if not pairs.exists():
            raise EvaluationError(f"{folder}: contains no pairs.txt; give a list of pairs with --pairs FILE")
    if pairs.suffix.lower() == _PACKED:
        packed = read_packed_pairs(pairs)
        return ListedPairs(list(packed.pairs), packed.read, TemplateDetector())
    return ListedPairs(read_pairs(pairs, folder=folder), read_image)


@dataclass(frozen=True)
class Additions:
    """What is computed from the scores of an evaluation: rates of groups, rates by properties, comparisons."""

    groups: Mapping[str, str] | None
    factors: tuple[Factor, ...]
    earlier: Sequence[StoredResult]

    def add_to(self, found: Evaluation, folder: Path) -> Evaluation:
        """Return the evaluation with the additions; the groups name images and people below `folder`."""
        from faceall.evaluate import add_comparisons, add_factors, add_groups

        if self.groups is not None:
            found = add_groups(found, self.groups, folder=folder)
        return add_comparisons(add_factors(found, self.factors), self.earlier)


def read_additions(groups: Path | None, factors: tuple[Factor, ...], earlier: Path | None) -> Additions:
    """Read the groups and the earlier report."""
    from faceall.evaluate import read_groups, read_report

    known = None if groups is None else read_groups(groups)
    return Additions(known, factors, () if earlier is None else read_report(earlier))


def evaluate_listed(
    console: Console,
    listed: ListedPairs,
    models: Models,
    *,
    flip: bool,
    subtract_mean: bool,
    speed: bool,
) -> Evaluation:
    """Evaluate embedders on pairs; show the progress."""
    from faceall.detect import Detector
    from faceall.errors import EvaluationError
    from faceall.evaluate import PairOptions, evaluate_pairs

    if listed.detector is not None and models.detector is not None:
        raise EvaluationError("--detector: not with a .bin file, whose images are aligned faces")
    finder = listed.detector or Detector(models.detector or "mtcnn")
    with console.progress(0, "images") as bar:
        return evaluate_pairs(
            listed.pairs,
            models.embedders,
            finder,
            PairOptions(flip=flip, subtract_mean=subtract_mean, speed=speed),
            read=listed.read,
            progress=bar.move_to,
        )


def print_verification(console: Console, found: Evaluation) -> None:
    """Print one row or record per model, and what was left out."""
    from faceall.evaluate import model_as_json

    common = {key: value for key, value in found.to_json().items() if key != "models"}
    for result in found.results:
        console.record({**model_as_json(result), **common})
    rates = _rates_table(found)
    console.table(rates, right=frozenset(range(2, len(rates[0]))))
    console.table(_table(found), right=frozenset(range(2, 11)))
    same = int(found.same.sum())
    console.line(
        f"{counted(len(found.pairs), 'pair')} ({same:,} of one person, {len(found.pairs) - same:,} of two),"
        f" {counted(found.folds, 'fold')}; 95 % intervals in brackets"
    )
    for result in found.results:
        for part in result.parts:
            _print_parts(console, result.name, part)
        for comparison in result.comparisons:
            print_comparison(console, comparison)
    _print_unusable(console, found)
    for validation in found.results[0].scores["squared_l2"].validations:
        if not validation.supported:
            console.remark(f"too few pairs of two people to distinguish a FAR of {validation.wanted:g} from zero")


def _rates_table(found: Evaluation) -> list[tuple[str, ...]]:
    """Return the error rates in the terms of ISO/IEC 19795-1: a header and one row per model."""
    names = [point.name for point in found.results[0].verification.points]
    rows = [("model", "precision", "FTA", "EER", "", *(cell for name in names for cell in (name, "")))]
    for result in found.results:
        rates = result.verification
        row = [result.name, result.precision, f"{rates.failure_to_acquire:.2%}"]
        row += [f"{rates.equal_error_rate:.2%}", _bracketed(rates.equal_error_interval)]
        for point in rates.points:
            row += [f"{point.fnmr:.2%}{'' if point.supported else ' ?'}", _bracketed(point.interval)]
        rows.append(tuple(row))
    return rows


def _print_parts(console: Console, model: str, found: PartedRates) -> None:
    """Print the rates of groups, or by a property of the faces."""
    rows: list[tuple[str, ...]] = [(found.by, "people", "pairs of two", "FMR", "", "pairs of one", "FNMR", "")]
    for part in found.parts:
        cells = [part.name, f"{part.people:,}", f"{part.non_mated:,}", *rate_cells(part.fmr, part.fmr_interval)]
        rows.append((*cells, f"{part.mated:,}", *rate_cells(part.fnmr, part.fnmr_interval)))
    console.line(f"{shown(model)}, threshold {found.threshold:.3f} (FMR {found.fmr:.2%} per comparison):")
    console.table(rows, indent="  ", right=frozenset(range(1, 8)))
    for ratio in found.ratios:
        print_ratio(console, ratio)
    if found.unknown:
        what = counted(found.unknown, "image" if found.by == "group" else "pair")
        console.remark(f"{what} without a known {found.by}")


def print_ratio(console: Console, ratio: Ratio) -> None:
    """Print the worst to the best group."""
    value = "no errors in the best group" if ratio.value is None else f"{ratio.value:.2f}"
    high = "inf" if ratio.interval[1] is None else f"{ratio.interval[1]:.2f}"
    groups = f"{shown(ratio.worst)} to {shown(ratio.best)}"
    console.line(f"  {ratio.rate}, worst to best group: {value} [{ratio.interval[0]:.2f}, {high}] ({groups})")


def rate_cells(value: float | None, interval: tuple[float, float] | None) -> tuple[str, str]:
    """Return a rate in percent and its interval."""
    return ("-" if value is None else f"{value:.2%}", "" if interval is None else _bracketed(interval))


def print_comparison(console: Console, found: PairedComparison) -> None:
    """Print the comparison with an earlier result."""
    rows = [("rate", shown(found.model), shown(found.other), "difference", "", "p")]
    for row in found.differences:
        difference = f"{100 * (row.value - row.other):+.2f}"
        rows.append(
            (row.rate, f"{row.value:.2%}", f"{row.other:.2%}", difference, _bracketed(row.interval), f"{row.p:.3f}")
        )
    plural = "searches" if found.unit == "search" else None
    console.line(f"compared with {shown(found.other)} on {counted(found.pairs, found.unit, plural)}:")
    console.table(rows, indent="  ", right=frozenset(range(1, 6)))
    verdict = "no significant difference" if found.better is None else f"{shown(found.better)} is better"
    console.line(f"  {verdict}; McNemar {found.only_model} to {found.only_other}, p {found.mcnemar_p:.3f}")


def _bracketed(interval: tuple[float, float]) -> str:
    """Return an interval of shares in percent."""
    return f"[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def _table(found: Evaluation) -> list[tuple[str, ...]]:
    """Return the header and one row per model."""
    rates = [f"VAL @ {validation.wanted:g}" for validation in found.results[0].scores["squared_l2"].validations]
    heading = ["model", "precision", "dimensions", "accuracy", "", *rates, "AUC", "EER", "threshold"]
    if found.results[0].speed:
        heading += ["faces/s", "16 at once"]
    return [tuple(heading), *map(_row, found.results)]


def _row(result: ModelResult) -> tuple[str, ...]:
    """Return the cells of one model."""
    scores = result.scores["squared_l2"]
    low, high = scores.accuracy_interval
    cells = [result.name, result.precision, str(result.size)]
    cells += [f"{scores.accuracy:.4f} ± {scores.deviation:.4f}", f"[{low:.3f}, {high:.3f}]"]
    cells += map(_validation, scores.validations)
    cells += [f"{scores.area:.5f}", f"{scores.equal_error_rate:.4f}", f"{scores.threshold:.3f}"]
    if result.speed:
        cells += [f"{result.speed.alone:.0f}", f"{result.speed.batch:.0f}"]
    return tuple(cells)


def _validation(validation: Validation) -> str:
    """Return a VAL, marked if there are too few pairs for its rate."""
    return f"{validation.value:.4f}{'' if validation.supported else ' ?'}"


def _print_unusable(console: Console, found: Evaluation) -> None:
    """Print every image without a vector, and how many pairs were left out."""
    if not found.left_out:
        return
    for image in found.unusable:
        console.complain(f"faceall: {shown(image.message)}")
    images = counted(len(found.unusable), "image")
    console.complain(f"faceall: {counted(len(found.left_out), 'pair')} left out, {images} without a face vector")
    for result in found.results:
        text = f"accuracy with left-out pairs counted as wrong: {result.accuracy_of_all:.4f}"
        console.line(text if len(found.results) == 1 else f"{text} ({result.name}, {result.precision})")


def write_verification(
    console: Console, folder: Path, found: Evaluation, *, json_file: str, html_file: str, worst: int
) -> None:
    """Write the JSON and HTML files."""
    from faceall.evaluate import report_html
    from faceall_cli.files import write_whole

    text = json.dumps(found.to_json(distances=True), indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / json_file, text.encode("utf-8", "backslashreplace"))
    write_whole(folder / html_file, report_html(found, worst=worst).encode("utf-8", "backslashreplace"))
    console.remark(f"wrote {shown(folder / json_file)} and {shown(folder / html_file)}")

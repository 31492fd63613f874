"""Does a converted net compute what its source computes? Numbers, stage by stage.

The source runs in NumPy, straight from the graph (see `evaluate`), the net in an engine. Outputs are compared in
their order, element by element.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.caffe.engines import get_engine
from faceall.caffe.net import Net
from faceall.convert.evaluate import evaluate
from faceall.convert.facenet import INPUT_BLOB, OUTPUT_BLOB, Translation
from faceall.errors import ConvertError, ParityError
from faceall.types import Array, Float32Array

GATE = 1e-5
"""The largest difference that a converted net may have, in float32, on vectors of unit length."""

DEFAULT_THRESHOLD = 1.1
"""The squared distance up to which two vectors count as one person where a manifest names none, for counting flips."""

Reference: TypeAlias = Literal["graph", "given", "net"]

_REFERENCES: Mapping[Reference, str] = {
    "graph": "the graph, run in NumPy",
    "given": "the given vectors",
    "net": "the net before, run in NumPy",
}

_BATCH = 4
"""How many pictures the evaluator runs at once: it keeps whole stages in memory."""


@dataclass(frozen=True)
class Stage:
    """One blob of the net against the tensor of the graph that it holds.

    blob        the blob's name
    tensor      the graph's name for it
    difference  the largest absolute difference
    magnitude   the largest absolute value of the tensor
    """

    blob: str
    tensor: str
    difference: float
    magnitude: float

    @property
    def relative(self) -> float:
        """The difference in proportion to the magnitude, where that is above 1."""
        return self.difference / max(self.magnitude, 1.0)


@dataclass(frozen=True)
class ParityReport:
    """How far one step of a conversion is from the one before.

    pictures      how many were compared
    reference     what was compared with: "graph" (the source, run in NumPy), "given" (known vectors) or "net" (the net
                  before, run in NumPy)
    engine        what ran the result
    gate          the largest allowed difference; where there is a `cosine_gate`, that counts instead
    maximum       the largest absolute difference of the output, in proportion to its magnitude where that is above 1
    mean          the mean absolute difference
    cosine_min    the smallest cosine between a vector and its counterpart
    cosine_mean   the mean cosine
    stages        every stage of the first picture, in the order of execution; empty where nobody had to look
    step          what was made: "caffe", "onnx", "coreml", or "net", the net that those are written from
    cosine_gate   the smallest allowed cosine, for what is not float32; None: `gate` counts
    threshold     the squared L2 distance up to which two vectors were taken for one person; None: no embedder
    pairs         how many pairs of the pictures were decided on
    flips         how many of these decisions are different from before
    """

    pictures: int
    reference: Reference
    engine: str
    gate: float
    maximum: float
    mean: float
    cosine_min: float
    cosine_mean: float
    stages: tuple[Stage, ...] = ()
    step: str = "net"
    cosine_gate: float | None = None
    threshold: float | None = None
    pairs: int = 0
    flips: int = 0

    @property
    def passed(self) -> bool:
        """Whether the output is within the gate."""
        if self.cosine_gate is not None:
            return self.cosine_min >= self.cosine_gate
        return self.maximum <= self.gate  # false for a NaN, too

    @property
    def first_divergence(self) -> Stage | None:
        """The first stage that is off by more than the gate."""
        return next((stage for stage in self.stages if not stage.relative <= self.gate), None)

    def require(self, *, report: Path | None = None) -> None:
        """Raise ParityError, which names the first diverging stage and the `report`, where the gate is missed."""
        if self.passed:
            return
        stage, place = self.first_divergence, ""
        if stage is not None:
            place = f"; first at '{stage.blob}' (before: '{stage.tensor}'), off by {stage.difference:.1e}"
        amount = f"differs from its source by {self.maximum:.1e} (allowed: {self.gate:.0e})"
        if self.cosine_gate is not None:
            amount = f"has a cosine of {self.cosine_min:.6f} to its source (at least: {self.cosine_gate:g})"
        where = f", only the report {report}" if report else ""
        what = "net" if self.step == "net" else f"{self.step} model"
        raise ParityError(f"the converted {what} {amount}{place}; no model was written{where}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "passed": self.passed}

    def to_text(self) -> str:
        """A table for people: the result, and the stages with the largest differences."""
        verdict = "within" if self.passed else "ABOVE"
        limit = f"{verdict} the gate of {self.gate:.0e}" if self.cosine_gate is None else "no gate"
        lines = [
            f"step         {self.step}",
            f"pictures     {self.pictures}, against {_REFERENCES[self.reference]}",
            f"engine       {self.engine}",
            f"max abs      {self.maximum:.2e}  ({limit})",
            f"mean abs     {self.mean:.2e}",
            f"cosine       {self.cosine_min:.9f} smallest, {self.cosine_mean:.9f} mean{self._cosine_verdict}",
        ]
        if self.pairs:
            lines.append(f"decisions    {self.flips} of {self.pairs} flip at a squared distance of {self.threshold:g}")
        worst = sorted(self.stages, key=lambda stage: stage.relative, reverse=True)[:3]
        lines += [f"worst stage  {stage.relative:.2e}  {stage.blob}" for stage in worst]
        return "\n".join(lines)

    @property
    def _cosine_verdict(self) -> str:
        if self.cosine_gate is None:
            return ""
        return f"  ({'within' if self.passed else 'BELOW'} the gate of {self.cosine_gate:g})"


def measure(
    actual: Array,
    wanted: Array,
    *,
    step: str,
    reference: Reference,
    engine: str,
    gate: float = GATE,
    cosine_gate: float | None = None,
    threshold: float | None = DEFAULT_THRESHOLD,
) -> ParityReport:
    """Compare two arrays of results, (n, ...) each, in their order. The rest becomes the report's fields.

    Raises ConvertError where the shapes do not agree.
    """
    actual, wanted = actual.reshape(len(actual), -1), wanted.reshape(len(wanted), -1)
    if actual.shape != wanted.shape:
        raise ConvertError(f"the net gives vectors of shape {actual.shape}, expected are {wanted.shape}")
    maximum, mean, cosines = _distances(actual, wanted)
    pairs, flips = (0, 0) if threshold is None else count_flips(actual, wanted, threshold)
    return ParityReport(
        pictures=len(actual),
        reference=reference,
        engine=engine,
        gate=gate,
        maximum=maximum,
        mean=mean,
        cosine_min=float(cosines.min()),
        cosine_mean=float(cosines.mean()),
        step=step,
        cosine_gate=cosine_gate,
        threshold=threshold,
        pairs=pairs,
        flips=flips,
    )


def count_flips(actual: Array, wanted: Array, threshold: float) -> tuple[int, int]:
    """How many pairs there are among n vectors (n, D), and for how many `actual` and `wanted` decide differently.

    Two vectors match where their squared distance, both at unit length, is at most `threshold`.
    """
    decisions = []
    for vectors in (actual, wanted):
        unit = vectors.astype(np.float64)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
        decisions.append(2 - 2 * unit @ unit.T <= threshold)
    above = np.triu_indices(len(actual), 1)
    return len(above[0]), int(np.sum(decisions[0][above] != decisions[1][above]))


def compare(
    translation: Translation,
    pictures: Float32Array,
    *,
    expected: Array | None = None,
    engine: str | None = None,
    gate: float = GATE,
    net: Net | None = None,
    stages: bool = False,
    step: str = "net",
    threshold: float | None = DEFAULT_THRESHOLD,
) -> ParityReport:
    """Compare a net with the graph that it was made from, or with `expected`.

    pictures   (n, H, W, C) float32, standardised
    expected   (n, D) float32, what the source gives for them; None: the graph is run in NumPy
    engine     the engine that runs the net; None: the default one
    net        another net with the same blobs to look at, as the one read back from its files
    stages     look at every stage, too; this happens in any case where the output is above the gate
    step       what the report calls the result
    threshold  the squared distance up to which vectors match

    Raises EngineError where the engine cannot run the net, ConvertError where the shapes do not agree.
    """
    subject = net or translation.net
    actual, name = run_net(subject, pictures, [OUTPUT_BLOB], engine=engine)
    report = measure(
        actual,
        _run_graph(translation, pictures) if expected is None else np.asarray(expected),
        step=step,
        reference="graph" if expected is None else "given",
        engine=name,
        gate=gate,
        threshold=threshold,
    )
    if not stages and report.passed:
        return report
    return replace(report, stages=compare_stages(translation, pictures[:1], engine=engine, net=subject))


def run_net(
    net: Net, pictures: Float32Array, outputs: Sequence[str], *, engine: str | None = None
) -> tuple[Float32Array, str]:
    """Run a net on pictures (n, H, W, C) float32; its outputs side by side, (n, numbers), and the engine's name."""
    runner = get_engine(engine)
    compiled = runner.compile(net, list(outputs))
    (name,) = net.inputs
    parts = [compiled({name: channels_first(part)}) for part in _parts(pictures)]
    return np.concatenate([side_by_side(part, outputs) for part in parts]), runner.name


def side_by_side(values: Mapping[str, Array], outputs: Sequence[str]) -> Float32Array:
    """Several outputs (n, ...) as one array (n, numbers)."""
    return np.concatenate([np.asarray(values[name]).reshape(len(values[name]), -1) for name in outputs], axis=1)


def compare_nets(
    before: Net,
    after: Net,
    pictures: Float32Array,
    outputs: Sequence[str],
    *,
    step: str,
    engine: str | None = None,
    gate: float = GATE,
    stages: bool = False,
    threshold: float | None = None,
) -> ParityReport:
    """Compare a net with the one it was made from, which runs in NumPy; the blobs `outputs` keep their names.

    The rest is as in `compare`; stages are the blobs that both have.
    """
    actual, name = run_net(after, pictures, outputs, engine=engine)
    wanted, _ = run_net(before, pictures, outputs, engine="reference")
    report = measure(actual, wanted, step=step, reference="net", engine=name, gate=gate, threshold=threshold)
    if not stages and report.passed:
        return report
    both = {top for layer in before.layers for top in layer.tops} & {
        top for layer in after.layers for top in layer.tops
    }
    names = [top for layer in before.layers if layer.type != "Input" for top in layer.tops if top in both]
    blob = channels_first(pictures[:1])
    mine, theirs = (
        get_engine(which).compile(net, names)({next(iter(net.inputs)): blob})
        for which, net in ((engine, after), ("reference", before))
    )
    return replace(report, stages=tuple(_stage(top, top, mine[top], theirs[top], "blob") for top in names))


def compare_stages(
    translation: Translation, pictures: Float32Array, *, engine: str | None = None, net: Net | None = None
) -> tuple[Stage, ...]:
    """Compare every blob that holds a tensor of the graph; `pictures` (n, H, W, C) float32."""
    blobs = {blob: tensor for blob, tensor in translation.sources.items() if blob != INPUT_BLOB}
    compiled = get_engine(engine).compile(net or translation.net, list(blobs))
    actual = compiled({INPUT_BLOB: channels_first(pictures)})
    feeds = {translation.graph.input: pictures}
    wanted = evaluate(translation.graph, feeds, keep=set(blobs.values()))
    return tuple(_stage(blob, tensor, actual[blob], wanted[tensor]) for blob, tensor in blobs.items())


def random_pictures(count: int, shape: tuple[int, int, int], *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Reproducible pictures with large and small structure, (count, H, W, C) uint8."""
    generator = np.random.default_rng(seed)
    height, width, channels = shape
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    coarse = generator.integers(30, 226, (count, 8, 8, channels))[:, rows][:, :, columns]
    return np.asarray(coarse + generator.integers(-30, 30, (count, *shape)), np.uint8)


def read_check(path: str | Path) -> tuple[npt.NDArray[np.uint8], Float32Array | None]:
    """Pictures to compare on from an .npz: `crops` (n, H, W, 3) uint8, and `embeddings` (n, D) where it has them.

    Raises ConvertError where the file is damaged or has other contents.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            crops = np.asarray(archive["crops"])
            embeddings = np.asarray(archive["embeddings"], np.float32) if "embeddings" in archive else None
    except OSError as error:
        raise ConvertError(f"{path}: cannot be read: {error.strerror or 'not an .npz'}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConvertError(f"{path}: expected an .npz with `crops` (n, H, W, 3) uint8") from error
    if crops.dtype != np.uint8 or crops.ndim != 4 or not len(crops):
        raise ConvertError(f"{path}: `crops` is {crops.dtype} {crops.shape}, expected uint8 (n, H, W, 3)")
    return crops, embeddings


def _parts(pictures: Float32Array) -> Iterator[Float32Array]:
    return (pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH))


def channels_first(pictures: Float32Array) -> Float32Array:
    """(n, H, W, C) as (n, C, H, W)."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def _run_graph(translation: Translation, pictures: Float32Array) -> Array:
    graph = translation.graph
    return np.concatenate([evaluate(graph, {graph.input: part}, keep=())[graph.output] for part in _parts(pictures)])


def _distances(actual: Array, wanted: Array) -> tuple[float, float, Array]:
    """Largest difference in proportion to a magnitude above 1, mean difference, cosines (n,)."""
    difference = np.abs(actual.astype(np.float64) - wanted)
    lengths = np.linalg.norm(actual, axis=1) * np.linalg.norm(wanted, axis=1)
    cosines = np.sum(actual.astype(np.float64) * wanted, axis=1) / np.maximum(lengths, 1e-30)
    magnitude = max(float(np.abs(wanted).max(initial=0.0)), 1.0)
    return float(difference.max()) / magnitude, float(difference.mean()), cosines


def _stage(blob: str, tensor: str, actual: Array, wanted: Array, kind: Literal["tensor", "blob"] = "tensor") -> Stage:
    """Compare one blob (N, C, H, W) or (N, C) with its tensor, whose last axis is C, or with another blob."""
    if kind == "tensor" and actual.ndim == 4 and wanted.ndim == 4:
        wanted = wanted.transpose(0, 3, 1, 2)
    if actual.shape != wanted.shape and actual.size == wanted.size and wanted.shape[-1] == actual.shape[1]:
        wanted = wanted.reshape(actual.shape)  # (N, 1, 1, C) held as (N, C)
    if actual.shape != wanted.shape:
        return Stage(blob, tensor, float("inf"), 1.0)
    difference = np.abs(actual.astype(np.float64) - wanted)
    return Stage(blob, tensor, float(difference.max(initial=0.0)), float(np.abs(wanted).max(initial=0.0)))

"""Does a converted net compute what its source computes? Numbers, stage by stage.

The source runs in NumPy, straight from the graph (see `evaluate`), the net in an engine. Outputs are compared in
their order, element by element.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from faceall.caffe.engines import get_engine
from faceall.caffe.net import Net
from faceall.convert.parity.report import DEFAULT_THRESHOLD, GATE, ParityReport, Stage, measure
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.facenet import INPUT_BLOB, OUTPUT_BLOB, Translation
from faceall.errors import ConvertError
from faceall.types import Array, Float32Array

__all__ = [
    "DEFAULT_THRESHOLD",
    "GATE",
    "ParityReport",
    "Stage",
    "channels_first",
    "compare",
    "compare_nets",
    "compare_stages",
    "measure",
    "random_pictures",
    "read_check",
    "run_net",
    "run_parts",
    "side_by_side",
]

_BATCH = 4
"""How many pictures the evaluator runs at once: it keeps whole stages in memory."""


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
    return run_parts(net, _parts(pictures), outputs, engine=engine)


def run_parts(
    net: Net, parts: Iterable[Float32Array], outputs: Sequence[str], *, engine: str | None = None
) -> tuple[Float32Array, str]:
    """As `run_net`, for pictures that come in parts; the net is compiled once."""
    runner = get_engine(engine)
    compiled = runner.compile(net, list(outputs))
    (name,) = net.inputs
    vectors = [side_by_side(compiled({name: channels_first(part)}), outputs) for part in parts]
    return np.concatenate(vectors), runner.name


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
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConvertError(f"{path}: expected an .npz with `crops` (n, H, W, 3) uint8") from error
    if crops.dtype != np.uint8 or crops.ndim != 4 or not len(crops):
        raise ConvertError(f"{path}: `crops` is {crops.dtype} {crops.shape}, expected uint8 (n, H, W, 3)")
    if embeddings is not None and (embeddings.ndim != 2 or len(embeddings) != len(crops)):
        raise ConvertError(f"{path}: `embeddings` is of shape {embeddings.shape}, expected ({len(crops)}, D)")
    return crops, embeddings


def _parts(pictures: Float32Array) -> Iterator[Float32Array]:
    return (pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH))


def channels_first(pictures: Float32Array) -> Float32Array:
    """(n, H, W, C) as (n, C, H, W)."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def _run_graph(translation: Translation, pictures: Float32Array) -> Array:
    graph = translation.graph
    return np.concatenate([evaluate(graph, {graph.input: part}, keep=())[graph.output] for part in _parts(pictures)])


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

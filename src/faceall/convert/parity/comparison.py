"""Compare a converted net with its source, stage by stage.

The source runs in NumPy, directly from the graph (see `evaluate`), the net in an engine. Outputs are compared element
by element, in their order.
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

from faceall.arguments import checked
from faceall.caffe.engines import get_engine
from faceall.caffe.net import Net
from faceall.convert.parity.report import Criteria, ParityReport, Stage, measure
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.facenet import INPUT_BLOB, OUTPUT_BLOB, Translation
from faceall.errors import ConvertError
from faceall.types import Array, Float32Array

_BATCH = 4
"""The number of images that the evaluator runs at once; it keeps all stages in memory."""


@checked
def compare(
    translation: Translation,
    images: Float32Array,
    criteria: Criteria | None = None,
    *,
    expected: Array | None = None,
    engine: str | None = None,
    net: Net | None = None,
    stages: bool = False,
) -> ParityReport:
    """Compare a net with the graph that it was made from, or with given vectors.

    Parameters
    ----------
    translation : Translation
        The net and its graph.
    images : (n, H, W, C) float32
        Standardised images.
    criteria : Criteria, optional
        Name and limits of the comparison.
    expected : (n, D) float32, optional
        The source's vectors for the images. By default the graph runs in NumPy.
    engine : str, optional
        The engine that runs the net.
    net : Net, optional
        Another net with the same blobs to compare, as the one read back from its files.
    stages : bool
        Whether to compare every stage. Stages are always compared if the output exceeds the tolerance.

    Returns
    -------
    ParityReport
        The differences.

    Raises
    ------
    EngineError
        The engine cannot run the net.
    ConvertError
        The shapes differ.
    """
    subject = net or translation.net
    actual, name = run_net(subject, images, [OUTPUT_BLOB], engine=engine)
    report = measure(
        actual,
        _run_graph(translation, images) if expected is None else np.asarray(expected),
        criteria or Criteria(),
        reference="graph" if expected is None else "given",
        engine=name,
    )
    if not stages and report.passed:
        return report
    return replace(report, stages=compare_stages(translation, images[:1], engine=engine, net=subject))


def run_net(
    net: Net, images: Float32Array, outputs: Sequence[str], *, engine: str | None = None
) -> tuple[Float32Array, str]:
    """Run a net on images.

    Parameters
    ----------
    net : Net
        The net.
    images : (n, H, W, C) float32
        Standardised images.
    outputs : sequence of str
        Blobs to return.
    engine : str, optional
        The engine; by default `faceall.caffe.engines.DEFAULT_ENGINE`.

    Returns
    -------
    (n, D) float32
        The outputs, flattened and concatenated.
    str
        The engine's name.

    Raises
    ------
    EngineError
        The engine cannot run the net.
    """
    return run_parts(net, _parts(images), outputs, engine=engine)


def run_parts(
    net: Net, parts: Iterable[Float32Array], outputs: Sequence[str], *, engine: str | None = None
) -> tuple[Float32Array, str]:
    """Run a net on images in several parts, see `run_net`; the net is compiled once."""
    runner = get_engine(engine)
    compiled = runner.compile(net, list(outputs))
    (name,) = net.inputs
    vectors = [side_by_side(compiled({name: channels_first(part)}), outputs) for part in parts]
    return np.concatenate(vectors), runner.name


def side_by_side(values: Mapping[str, Array], outputs: Sequence[str]) -> Float32Array:
    """Flatten and concatenate outputs (n, ...) to one array (n, D)."""
    return np.concatenate([np.asarray(values[name]).reshape(len(values[name]), -1) for name in outputs], axis=1)


def compare_nets(
    before: Net,
    after: Net,
    images: Float32Array,
    outputs: Sequence[str],
    criteria: Criteria,
    *,
    engine: str | None = None,
    stages: bool = False,
) -> ParityReport:
    """Compare a net with the one it was made from, which runs in NumPy.

    Parameters
    ----------
    before, after : Net
        The two nets.
    images : (n, H, W, C) float32
        Standardised images.
    outputs : sequence of str
        Blobs of both nets to compare.
    criteria, engine, stages
        As in `compare`; the stages are the blobs that both nets have.

    Returns
    -------
    ParityReport
        The differences.

    Raises
    ------
    EngineError
        The engine cannot run the net.
    ConvertError
        The shapes differ.
    """
    actual, name = run_net(after, images, outputs, engine=engine)
    wanted, _ = run_net(before, images, outputs, engine="reference")
    report = measure(actual, wanted, criteria, reference="net", engine=name)
    if not stages and report.passed:
        return report
    both = {top for layer in before.layers for top in layer.tops} & {
        top for layer in after.layers for top in layer.tops
    }
    names = [top for layer in before.layers if layer.type != "Input" for top in layer.tops if top in both]
    blob = channels_first(images[:1])
    mine, theirs = (
        get_engine(which).compile(net, names)({next(iter(net.inputs)): blob})
        for which, net in ((engine, after), ("reference", before))
    )
    return replace(report, stages=tuple(_stage(top, top, mine[top], theirs[top], "blob") for top in names))


def compare_stages(
    translation: Translation, images: Float32Array, *, engine: str | None = None, net: Net | None = None
) -> tuple[Stage, ...]:
    """Compare every blob that holds a tensor of the graph, on images (n, H, W, C) float32."""
    blobs = {blob: tensor for blob, tensor in translation.sources.items() if blob != INPUT_BLOB}
    compiled = get_engine(engine).compile(net or translation.net, list(blobs))
    actual = compiled({INPUT_BLOB: channels_first(images)})
    feeds = {translation.graph.input: images}
    wanted = evaluate(translation.graph, feeds, keep=set(blobs.values()))
    return tuple(_stage(blob, tensor, actual[blob], wanted[tensor]) for blob, tensor in blobs.items())


def random_images(count: int, shape: tuple[int, int, int], *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Make reproducible images with coarse and fine structure.

    Parameters
    ----------
    count : int
        The number of images.
    shape : (int, int, int)
        Height, width, channels.
    seed : int
        Equal seeds give equal images.

    Returns
    -------
    (count, H, W, C) uint8
    """
    generator = np.random.default_rng(seed)
    height, width, channels = shape
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    coarse = generator.integers(30, 226, (count, 8, 8, channels))[:, rows][:, :, columns]
    return np.asarray(coarse + generator.integers(-30, 30, (count, *shape)), np.uint8)


@checked
def read_check(path: str | Path) -> tuple[npt.NDArray[np.uint8], Float32Array | None]:
    """Read images for a comparison from an .npz file.

    Parameters
    ----------
    path : path
        A file with `crops` (n, H, W, 3) uint8 and, optionally, `embeddings` (n, D).

    Returns
    -------
    (n, H, W, 3) uint8
        The crops.
    (n, D) float32 or None
        The embeddings.

    Raises
    ------
    ConvertError
        The file is damaged or has other contents.
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


def _parts(images: Float32Array) -> Iterator[Float32Array]:
    return (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))


def channels_first(images: Float32Array) -> Float32Array:
    """Transpose images (n, H, W, C) to (n, C, H, W)."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _run_graph(translation: Translation, images: Float32Array) -> Array:
    graph = translation.graph
    return np.concatenate([evaluate(graph, {graph.input: part}, keep=())[graph.output] for part in _parts(images)])


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

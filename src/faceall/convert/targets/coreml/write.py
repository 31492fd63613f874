"""Write a net as an .mlpackage or .mlmodel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from faceall.caffe import Net
from faceall.convert.targets.coreml.options import SUFFIXES, CoremlOptions
from faceall.convert.targets.description import AUTHOR, describe, describe_features
from faceall.convert.targets.placing import copy_made, placing
from faceall.convert.targets.plan import make_plan
from faceall.convert.targets.writing_job import WritingJob, done_by_worker
from faceall.errors import ConvertError
from faceall.models import Manifest

_WORKER = "faceall.convert.targets.coreml.worker"


def write_coreml(
    net: Net,
    path: str | Path,
    options: CoremlOptions | None = None,
    *,
    manifest: Manifest | None = None,
    author: str = AUTHOR,
) -> Path:
    """Write a net for Core ML. The same input gives the same bytes.

    With the input "image" the model takes `image`, (H, W) RGB pixels that it standardises as the manifest says; with
    "array" it takes the net's own inputs, (1, C, H, W) float32. An embedder's output is `embedding`, (1, D); other nets
    keep the names of their blobs, with `_` for characters that Core ML does not allow.

    Parameters
    ----------
    net : Net
        The net to write.
    path : str or Path
        The .mlpackage or .mlmodel. What is there is replaced.
    options : CoremlOptions, optional
        Format, precision, input and oldest iOS. Default: an ML Program in float32 that takes images.
    manifest : Manifest, optional
        The model's description; needed for the input "image". It is stored in the file's metadata.
    author : str
        The author in the file's metadata.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    MissingDependencyError
        If coremltools is not installed.
    ConvertError
        If the options do not suit the net or the path, or the file cannot be written.
    UnsupportedLayerError
        If a layer type is unknown.
    ShapeError
        If the net's shapes do not fit together.
    """
    options, target = options or CoremlOptions(), Path(path)
    suffix = SUFFIXES[options.format]
    if target.suffix != suffix:
        raise ConvertError(f"{target}: Core ML {options.format} files end in {suffix}")
    with built_coreml(net, options, manifest=manifest, author=author) as made, placing(target) as draft:
        copy_made(made, draft)
    return target


@contextmanager
def built_coreml(
    net: Net, options: CoremlOptions, *, manifest: Manifest | None = None, author: str = AUTHOR
) -> Iterator[Path]:
    """Write a model as `write_coreml` does, and yield its path in a temporary folder."""
    plan = make_plan(net, options, manifest)
    features = describe_features(net, manifest, options.input, [*plan.outputs.values()])
    metadata = replace(describe(net, manifest, options.precision, author), features=features)
    job = WritingJob(plan, metadata, options.to_json())
    with done_by_worker(job, _WORKER, tool="coremltools") as folder:
        yield folder / f"model{SUFFIXES[options.format]}"

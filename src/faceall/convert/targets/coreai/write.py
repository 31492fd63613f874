"""Write a net as an .aimodel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faceall.caffe import Net
from faceall.convert.targets.coreai.options import SUFFIX, CoreaiOptions
from faceall.convert.targets.description import AUTHOR, describe
from faceall.convert.targets.placing import copy_made, placing
from faceall.convert.targets.plan import make_plan
from faceall.convert.targets.writing_job import WritingJob, done_by_worker
from faceall.errors import ConvertError
from faceall.models import Manifest

WORKER = "faceall.convert.targets.coreai.worker"


def write_coreai(
    net: Net,
    path: str | Path,
    options: CoreaiOptions | None = None,
    *,
    manifest: Manifest | None = None,
    author: str = AUTHOR,
) -> Path:
    """Write a net for Core AI.

    With the input "image" the model takes `image`, RGB pixels (1, H, W, 3) uint8 that it standardises as the manifest
    says; with "array" it takes the net's own inputs, (1, C, H, W) float32. Outputs are float32: of an embedder
    `embedding`, (1, D); of other nets the blobs, with `_` for characters that a name cannot have.

    Parameters
    ----------
    net : Net
        The net to write.
    path : str or Path
        The .aimodel, a folder. What is there is replaced.
    options : CoreaiOptions, optional
        Precision and input. Default: float32, images.
    manifest : Manifest, optional
        The model's description; needed for the input "image". It is stored in the metadata.
    author : str
        The author in the metadata.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    MissingDependencyError
        If coreai-core is not installed.
    ConvertError
        If the options do not suit the net or the path, coreai-core refuses the net, or the model cannot be written.
    UnsupportedLayerError
        If a layer has no form in Core AI; the message names it.
    ShapeError
        If the net's shapes do not fit together.
    """
    options, target = options or CoreaiOptions(), Path(path)
    if target.suffix != SUFFIX:
        raise ConvertError(f"{target}: Core AI models end in {SUFFIX}")
    with built_coreai(net, options, manifest=manifest, author=author) as made, placing(target) as draft:
        copy_made(made, draft)
    return target


@contextmanager
def built_coreai(
    net: Net, options: CoreaiOptions, *, manifest: Manifest | None = None, author: str = AUTHOR
) -> Iterator[Path]:
    """Write a model as `write_coreai` does, and yield its path in a temporary folder."""
    plan = make_plan(net, options, manifest)
    metadata = describe(net, manifest, options.precision, author)
    job = WritingJob(plan, metadata, options.to_json())
    with done_by_worker(job, WORKER, ["write"], tool="coreai-core") as folder:
        yield folder / f"model{SUFFIX}"

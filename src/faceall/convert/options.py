"""The options of a conversion, grouped by what they are about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.convert.parity.crops import CropReader, FaceCrops, read_crops
from faceall.convert.parity.report import TOLERANCE
from faceall.convert.passes.head import BottleneckStyle
from faceall.convert.passes.pools import FloorPool
from faceall.convert.passes.simplify import BatchNormStyle
from faceall.models.embedders import AlignmentName
from faceall.types import Array

StandardisationName: TypeAlias = Literal["fixed", "prewhiten", "none", "arcface", "unit"]
"""The names of the formulas in `faceall.convert.recipes`."""

ChannelsName: TypeAlias = Literal["rgb", "bgr"]


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a source is read.

    Attributes
    ----------
    input, output : str or None
        Names of a TensorFlow graph's boundary nodes. Default: `input` and `embeddings`, or the only candidates.
    image_size : int or None
        Side of the input images in pixels. Default: what the graph says, else 160.
    signature : str or None
        The signature of a SavedModel. Default: `serving_default`, or the only one.
    standardisation : {"fixed", "prewhiten", "none", "arcface", "unit"} or None
        How pixels are scaled. Default: as a known file or family needs it, else an assumption, which is reported.
    channels : {"rgb", "bgr"} or None
        The channel order of a net's input. Default: as a known file or family needs it, else RGB, which is reported.
    alignment : {"arcface", "openvino", "none"} or None
        How faces are aligned for a net; "none": cropped by their box. Default: as a known file or family needs it.
    name : str or None
        The model's name. Default: derived from the file's name.
    batch_norm : {"fold", "keep"}
        Fold normalisation into the layer before, or keep it as BatchNorm and Scale.
    """

    input: str | None = None
    output: str | None = None
    image_size: int | None = None
    signature: str | None = None
    standardisation: StandardisationName | None = None
    channels: ChannelsName | None = None
    alignment: AlignmentName | None = None
    name: str | None = None
    batch_norm: BatchNormStyle = "fold"


@dataclass(frozen=True, kw_only=True)
class CaffeOptions:
    """How Caffe's files are written.

    Attributes
    ----------
    floor_pool : FloorPool
        How a pool that rounds down is expressed.
    bottleneck : {"inner-product", "convolution"} or None
        The layer that produces the embedding. Default: as in the source.
    """

    floor_pool: FloorPool = "crop"
    bottleneck: BottleneckStyle | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ParityOptions:
    """How a conversion is verified.

    Attributes
    ----------
    crops : Path or (n, H, W, 3) uint8 or None
        The face crops to compare on, or where `reader` finds them. Default: the crops in the package.
    expected : (n, D) float32 or None
        The source's embeddings of `crops`. Default: the source runs in NumPy.
    reader : CropReader
        Reads crops of the model's input size from a path.
    engine : str or None
        The engine that runs the converted net. Default: the default engine.
    tolerance : float
        The largest allowed difference.
    stages : bool
        Whether the reports cover every stage of the net rather than its result alone.
    """

    crops: str | Path | npt.NDArray[np.uint8] | None = None
    expected: Array | None = None
    reader: CropReader = read_crops
    engine: str | None = None
    tolerance: float = TOLERANCE
    stages: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduction:
    """A smaller embedding: a linear projection, folded into the net.

    Attributes
    ----------
    size : int
        Dimensions of the smaller embedding.
    crops : Path or FaceCrops
        The face crops that the projection is fitted on, or where the reader of `ParityOptions` finds them.
    """

    size: int
    crops: str | Path | FaceCrops

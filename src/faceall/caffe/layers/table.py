"""The table of all layer types."""

from __future__ import annotations

from faceall.caffe.layers.activations import POWER, SIGMOID, SOFTMAX, SWISH, TANH
from faceall.caffe.layers.convolution import CONVOLUTION, DEPTHWISE
from faceall.caffe.layers.inner_product import INNER_PRODUCT
from faceall.caffe.layers.joining import AXPY, CONCAT, DROPOUT, ELTWISE, SILENCE, SLICE, SPLIT
from faceall.caffe.layers.lrn import LRN
from faceall.caffe.layers.normalisation import BATCH_NORM, BIAS, NORMALIZE, SCALE
from faceall.caffe.layers.pooling import POOLING
from faceall.caffe.layers.rearranging import CROP, FLATTEN, PERMUTE, RESHAPE
from faceall.caffe.layers.rectifiers import CLIP, ELU, PRELU, RELU
from faceall.caffe.layers.spec import LayerSpec, OptionSchema

INPUT_OPTIONS = OptionSchema("input_param", 143, "InputParameter", "repeated BlobShape shape = 1")
"""The options of an Input layer, which is not in `LAYERS`: its shape is given, not inferred."""

_ROWS = (
    AXPY,
    BATCH_NORM,
    BIAS,
    CLIP,
    CONCAT,
    CONVOLUTION,
    DEPTHWISE,
    CROP,
    DROPOUT,
    ELTWISE,
    ELU,
    FLATTEN,
    INNER_PRODUCT,
    LRN,
    NORMALIZE,
    PRELU,
    PERMUTE,
    POOLING,
    POWER,
    RELU,
    RESHAPE,
    SCALE,
    SIGMOID,
    SILENCE,
    SLICE,
    SOFTMAX,
    SPLIT,
    SWISH,
    TANH,
)

LAYERS: dict[str, LayerSpec] = {row.type: row for row in _ROWS}
"""Layer type -> its row."""

KNOWN_TYPES = ("Input", *LAYERS)
"""Every layer type that faceall reads."""

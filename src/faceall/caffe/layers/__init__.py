"""Layer types: one `LayerSpec` row per type, with its options, shapes, operation and ONNX nodes.

To add a type, write its row in the module of its family and list it in `table.py`; `tests/caffe/test_layers.py` then
asks for an oracle, and the tests of the targets ask whether each of them writes or refuses it.
"""

from faceall.caffe.layers.options import (
    axis_of,
    concat_axis,
    crop_offsets,
    groups,
    outputs_of,
    permutation,
    scale_axes,
    slice_bounds,
)
from faceall.caffe.layers.pooling import is_clipped
from faceall.caffe.layers.rectifiers import clip_limits
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shape, Shapes
from faceall.caffe.layers.table import INPUT_OPTIONS, KNOWN_TYPES, LAYERS
from faceall.caffe.layers.window import Pair, Window, window

__all__ = [
    "INPUT_OPTIONS",
    "KNOWN_TYPES",
    "LAYERS",
    "LayerLike",
    "LayerSpec",
    "OptionSchema",
    "Pair",
    "Shape",
    "Shapes",
    "Window",
    "axis_of",
    "clip_limits",
    "concat_axis",
    "crop_offsets",
    "groups",
    "is_clipped",
    "outputs_of",
    "permutation",
    "scale_axes",
    "slice_bounds",
    "window",
]

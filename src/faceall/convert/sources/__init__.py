"""Where nets come from: one function opens every format, without TensorFlow.

`opening` finds the format by content; `checkpoint`, `savedmodel`, `keras_models`, `caffe_files` and `onnx_files` read
one each.
"""

from faceall.convert.sources.opening import open_source
from faceall.convert.sources.source import ACCEPTED, Source, SourceKind

__all__ = ["ACCEPTED", "Source", "SourceKind", "open_source"]

"""Read nets from every supported format, without TensorFlow.

`opening` recognises the format by content. `tensorflow/` reads checkpoints and SavedModels, `keras/` Keras files,
`caffe` and `onnx` the formats of that name.
"""

from faceall.convert.sources.opening import open_source
from faceall.convert.sources.source import ACCEPTED, Source, SourceKind

__all__ = ["ACCEPTED", "Source", "SourceKind", "open_source"]

"""Read ONNX, OpenVINO IR and TFLite files as a net, through OpenVINO.

`worker` reads a file in a process of its own, `graph` starts it and holds its result, `builder` collects layers,
`values`, `products`, `windows` and `shapes` translate operations, `reader` puts them together.
"""

from faceall.convert.sources.openvino.reader import open_openvino

__all__ = ["open_openvino"]

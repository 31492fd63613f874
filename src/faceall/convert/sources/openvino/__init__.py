"""Read ONNX, OpenVINO IR and TFLite files as a net, through OpenVINO.

`worker` reads a file in a process of its own, `graph` starts it and holds its result. `reader` translates the graph
into layers, which `builder` collects, with the operations of `activations`, `arithmetic`, `arrangement`, `lengths` and
`products`.
"""

from faceall.convert.sources.openvino.reader import open_openvino

__all__ = ["open_openvino"]

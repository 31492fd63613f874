"""Nets in: a frozen TensorFlow graph becomes a model folder in Caffe's format, without TensorFlow.

The way of a file: `graphdef` reads it, `simplify` cuts it and finds its patterns, `facenet` writes layers,
`net_passes` folds, `parity` compares with the graph itself, which `evaluate` runs in NumPy.
"""

from faceall.convert.conversion import Conversion, convert
from faceall.convert.facenet import Translation, facenet_net, translate
from faceall.convert.graph import Graph, Node
from faceall.convert.graphdef import read_graph
from faceall.convert.net_passes import BatchNormStyle
from faceall.convert.parity import GATE, ParityReport, Stage, compare, read_check

__all__ = [
    "GATE",
    "BatchNormStyle",
    "Conversion",
    "Graph",
    "Node",
    "ParityReport",
    "Stage",
    "Translation",
    "compare",
    "convert",
    "facenet_net",
    "read_check",
    "read_graph",
    "translate",
]

"""Nets in: a frozen TensorFlow graph becomes a model folder in Caffe's format, without TensorFlow.

The way of a file: `graphdef` reads it, `simplify` cuts it and finds its patterns, `facenet` writes layers,
`net_passes` folds, `parity` compares with the graph itself, which `evaluate` runs in NumPy.
"""

from faceall.convert.facenet import Translation, facenet_net, translate
from faceall.convert.graph import Graph, Node
from faceall.convert.graphdef import read_graph

__all__ = ["Graph", "Node", "Translation", "facenet_net", "read_graph", "translate"]

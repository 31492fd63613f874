"""Nets in: a frozen TensorFlow graph becomes a model folder in Caffe's format, without TensorFlow.

The way of a file: `graphdef` reads it, `simplify` cuts it and finds its patterns, `facenet` writes layers,
`net_passes` folds, `parity` compares with the graph itself, which `evaluate` runs in NumPy. `subject` opens a source of
any kind, `job` takes it through the steps, `targets` holds what can be written.
"""

from faceall.convert.conversion import Conversion, convert
from faceall.convert.parity.comparison import compare, read_check
from faceall.convert.parity.crops import CropReader, FaceCrops, labels_of, read_crops, spread
from faceall.convert.parity.report import GATE, ParityReport, Stage
from faceall.convert.passes.head import BottleneckStyle
from faceall.convert.passes.pools import FloorPool
from faceall.convert.passes.projection import Projection, ProjectionReport, fit_projection, project
from faceall.convert.passes.simplify import BatchNormStyle
from faceall.convert.targets import Target
from faceall.convert.targets.coreml import CoremlOptions
from faceall.convert.tensorflow.facenet import Translation, facenet_net, translate
from faceall.convert.tensorflow.graph import Graph, Node
from faceall.convert.tensorflow.graphdef import read_graph

__all__ = [
    "GATE",
    "BatchNormStyle",
    "BottleneckStyle",
    "Conversion",
    "CoremlOptions",
    "CropReader",
    "FaceCrops",
    "FloorPool",
    "Graph",
    "Node",
    "ParityReport",
    "Projection",
    "ProjectionReport",
    "Stage",
    "Target",
    "Translation",
    "compare",
    "convert",
    "facenet_net",
    "fit_projection",
    "labels_of",
    "project",
    "read_check",
    "read_crops",
    "read_graph",
    "spread",
    "translate",
]

"""Convert models between formats, without TensorFlow.

`sources` reads files, `tensorflow` turns graphs into nets, `passes` simplify nets, `targets` write them and `parity`
compares every step. `subject` opens a source of any kind and `conversion` runs the steps.
"""

from faceall.convert.conversion import Conversion, TargetOptions, convert
from faceall.convert.options import CaffeOptions, ParityOptions, Reduction, SourceOptions
from faceall.convert.parity.comparison import compare, read_check
from faceall.convert.parity.crops import CropReader, FaceCrops, labels_of, read_crops, spread
from faceall.convert.parity.report import TOLERANCE, Criteria, ParityReport, Stage
from faceall.convert.passes.head import BottleneckStyle
from faceall.convert.passes.pools import FloorPool
from faceall.convert.passes.projection import Projection, ProjectionReport, fit_projection, project
from faceall.convert.passes.simplify import BatchNormStyle
from faceall.convert.targets import Target
from faceall.convert.targets.coreai import CoreaiOptions
from faceall.convert.targets.coreml import CoremlOptions
from faceall.convert.tensorflow.facenet import Translation, facenet_net, translate
from faceall.convert.tensorflow.graph import Graph, Node
from faceall.convert.tensorflow.graphdef import read_graph

__all__ = [
    "TOLERANCE",
    "BatchNormStyle",
    "BottleneckStyle",
    "CaffeOptions",
    "Conversion",
    "CoreaiOptions",
    "CoremlOptions",
    "Criteria",
    "CropReader",
    "FaceCrops",
    "FloorPool",
    "Graph",
    "Node",
    "ParityOptions",
    "ParityReport",
    "Projection",
    "ProjectionReport",
    "Reduction",
    "SourceOptions",
    "Stage",
    "Target",
    "TargetOptions",
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

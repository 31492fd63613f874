"""Core ML files: written by coremltools in a separate process, read and run without it."""

from faceall.convert.targets.coreml.options import SUFFIXES, CoremlOptions, Format, InputKind, Precision
from faceall.convert.targets.coreml.parity import COSINE_MINIMA, coreml_parity
from faceall.convert.targets.coreml.read import CoremlModel, Feature, read_coreml
from faceall.convert.targets.coreml.write import built_coreml, write_coreml

__all__ = [
    "COSINE_MINIMA",
    "SUFFIXES",
    "CoremlModel",
    "CoremlOptions",
    "Feature",
    "Format",
    "InputKind",
    "Precision",
    "built_coreml",
    "coreml_parity",
    "read_coreml",
    "write_coreml",
]

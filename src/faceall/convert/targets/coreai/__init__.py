"""Core AI models: written and run by Apple's `coreai-core` in a separate process, behind one module, `border`."""

from faceall.convert.targets.coreai.options import SUFFIX, CoreaiOptions, CoreaiPrecision
from faceall.convert.targets.coreai.parity import COSINE_MINIMUM, coreai_parity
from faceall.convert.targets.coreai.read import CoreaiModel, read_coreai
from faceall.convert.targets.coreai.write import built_coreai, write_coreai

__all__ = [
    "COSINE_MINIMUM",
    "SUFFIX",
    "CoreaiModel",
    "CoreaiOptions",
    "CoreaiPrecision",
    "built_coreai",
    "coreai_parity",
    "read_coreai",
    "write_coreai",
]

"""The target `savedmodel`: a folder for TensorFlow Serving, written and checked without TensorFlow.

`layers` writes a net as TensorFlow's operations, `images` what precedes it (decoding, scaling, standardising),
`encode` turns both into bytes, `write` writes the folder, `check` runs what was written.
"""

from faceall.convert.targets.savedmodel.cascade import CASCADE, Role, cascade_files, role_of
from faceall.convert.targets.savedmodel.check import savedmodel_parity
from faceall.convert.targets.savedmodel.write import Part, version_folder, write_savedmodel

__all__ = [
    "CASCADE",
    "Part",
    "Role",
    "cascade_files",
    "role_of",
    "savedmodel_parity",
    "version_folder",
    "write_savedmodel",
]

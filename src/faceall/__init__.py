"""Find, remember and recognise faces: offline, fast, nothing lost.

The names below are all that most programs need; each is loaded when it is first used, so that `import faceall`
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from faceall.version import __version__

if TYPE_CHECKING:
    from faceall.classify import Classifier
    from faceall.detect import Detector
    from faceall.embed import Embedder
    from faceall.errors import FaceallError
    from faceall.gallery import Gallery
    from faceall.images import read_image, write_image
    from faceall.index import FaceIndex
    from faceall.quick import Found, Verified, detect_faces, find, represent, verify
    from faceall.types import Face, Faces, Matches, Results

__all__ = [
    "Classifier",
    "Detector",
    "Embedder",
    "Face",
    "FaceIndex",
    "FaceallError",
    "Faces",
    "Found",
    "Gallery",
    "Matches",
    "Results",
    "Verified",
    "__version__",
    "detect_faces",
    "find",
    "read_image",
    "represent",
    "verify",
    "write_image",
]

_PACKAGES = {
    "Classifier": "faceall.classify",
    "Detector": "faceall.detect",
    "Embedder": "faceall.embed",
    "Face": "faceall.types",
    "FaceIndex": "faceall.index",
    "FaceallError": "faceall.errors",
    "Faces": "faceall.types",
    "Found": "faceall.quick",
    "Gallery": "faceall.gallery",
    "Matches": "faceall.types",
    "Results": "faceall.types",
    "Verified": "faceall.quick",
    "detect_faces": "faceall.quick",
    "find": "faceall.quick",
    "read_image": "faceall.images",
    "represent": "faceall.quick",
    "verify": "faceall.quick",
    "write_image": "faceall.images",
}


def __getattr__(name: str) -> object:
    """Load a name of `__all__` from its package, once."""
    if name not in _PACKAGES:
        raise AttributeError(f"module 'faceall' has no attribute '{name}'")
    value: object = getattr(import_module(_PACKAGES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

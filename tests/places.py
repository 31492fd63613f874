"""Paths and settings of the tests."""

from __future__ import annotations

import os
from pathlib import Path


def variable(name: str, default: str) -> str:
    """Return an environment variable; an empty one counts as absent."""
    return os.environ.get(name) or default


ROOT = Path(__file__).parent.parent
SHARED = Path(variable("FACEALL_SHARED", str(ROOT.parent / "shared"))).resolve()
GRAPH = "models/facenet/20180408-102900.pb"
"""The frozen graph of FaceNet, below SHARED."""

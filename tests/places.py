"""Where the tests find things."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("FACEALL_SHARED", ROOT.parent / "shared")).resolve()
GRAPH = "models/facenet/20180408-102900.pb"
"""The frozen graph of FaceNet, below SHARED."""

"""Stand-ins that need no weights, shared with the gallery's tests."""

from __future__ import annotations

import sys

from places import ROOT

sys.path.append(str(ROOT / "tests" / "gallery"))

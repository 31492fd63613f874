"""Write nets in other formats; each target writes a model and compares it as written."""

from __future__ import annotations

from typing import Literal, TypeAlias

Target: TypeAlias = Literal["caffe", "onnx", "coreml", "coreai", "savedmodel"]

"""What a net can be written as. Each target is a module with one function that writes, runs and compares."""

from __future__ import annotations

from typing import Literal, TypeAlias

Target: TypeAlias = Literal["caffe", "onnx", "coreml", "savedmodel"]

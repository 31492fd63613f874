"""The engines by name. Each is imported only when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module

from faceall.caffe.engines.protocol import Engine
from faceall.errors import EngineError

DEFAULT_ENGINE = "openvino"

ENGINES = {
    "onnxruntime": "OnnxruntimeEngine",
    "opencv": "OpencvEngine",
    "openvino": "OpenvinoEngine",
    "pycaffe": "PycaffeEngine",
    "reference": "ReferenceEngine",
}
"""An engine's name, also its module's -> its class."""


def get_engine(name: str | None = None) -> Engine:
    """The engine called `name`; by default the one that FACEALL_ENGINE names, else the fastest that pip installs.

    Raises EngineError, which lists the known engines, or says what to install.
    """
    chosen = name or os.environ.get("FACEALL_ENGINE") or DEFAULT_ENGINE
    if chosen not in ENGINES:
        raise EngineError(f"there is no engine '{chosen}'; known engines: {', '.join(sorted(ENGINES))}")
    module = import_module(f"faceall.caffe.engines.{chosen}")
    engine: Engine = getattr(module, ENGINES[chosen])()
    return engine


def has_eight_bit_products() -> bool:
    """Whether the default engine computes in 8 bits on this processor, for nets that say which layers may be."""
    from faceall.caffe.engines import openvino

    return get_engine().name == "openvino" and openvino.has_eight_bit_products()

"""The engines by name; each is imported only when it is used."""

from __future__ import annotations

import os
from importlib import import_module

from faceall.arguments import checked
from faceall.caffe.engines.protocol import Engine, ParallelEngine
from faceall.errors import EngineError

DEFAULT_ENGINE = "openvino"

ENGINES = {
    "onnxruntime": "OnnxruntimeEngine",
    "opencv": "OpencvEngine",
    "openvino": "OpenvinoEngine",
    "pycaffe": "PycaffeEngine",
    "reference": "ReferenceEngine",
}
"""Name of an engine and of its module -> its class."""


@checked
def get_engine(name: str | None = None, *, parallel: bool = False) -> Engine:
    """Return an engine: `name`, or the one in FACEALL_ENGINE, or the default.

    Parameters
    ----------
    name : str, optional
        The name.
    parallel : bool
        Whether several threads will call its nets at the same time; an engine that can then runs each call on one core.

    Raises
    ------
    EngineError
        If the name is unknown or the engine is not installed.
    """
    chosen = name or os.environ.get("FACEALL_ENGINE") or DEFAULT_ENGINE
    if chosen not in ENGINES:
        raise EngineError(f"there is no engine '{chosen}'; known engines: {', '.join(sorted(ENGINES))}")
    module = import_module(f"faceall.caffe.engines.{chosen}")
    engine: Engine = getattr(module, ENGINES[chosen])()
    return engine.for_parallel_calls() if parallel and isinstance(engine, ParallelEngine) else engine


def has_eight_bit_products() -> bool:
    """Return whether the default engine computes in 8 bits on this processor, for nets that say which layers may be."""
    from faceall.caffe.engines import openvino

    return get_engine().name == "openvino" and openvino.has_eight_bit_products()


def has_bfloat16_products(engine: Engine) -> bool:
    """Return whether an engine computes in bfloat16 on this processor."""
    from faceall.caffe.engines import openvino

    return engine.name == "openvino" and openvino.has_bfloat16_products()

"""Engines run a `Net`. They share one protocol and are selected by name."""

from faceall.caffe.engines.cache import cache_folder, compile_cached, compile_net
from faceall.caffe.engines.protocol import CompiledFile, CompiledNet, Engine, NetFile, OnnxEngine, Precision
from faceall.caffe.engines.registry import (
    DEFAULT_ENGINE,
    ENGINES,
    get_engine,
    has_bfloat16_products,
    has_eight_bit_products,
)

__all__ = [
    "DEFAULT_ENGINE",
    "ENGINES",
    "CompiledFile",
    "CompiledNet",
    "Engine",
    "NetFile",
    "OnnxEngine",
    "Precision",
    "cache_folder",
    "compile_cached",
    "compile_net",
    "get_engine",
    "has_bfloat16_products",
    "has_eight_bit_products",
]

"""Every target writes every layer type, or refuses it with the layer's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from faceall.caffe.layers import LAYERS
from faceall.convert.targets.coreai.layers import WRITERS as COREAI
from faceall.convert.targets.coreml.program import WRITERS as COREML
from faceall.convert.targets.savedmodel.layers import LAYERS as SAVEDMODEL

TARGETS: dict[str, Mapping[str, Any]] = {"coreai": COREAI, "coreml": COREML, "savedmodel": SAVEDMODEL}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_has_a_writer_for_every_layer_type(target: str) -> None:
    """A new layer type needs a writer in each target; a writer may raise UnsupportedLayerError."""
    assert TARGETS[target].keys() == LAYERS.keys()


def test_every_layer_type_has_onnx_nodes() -> None:
    """ONNX feeds the default engine, so no type may lack them."""
    assert all(callable(spec.onnx) for spec in LAYERS.values())

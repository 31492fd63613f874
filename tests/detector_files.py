"""Small ONNX detectors with random weights: real files, real engine, no meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from faceall.caffe.onnx_schema import (
    ATTRIBUTE_INTS,
    FLOAT,
    INT64,
    messages,
)

STRIDES = (8, 16, 32)


def yunet_file(seed: int = 0, *, side: int = 0, infers: bool = True) -> bytes:
    """Return a graph with the inputs and outputs of YuNet, of a fixed input size if `side` is given.

    Without `infers` its reshapes state the number of cells, so it cannot run at another size.
    """
    heads = {"cls": (1, True), "obj": (1, True), "bbox": (4, False), "kps": (10, False)}
    named = [(f"{kind}_{stride}", stride, *heads[kind]) for kind in heads for stride in STRIDES]
    outputs = [(name, stride, 1, size, bounded) for name, stride, size, bounded in named]
    return _graph(outputs, seed, [1], side, infers=infers)


def scrfd_file(seed: int = 0, anchors: int = 2) -> bytes:
    """Return a graph with the inputs and outputs of SCRFD: numbered names, all scores first, several anchors."""
    heads = [(1, True), (4, False), (10, False)]
    named = [(stride, size, bounded) for size, bounded in heads for stride in STRIDES]
    outputs = [(str(440 + n), stride, anchors, size, bounded) for n, (stride, size, bounded) in enumerate(named)]
    return _graph(outputs, seed, [])


def _graph(
    outputs: Sequence[tuple[str, int, int, int, bool]],
    seed: int,
    batch: list[int],
    side: int = 0,
    *,
    infers: bool = True,
) -> bytes:
    """Compute each output by one strided convolution: (name, stride, anchors, values per anchor, in 0 to 1)."""
    random = np.random.default_rng(seed)
    kinds = messages()
    model = kinds["ModelProto"](ir_version=8)
    model.opset_import.add(domain="", version=13)
    graph = model.graph
    graph.name = "random"
    _value(graph.input.add(), "data", [1, 3, side, side])
    for name, stride, anchors, size, bounded in outputs:
        kernel = random.normal(0, 0.3 / (stride * 255), (anchors * size, 3, stride, stride)).astype(np.float32)
        _tensor(graph, f"{name}/kernel", kernel, FLOAT)
        cells = (side // stride) ** 2 * anchors
        _tensor(graph, f"{name}/shape", np.array([*batch, -1 if infers else cells, size], np.int64), INT64)
        _node(graph, "Conv", ["data", f"{name}/kernel"], f"{name}/map", strides=[stride, stride])
        _node(graph, "Transpose", [f"{name}/map"], f"{name}/moved", perm=[0, 2, 3, 1])
        last = f"{name}/flat" if bounded else name
        _node(graph, "Reshape", [f"{name}/moved", f"{name}/shape"], last)
        if bounded:
            _node(graph, "Sigmoid", [last], name)
        _value(graph.output.add(), name, [*batch, cells, size])
    return bytes(model.SerializeToString())


def _value(entry: Any, name: str, sizes: Sequence[int]) -> None:
    entry.name = name
    entry.type.tensor_type.elem_type = FLOAT
    for size in sizes:
        dimension = entry.type.tensor_type.shape.dim.add()
        if size:
            dimension.dim_value = size
        else:
            dimension.dim_param = "any"


def _tensor(graph: Any, name: str, values: np.ndarray[Any, Any], kind: int) -> None:
    graph.initializer.add(name=name, dims=values.shape, data_type=kind, raw_data=values.tobytes())


def _node(graph: Any, kind: str, inputs: Sequence[str], output: str, **lists: list[int]) -> None:
    node = graph.node.add(op_type=kind, input=inputs, output=[output], name=output)
    for name, values in lists.items():
        node.attribute.add(name=name, ints=values, type=ATTRIBUTE_INTS)

"""Small frozen graphs, written node by node with the reader's own schema: TensorFlow is not needed to make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from faceall.convert.tensorflow.graph import Graph
from faceall.convert.tensorflow.graphdef import parse_graph
from faceall.convert.tensorflow.schema import NUMPY_TYPES, messages
from faceall.convert.tensorflow.simplify import bind
from faceall.types import Array

_TYPE_NUMBERS = {np.dtype(kind): number for number, kind in NUMPY_TYPES.items()}


class GraphMaker:
    """Collects nodes; every method returns the name of the tensor that it makes."""

    def __init__(self, seed: int = 0) -> None:
        self.message = messages()["GraphDef"]()
        self.random = np.random.default_rng(seed)

    def node(self, name: str, op: str, inputs: list[str] | tuple[str, ...] = (), **attrs: Any) -> str:
        """Any node; attributes by Python type: bool, int, float, text, a list of ints or texts, an array, a shape."""
        item = self.message.node.add(name=name, op=op, input=list(inputs))
        for key, value in attrs.items():
            _fill(item.attr[key], value)
        return name

    def constant(self, name: str, value: Any, controls: tuple[str, ...] = ()) -> str:
        """A Const node, float32 unless `value` is an array."""
        array = value if isinstance(value, np.ndarray) else np.asarray(value, np.float32)
        return self.node(name, "Const", [f"^{control}" for control in controls], value=array)

    def numbers(self, name: str, *shape: int, low: float = -1.0, high: float = 1.0) -> str:
        """A Const node with random numbers, read through an Identity as frozen variables are."""
        values = self.random.uniform(low, high, shape).astype(np.float32)
        return self.node(f"{name}/read", "Identity", [self.constant(name, values)])

    def placeholder(self, name: str = "input", shape: tuple[int, ...] = (-1, 9, 9, 3)) -> str:
        """A float placeholder."""
        return self.node(name, "Placeholder", dtype=_Type(1), shape=_Shape(shape))

    def flag(self, name: str = "phase_train") -> str:
        """A bool placeholder."""
        return self.node(name, "Placeholder", dtype=_Type(10))

    def convolution(
        self, x: str, name: str, inputs: int, outputs: int, *, size: int = 3, stride: int = 1, padding: str = "SAME"
    ) -> str:
        """Conv2D with random weights."""
        weights = self.numbers(f"{name}/weights", size, size, inputs, outputs)
        strides = [1, stride, stride, 1]
        return self.node(f"{name}/Conv2D", "Conv2D", [x, weights], strides=strides, padding=padding, data_format="NHWC")

    def statistics(self, scope: str, channels: int) -> tuple[str, str, str]:
        """beta, mean and variance of a batch normalisation."""
        return (
            self.numbers(f"{scope}/beta", channels),
            self.numbers(f"{scope}/moving_mean", channels),
            self.numbers(f"{scope}/moving_variance", channels, low=0.2, high=2.0),
        )

    def fused_norm(self, x: str, scope: str, channels: int, flag: str) -> str:
        """Fused batch normalisation behind a training flag: both branches, joined by a Merge."""
        beta, mean, variance = self.statistics(scope, channels)
        gamma = self.constant(f"{scope}/Const", np.ones(channels, np.float32))
        empty = self.constant(f"{scope}/empty", np.zeros(0, np.float32))
        cond = f"{scope}/cond"
        pivot = self.node(f"{cond}/Switch", "Switch", [flag, flag])
        self.node(f"{cond}/switch_t", "Identity", [f"{pivot}:1"])
        self.node(f"{cond}/switch_f", "Identity", [pivot])
        predicate = self.node(f"{cond}/pred_id", "Identity", [flag])
        branches = []
        for output, training in ((":1", True), ("", False)):
            name = f"{cond}/FusedBatchNorm" if training else f"{cond}/FusedBatchNorm_1"
            operands = [x, gamma, beta, *((empty, empty) if training else (mean, variance))]
            held = [self.node(f"{name}/Switch_{n}", "Switch", [t, predicate]) + output for n, t in enumerate(operands)]
            branches.append(self.node(name, "FusedBatchNorm", held, epsilon=0.001, is_training=training))
        return self.node(f"{cond}/Merge", "Merge", branches[::-1])

    def plain_norm(self, x: str, scope: str, channels: int, flag: str, *, scaled: bool = False, rank: int = 4) -> str:
        """Batch normalisation written out, as TensorFlow 1.0 did: the flag chooses the mean and the variance."""
        beta, mean, variance = self.statistics(scope, channels)
        axes = self.constant(f"{scope}/axes", np.arange(rank - 1, dtype=np.int32))
        moments = [self.node(f"{scope}/moments/{name}", "Mean", [x, axes]) for name in ("mean", "variance")]
        pivot = self.node(f"{scope}/cond/Switch", "Switch", [flag, flag])
        self.node(f"{scope}/cond/switch_t", "Identity", [f"{pivot}:1"])
        predicate = self.node(f"{scope}/cond/pred_id", "Identity", [flag])
        chosen = []
        for number, (moving, moment) in enumerate(zip((mean, variance), moments, strict=True)):
            now = self.node(f"{scope}/cond/Switch_{number}", "Switch", [moment, predicate])
            update = self.node(f"{scope}/AssignMovingAvg_{number}", "AssignSub", [moving, f"{now}:1"])
            taken = self.node(f"{scope}/cond/Identity_{number}", "Identity", [f"{now}:1", f"^{update}"])
            held = self.node(f"{scope}/cond/Switch_1{number}", "Switch", [moving, predicate])
            chosen.append(self.node(f"{scope}/cond/Merge_{number}", "Merge", [held, taken]))
        epsilon = self.constant(f"{scope}/batchnorm/add/y", 0.001)
        factor = self.node(f"{scope}/batchnorm/add", "Add", [chosen[1], epsilon])
        factor = self.node(f"{scope}/batchnorm/Rsqrt", "Rsqrt", [factor])
        if scaled:
            gamma = self.numbers(f"{scope}/gamma", channels, low=0.5, high=2.0)
            factor = self.node(f"{scope}/batchnorm/mul_gamma", "Mul", [factor, gamma])
        product = self.node(f"{scope}/batchnorm/mul", "Mul", [x, factor])
        shift = self.node(f"{scope}/batchnorm/mul_1", "Mul", [chosen[0], factor])
        shift = self.node(f"{scope}/batchnorm/sub", "Sub", [beta, shift])
        return self.node(f"{scope}/batchnorm/add_1", "Add", [product, shift])

    def flatten(self, x: str, name: str, numbers: int) -> str:
        """Reshape to (batch, numbers), the batch taken from the tensor's own shape."""
        shape = self.node(f"{name}/Shape", "Shape", [x], out_type=_Type(3))
        first, second = (self.constant(f"{name}/{n}", np.array([n], np.int32)) for n in (0, 1))
        masks = {"shrink_axis_mask": 1, "begin_mask": 0, "end_mask": 0}
        batch = self.node(f"{name}/batch", "StridedSlice", [shape, first, second, second], **masks)
        rest = self.constant(f"{name}/rest", np.array(numbers, np.int32))
        target = self.node(f"{name}/shape", "Pack", [batch, rest], axis=0)
        return self.node(f"{name}/Reshape", "Reshape", [x, target])

    def unit_length(self, x: str, name: str = "embeddings") -> str:
        """l2_normalize over axis 1."""
        square = self.node(f"{name}/Square", "Square", [x])
        axis = self.constant(f"{name}/Sum/axis", np.array(1, np.int32))
        total = self.node(f"{name}/Sum", "Sum", [square, axis], keep_dims=True)
        floor = self.node(f"{name}/Maximum", "Maximum", [total, self.constant(f"{name}/Maximum/y", 1e-10)])
        return self.node(name, "Mul", [x, self.node(f"{name}/Rsqrt", "Rsqrt", [floor])])

    def data(self, *, shuffle: int | None = None) -> bytes:
        """The bytes of the GraphDef, its nodes in random order where a seed is given."""
        message = self.message
        if shuffle is not None:
            order = np.random.default_rng(shuffle).permutation(len(message.node))
            message = messages()["GraphDef"](node=[message.node[int(number)] for number in order])
        return bytes(message.SerializeToString())

    def graph(self) -> Graph:
        """As read from a file."""
        return parse_graph(self.data())

    def bound(self, **boundary: str) -> Graph:
        """Cut between `input` and `embeddings`."""
        return bind(self.graph(), **boundary)

    def write(self, path: Path) -> Path:
        """As a file."""
        path.write_bytes(self.data())
        return path


class _Type(int):
    """A data type's number."""


class _Shape(tuple[int, ...]):
    """A shape, not a list of numbers."""


def _fill(attr: Any, value: Any) -> None:
    if isinstance(value, _Type):
        attr.type = int(value)
    elif isinstance(value, bool):
        attr.b = value
    elif isinstance(value, int):
        attr.i = value
    elif isinstance(value, float):
        attr.f = value
    elif isinstance(value, str):
        attr.s = value.encode()
    elif isinstance(value, _Shape):
        _fill_shape(attr.shape, value)
    elif isinstance(value, np.ndarray):
        fill_tensor(attr.tensor, value)
    elif value and isinstance(value[0], _Shape):
        for shape in value:
            _fill_shape(attr.list.shape.add(), shape)
    else:
        attr.list.i.extend(value)


def _fill_shape(message: Any, shape: tuple[int, ...]) -> None:
    message.SetInParent()
    for size in shape:
        message.dim.add(size=size)


def fill_tensor(message: Any, array: Array) -> None:
    """Put an array into a TensorProto as raw bytes."""
    message.dtype = _TYPE_NUMBERS[array.dtype]
    _fill_shape(message.tensor_shape, array.shape)
    message.tensor_content = np.ascontiguousarray(array).tobytes()


def shape(*sizes: int) -> _Shape:
    """A shape attribute."""
    return _Shape(sizes)


def small_facenet(norm: str = "fused", *, queue: bool = False, seed: int = 0) -> GraphMaker:
    """A net of FaceNet's build on 19 x 19 pictures: stem, pool, residual block, reduction with a pool that rounds
    down, average, dropout, bottleneck with batch norm, unit length; all behind `phase_train`."""
    g = GraphMaker(seed)
    if queue:
        fifo = g.node("batch_join/fifo_queue", "FIFOQueueV2", shapes=[shape(19, 19, 3), shape()])
        size = g.node("batch_size", "Placeholder", dtype=_Type(3))
        taken = g.node("batch_join", "QueueDequeueUpToV2", [fifo, size])
        g.node("label_batch", "Identity", [f"{taken}:1"])
        x = g.node("input", "Identity", [g.node("image_batch", "Identity", [taken])])
    else:
        x = g.placeholder("input", (-1, 19, 19, 3))
    flag = g.flag()

    def block(x: str, name: str, inputs: int, outputs: int, **options: Any) -> str:
        y = g.convolution(x, name, inputs, outputs, **options)
        y = (g.fused_norm if norm == "fused" else g.plain_norm)(y, f"{name}/BatchNorm", outputs, flag)
        return g.node(f"{name}/Relu", "Relu", [y])

    x = block(x, "Net/Conv2d_1a_3x3", 3, 8, stride=2, padding="VALID")  # 9
    x = block(x, "Net/Conv2d_2a_3x3", 8, 8)
    up = g.convolution(x, "Net/block/Conv2d_1x1", 8, 8, size=1)
    up = g.node("Net/block/Conv2d_1x1/BiasAdd", "BiasAdd", [up, g.numbers("Net/block/Conv2d_1x1/biases", 8)])
    scaled = g.node("Net/block/mul", "Mul", [g.constant("Net/block/mul/x", 0.17), up])
    x = g.node("Net/block/Relu", "Relu", [g.node("Net/block/add", "Add", [x, scaled])])
    x = block(x, "Net/Conv2d_3a_2x2", 8, 8, size=2, padding="VALID")  # 8
    left = block(x, "Net/Mixed/Branch_0/Conv2d_1a_3x3", 8, 6, stride=2, padding="VALID")  # 3
    window = {"ksize": [1, 3, 3, 1], "strides": [1, 2, 2, 1], "padding": "VALID", "data_format": "NHWC"}
    right = g.node("Net/Mixed/Branch_1/MaxPool_1a_3x3/MaxPool", "MaxPool", [x], **window)
    axis = g.constant("Net/Mixed/concat/axis", np.array(3, np.int32))
    x = g.node("Net/Mixed/concat", "ConcatV2", [left, right, axis])
    window = {"ksize": [1, 3, 3, 1], "strides": [1, 1, 1, 1], "padding": "VALID", "data_format": "NHWC"}
    x = g.flatten(g.node("Net/Logits/AvgPool", "AvgPool", [x], **window), "Net/Logits/Flatten", 14)
    x = dropout(g, x, "Net/Logits/Dropout", flag)
    x = g.node("Net/Bottleneck/MatMul", "MatMul", [x, g.numbers("Net/Bottleneck/weights", 14, 10)])
    x = g.plain_norm(x, "Net/Bottleneck/BatchNorm", 10, flag, rank=2)
    g.unit_length(x)
    return g


def dropout(g: GraphMaker, x: str, name: str, flag: str) -> str:
    """Dropout in the branch that trains."""
    pivot = g.node(f"{name}/cond/Switch", "Switch", [flag, flag])
    on = g.node(f"{name}/cond/switch_t", "Identity", [f"{pivot}:1"])
    predicate = g.node(f"{name}/cond/pred_id", "Identity", [flag])
    keep = g.constant(f"{name}/cond/keep_prob", 0.8, controls=(on,))
    data = g.node(f"{name}/cond/div/Switch", "Switch", [x, predicate])
    scaled = g.node(f"{name}/cond/div", "RealDiv", [f"{data}:1", keep])
    random = g.node(f"{name}/cond/RandomUniform", "RandomUniform", [g.node(f"{name}/cond/Shape", "Shape", [scaled])])
    mask = g.node(f"{name}/cond/Floor", "Floor", [g.node(f"{name}/cond/add", "Add", [keep, random])])
    noisy = g.node(f"{name}/cond/mul", "Mul", [scaled, mask])
    calm = g.node(f"{name}/cond/Identity", "Identity", [g.node(f"{name}/cond/Switch_1", "Switch", [x, predicate])])
    return g.node(f"{name}/cond/Merge", "Merge", [calm, noisy])

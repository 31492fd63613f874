"""ONNX files of face nets with random weights, in the forms in which PyTorch's exporter writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from faceall.caffe.onnx_graph import OnnxGraph, declare
from faceall.types import Array


class Exporter:
    """A graph under construction; every method returns the name of the value that it makes."""

    def __init__(self, shape: Sequence[int | str] = ("batch", 3, 32, 32), seed: int = 0) -> None:
        self.graph = OnnxGraph("main_graph", {}, {}, {})
        self.graph.model.producer_name = "pytorch"
        self.graph.model.opset_import[0].version = 14
        self.random = np.random.default_rng(seed)
        self.channels: dict[str, int] = {"input.1": int(shape[1])}
        declare(self.graph.message.input.add(name="input.1"), shape)
        self._shared: dict[bytes, str] = {}

    def node(self, kind: str, inputs: Sequence[str], channels: int = 0, **attributes: Any) -> str:
        """Any operation; it keeps the channels of its first input unless `channels` says otherwise."""
        y = self.graph.node(kind, inputs, **attributes)
        self.channels[y] = channels or self.channels.get(inputs[0], 0)
        return y

    def weight(self, *shape: int, spread: float = 1.0, offset: float = 0.0) -> str:
        """A random constant."""
        return self.graph.constant((self.random.normal(size=shape) * spread + offset).astype(np.float32))

    def shared(self, array: Array) -> str:
        """A constant; an equal one is the first again, through Identity, as PyTorch's exporter does."""
        key = array.tobytes()
        if key not in self._shared:
            self._shared[key] = self.graph.constant(array.astype(np.float32))
            return self._shared[key]
        return self.node("Identity", [self._shared[key]])

    def convolution(
        self, x: str, outputs: int, kernel: int = 3, *, stride: int = 1, group: int = 1, bias: bool = False
    ) -> str:
        """A convolution with even padding; equal biases are shared."""
        inputs = self.channels[x] // group
        operands = [x, self.weight(outputs, inputs, kernel, kernel, spread=1 / np.sqrt(inputs * kernel * kernel))]
        operands += [self.shared(np.full(outputs, 0.1, np.float32))] if bias else []
        pad = kernel // 2
        options = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "dilations": [1, 1]}
        return self.node("Conv", operands, outputs, group=group, **options)

    def batch_norm(self, x: str) -> str:
        """Batch normalisation as a node of its own."""
        count = self.channels[x]
        gamma, beta, mean = self.weight(count, spread=0.2, offset=1.0), self.weight(count), self.weight(count)
        variance = self.graph.constant(self.random.uniform(0.5, 1.5, count).astype(np.float32))
        return self.node("BatchNormalization", [x, gamma, beta, mean, variance], epsilon=1e-5)

    def prelu(self, x: str) -> str:
        """A slope per channel, (C, 1, 1)."""
        return self.node("PRelu", [x, self.weight(self.channels[x], 1, 1, spread=0.1, offset=0.25)])

    def gemm(self, x: str, inputs: int, outputs: int) -> str:
        """A fully connected layer."""
        operands = [x, self.weight(outputs, inputs, spread=1 / np.sqrt(inputs)), self.weight(outputs)]
        return self.node("Gemm", operands, outputs, alpha=1.0, beta=1.0, transB=1)

    def squeeze(self, x: str, gate: Callable[[Exporter, str], str]) -> str:
        """Squeeze-and-excitation with convolutions."""
        y = self.node("GlobalAveragePool", [x])
        y = self.node("Relu", [self.convolution(y, 4, 1, bias=True)])
        y = gate(self, self.convolution(y, self.channels[x], 1, bias=True))
        return self.node("Mul", [x, y])

    def finish(self, *outputs: str) -> bytes:
        """The file, whose results are "683", "684" and so on."""
        for number, value in enumerate(outputs, 683):
            name = self.graph.node("Identity", [value], str(number))
            declare(self.graph.message.output.add(name=name), ["batch", "size"])
        return bytes(self.graph.model.SerializeToString())


def iresnet() -> bytes:
    """An ArcFace net: normalisation before convolutions, PReLU, shortcuts, Flatten, Gemm, a last normalisation."""
    net = Exporter()
    x = net.prelu(net.batch_norm(net.convolution("input.1", 8)))
    for channels, stride in ((8, 2), (8, 1), (12, 2)):
        y = net.prelu(net.convolution(net.batch_norm(x), channels))
        y = net.batch_norm(net.convolution(y, channels, stride=stride))
        if stride > 1:
            x = net.batch_norm(net.convolution(x, channels, 1, stride=stride))
        x = net.node("Add", [y, x])
    x = net.node("Flatten", [net.batch_norm(x)], axis=1)
    return net.finish(net.batch_norm(net.gemm(x, 12 * 8 * 8, 16)))


def mobile_facenet() -> bytes:
    """Depthwise convolutions, linear bottlenecks, a global depthwise one, a view, unit length by ReduceL2."""
    net = Exporter()
    x = net.prelu(net.batch_norm(net.convolution("input.1", 8, stride=2)))
    for stride in (2, 1):
        y = net.prelu(net.batch_norm(net.convolution(x, 16, 1)))
        y = net.prelu(net.batch_norm(net.convolution(y, 16, stride=stride, group=16)))
        y = net.batch_norm(net.convolution(y, 8, 1))
        x = net.node("Add", [x, y]) if stride == 1 else y
    y = net.node("Conv", [x, net.weight(8, 1, 8, 8, spread=0.2)], kernel_shape=[8, 8], group=8)
    y = net.convolution(net.batch_norm(y), 16, 1)
    y = net.batch_norm(net.node("Reshape", [y, net.graph.integers(-1, 16)]))
    norm = net.node("ReduceL2", [y], axes=[1], keepdims=1)
    norm = net.node("Clip", [norm, net.graph.scalar(1e-12)])
    norm = net.node("Expand", [norm, net.node("Shape", [y])])
    return net.finish(net.node("Div", [y, norm]))


def mobilenet_v3() -> bytes:
    """HardSwish, hard sigmoid gates, Clip with constants, GlobalAveragePool, Squeeze and Unsqueeze, ELU, Tanh."""
    net = Exporter()
    x = net.node("HardSwish", [net.batch_norm(net.convolution("input.1", 8, stride=2))])
    x = net.squeeze(x, lambda made, y: made.node("HardSigmoid", [y], alpha=0.2, beta=0.5))
    x = net.node("Clip", [net.convolution(x, 8, bias=True), net.graph.scalar(0.0), net.graph.scalar(6.0)])
    x = net.squeeze(x, lambda made, y: made.node("Sigmoid", [y]))
    x = net.node("Elu", [net.convolution(x, 8, group=2)], alpha=0.7)
    x = net.node("Mul", [x, net.node("Sigmoid", [x])])
    x = net.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.node("LeakyRelu", [net.node("Tanh", [x])], alpha=0.1)
    x = net.node("Squeeze", [net.node("GlobalAveragePool", [x]), net.graph.integers(2, 3)])
    x = net.node("Unsqueeze", [x, net.graph.integers(2, 3)])
    x = net.node("Reshape", [net.convolution(x, 10, 1), net.graph.integers(0, -1)])
    x = net.node("Sub", [x, net.graph.constant(np.linspace(-1, 1, 10).astype(np.float32)[None])])
    return net.finish(net.node("Div", [x, net.graph.scalar(3.0)]), x)


def sface() -> bytes:
    """Pixels from 0 to 255, standardised by the net, an uneven padding, a concatenation, a channel shuffle."""
    net = Exporter((1, 3, 32, 32))
    x = net.node("Sub", ["input.1", net.graph.constant(np.full((1, 3, 1, 1), 127.5, np.float32))])
    x = net.node("Mul", [x, net.graph.scalar(0.0078125)])
    edges = net.graph.integers(0, 0, 0, 0, 0, 0, 1, 1)
    x = net.node("Pad", [x, edges, net.graph.scalar(0.0)], mode="constant")
    x = net.node("Conv", [x, net.weight(8, 3, 3, 3, spread=0.2)], 8, kernel_shape=[3, 3], strides=[2, 2])
    left, right = (net.convolution(x, 4, 1), net.convolution(x, 4, 3))
    x = net.node("Relu", [net.node("Concat", [left, right], 8, axis=1)])
    x = net.node("Reshape", [x, net.graph.integers(1, 2, 4, 16, 16)])
    x = net.node("Transpose", [x], perm=[0, 2, 1, 3, 4])
    x = net.node("Reshape", [x, net.graph.integers(1, 8, 16, 16)], 8)
    x = net.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Reshape", [x, net.graph.integers(1, -1)])
    x = net.node("MatMul", [x, net.weight(8 * 8 * 8, 12, spread=0.05)], 12)
    return net.finish(net.node("Add", [x, net.weight(12)]))


def expanded() -> bytes:
    """A gate repeated to the shape of its image, parts of the channels, layer scale on transposed values, low rank."""
    net = Exporter()
    x = net.node("Relu", [net.convolution("input.1", 8, stride=4)])
    gate = net.node("Sigmoid", [net.convolution(net.node("GlobalAveragePool", [x]), 8, 1)])
    x = net.node("Mul", [x, net.node("Expand", [gate, net.node("Shape", [x])])])
    first = net.node("Slice", [x, *(net.graph.integers(number) for number in (0, 4, 1))], 4)
    second = net.node("Slice", [x, *(net.graph.integers(number) for number in (4, 8, 1))], 4)
    second = net.node("Add", [second, first])
    x = net.node("Concat", [net.convolution(first, 4, group=4), net.convolution(second, 4, group=4)], 8, axis=1)
    y = net.node("Transpose", [x], perm=[0, 2, 3, 1])
    y = net.node("MatMul", [y, net.weight(8, 2)], 2)
    y = net.node("MatMul", [net.node("HardSwish", [y]), net.weight(2, 8)], 8)
    y = net.node("Mul", [y, net.weight(8)])
    x = net.node("Add", [x, net.node("Transpose", [y], perm=[0, 3, 1, 2])])
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x])], axis=1)
    return net.finish(net.gemm(x, 8, 16))


NETS: dict[str, Callable[[], bytes]] = {
    "expanded": expanded,
    "iresnet": iresnet,
    "mobile_facenet": mobile_facenet,
    "mobilenet_v3": mobilenet_v3,
    "sface": sface,
}
"""Name -> the function that makes the file."""

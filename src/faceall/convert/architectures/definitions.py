"""Definitions of face embedding nets as tables, for weights without a graph.

A definition asks for its weights by name: "LAYER/weights" (kh, kw, in, out), "LAYER/biases",
"LAYER_BatchNorm/beta", "/moving_mean", "/moving_variance" and, where a net has it, "/gamma".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from faceall.caffe.net import Net
from faceall.convert.architectures.weights import STATISTICS, RandomWeights, StoredWeights, Weights
from faceall.convert.passes.simplify import BatchNormStyle
from faceall.convert.tensorflow.facenet import translate
from faceall.convert.tensorflow.graph import Graph
from faceall.convert.tensorflow.graph_writer import GraphWriter, Steps
from faceall.convert.tensorflow.simplify import bind
from faceall.types import Array, Float32Array

Branches: TypeAlias = tuple[tuple[tuple[str, int], ...], ...]

FACENET_EPSILON = 1e-3
FACENET_SIZE = 160
MOBILE_FACENET_SIZE = 112

STEM = (
    ("Conv2d_1a_3x3", 32, 2, "VALID"),
    ("Conv2d_2a_3x3", 32, 1, "VALID"),
    ("Conv2d_2b_3x3", 64, 1, "SAME"),
    ("MaxPool_3a_3x3", 0, 2, "VALID"),
    ("Conv2d_3b_1x1", 80, 1, "VALID"),
    ("Conv2d_4a_3x3", 192, 1, "VALID"),
    ("Conv2d_4b_3x3", 256, 2, "VALID"),
)
"""Layer, channels, stride, padding. A name ends in its window, rows x columns."""

BLOCK35: Branches = (
    (("Conv2d_1x1", 32),),
    (("Conv2d_0a_1x1", 32), ("Conv2d_0b_3x3", 32)),
    (("Conv2d_0a_1x1", 32), ("Conv2d_0b_3x3", 32), ("Conv2d_0c_3x3", 32)),
)
BLOCK17: Branches = (
    (("Conv2d_1x1", 128),),
    (("Conv2d_0a_1x1", 128), ("Conv2d_0b_1x7", 128), ("Conv2d_0c_7x1", 128)),
)
BLOCK8: Branches = (
    (("Conv2d_1x1", 192),),
    (("Conv2d_0a_1x1", 192), ("Conv2d_0b_1x3", 192), ("Conv2d_0c_3x1", 192)),
)
MIXED_6A: Branches = (
    (("Conv2d_1a_3x3", 384),),
    (("Conv2d_0a_1x1", 192), ("Conv2d_0b_3x3", 192), ("Conv2d_1a_3x3", 256)),
    (("MaxPool_1a_3x3", 0),),
)
MIXED_7A: Branches = (
    (("Conv2d_0a_1x1", 256), ("Conv2d_1a_3x3", 384)),
    (("Conv2d_0a_1x1", 256), ("Conv2d_1a_3x3", 256)),
    (("Conv2d_0a_1x1", 256), ("Conv2d_0b_3x3", 256), ("Conv2d_1a_3x3", 256)),
    (("MaxPool_1a_3x3", 0),),
)

MOBILE_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""MobileFaceNet's bottlenecks: expansion, channels, count, stride of the first."""


@dataclass
class _Definer:
    """A graph under construction, with the layers that the definitions share."""

    weights: Weights
    width: float = 1.0
    writer: GraphWriter = field(default_factory=GraphWriter)
    channels: dict[str, int] = field(default_factory=dict)

    def kernel(self, x: str, name: str, outputs: int, window: tuple[int, int], *, free: bool = True) -> Float32Array:
        return self.weights(f"{name}/weights", (*window, self.channels[x], outputs), free=free)

    def norm(self, x: str, name: str, channels: int) -> str:
        """Add a batch normalisation; FaceNet's has no gamma, which is then one."""
        gamma, beta, mean, variance = (self.weights(f"{name}/{kind}", (channels,)) for kind in STATISTICS)
        return self.writer.batch_norm(x, name, gamma, beta, mean, variance, FACENET_EPSILON)

    def unit(self, x: str, name: str, outputs: int, stride: int = 1, padding: str = "SAME") -> str:
        """Add convolution, normalisation and rectifier, or a pool if the name says so."""
        window = _window(name)
        if "MaxPool" in name:
            y = self.writer.pool(x, name, "MaxPool", window, (stride, stride), padding)
            return self._made(y, self.channels[x])
        kernel = self.kernel(x, name, self.scaled(outputs), window)
        y = self.writer.convolution(x, name, kernel, Steps((stride, stride), padding))
        y = self.norm(y, f"{name}_BatchNorm", kernel.shape[3])
        return self._made(self.writer.node(f"{name}_Activation/Relu", "Relu", [y]), kernel.shape[3])

    def branches(self, x: str, name: str, rows: Branches) -> str:
        """Add parallel chains and their concatenation; a layer with `_1a_` in its name halves the image."""
        ends = []
        for number, chain in enumerate(rows):
            y = x
            for layer, outputs in chain:
                halves = (2, "VALID") if "_1a_" in layer else (1, "SAME")
                y = self.unit(y, f"{name}_Branch_{number}_{layer}", outputs, *halves)
            ends.append(y)
        return self._made(self.writer.concat(ends, f"{name}_Concatenate", 3), sum(self.channels[end] for end in ends))

    def residual(self, x: str, name: str, rows: Branches, scale: float, *, rectified: bool = True) -> str:
        """Add x + scale * (the branches, projected to the channels of x)."""
        mixed, up = self.branches(x, name, rows), f"{name}_Conv2d_1x1"
        kernel = self.kernel(mixed, up, self.channels[x], (1, 1), free=False)
        bias = self.weights(f"{up}/biases", (self.channels[x],))
        y = self.writer.scaled_sum(x, self.writer.convolution(mixed, up, kernel, bias=bias), f"{name}_ScaleSum", scale)
        y = self.writer.node(f"{name}_Activation/Relu", "Relu", [y]) if rectified else y
        return self._made(y, self.channels[x])

    def depth_unit(
        self,
        x: str,
        name: str,
        outputs: int | None,
        window: int,
        *,
        stride: int = 1,
        linear: bool = False,
    ) -> str:
        """Add convolution, normalisation and, unless `linear`, PReLU.

        Without `outputs` the convolution is depthwise, which keeps the channels.
        """
        if window == 3:  # padded evenly at any stride, which TensorFlow's SAME is not
            edges = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
            source = self.writer.node(f"{name}/Pad", "Pad", [x, self.writer.constant(f"{name}/paddings", edges)])
        else:
            source = x
        shape = (window, window)
        depthwise = outputs is None
        if outputs is None:
            kernel = self.weights(f"{name}/weights", (*shape, self.channels[x], 1))
            outputs = self.channels[x]
        else:
            kernel = self.kernel(x, name, outputs, shape)
            outputs = kernel.shape[3]
        y = self.writer.convolution(source, name, kernel, Steps((stride, stride), "VALID"), depthwise=depthwise)
        y = self.norm(y, f"{name}_BatchNorm", outputs)
        if not linear:
            slope = self.writer.constant(f"{name}_PReLU/slope", self.weights(f"{name}_PReLU/slope", (outputs,)))
            y = self.writer.node(f"{name}_PReLU/PRelu", "PRelu", [y, slope])
        return self._made(y, outputs)

    def image(self, size: int) -> str:
        return self._made(self.writer.image(size, size), 3)

    def scaled(self, channels: int) -> int:
        return max(1, round(channels * self.width))

    def made_like(self, y: str, x: str) -> str:
        return self._made(y, self.channels[x])

    def _made(self, y: str, channels: int) -> str:
        self.channels[y] = channels
        return y


def facenet_graph(weights: Mapping[str, Array], *, image_size: int = FACENET_SIZE) -> Graph:
    """Build Inception-ResNet-v1 of any width with given weights.

    The graph reads `input` (N, image_size, image_size, 3) and writes `embeddings` (N, D) of unit length.

    Raises
    ------
    ConvertError
        If weights are absent or do not fit.
    """
    stored = StoredWeights(weights)
    graph = _facenet(_Definer(stored), 512, image_size)
    stored.require("FaceNet's Inception-ResNet-v1")
    return graph


def mobile_facenet_graph(weights: Mapping[str, Array], *, image_size: int = MOBILE_FACENET_SIZE) -> Graph:
    """Build MobileFaceNet with given weights; see `facenet_graph`."""
    stored = StoredWeights(weights)
    graph = _mobile_facenet(_Definer(stored), 128, image_size)
    stored.require("MobileFaceNet")
    return graph


def inception_resnet_v1(
    *,
    width: float = 1.0,
    embedding_size: int = 512,
    image_size: int = FACENET_SIZE,
    batch_norm: BatchNormStyle = "keep",
    seed: int = 0,
) -> Net:
    """Build Inception-ResNet-v1 with random weights.

    Parameters
    ----------
    width : float
        The number of channels everywhere, in proportion to FaceNet's.
    batch_norm : BatchNormStyle
        "keep" as BatchNorm and Scale, or "fold".

    Returns
    -------
    Net
        Reads the blob `input` (N, 3, image_size, image_size), writes `embeddings` (N, embedding_size).
    """
    graph = _facenet(_Definer(RandomWeights(seed), width), embedding_size, image_size)
    return translate(bind(graph), name="inception_resnet_v1", batch_norm=batch_norm).net


def mobile_facenet(
    *,
    embedding_size: int = 128,
    image_size: int = MOBILE_FACENET_SIZE,
    width: float = 1.0,
    batch_norm: BatchNormStyle = "keep",
    seed: int = 0,
) -> Net:
    """Build MobileFaceNet with random weights; see `inception_resnet_v1`."""
    graph = _mobile_facenet(_Definer(RandomWeights(seed), width), embedding_size, image_size)
    return translate(bind(graph), name="mobile_facenet", batch_norm=batch_norm).net


def _facenet(net: _Definer, embedding_size: int, image_size: int) -> Graph:
    x = net.image(image_size)
    for name, outputs, stride, padding in STEM:
        x = net.unit(x, name, outputs, stride, padding)
    for number in range(1, 6):
        x = net.residual(x, f"Block35_{number}", BLOCK35, 0.17)
    x = net.branches(x, "Mixed_6a", MIXED_6A)
    for number in range(1, 11):
        x = net.residual(x, f"Block17_{number}", BLOCK17, 0.10)
    x = net.branches(x, "Mixed_7a", MIXED_7A)
    for number in range(1, 6):
        x = net.residual(x, f"Block8_{number}", BLOCK8, 0.20)
    x = net.residual(x, "Block8_6", BLOCK8, 1.0, rectified=False)
    weights = net.weights("Bottleneck/weights", (net.channels[x], embedding_size), free=True)
    x = net.writer.dense(net.writer.average(x, "AvgPool"), "Bottleneck", weights)
    net.writer.unit_length(net.norm(x, "Bottleneck_BatchNorm", weights.shape[1]))
    return net.writer.graph()


def _mobile_facenet(net: _Definer, embedding_size: int, image_size: int) -> Graph:
    x = net.depth_unit(net.image(image_size), "Conv_1", net.scaled(64), 3, stride=2)
    x = net.depth_unit(x, "Conv_2_Depthwise", None, 3)
    number = 0
    for expansion, outputs, count, first_stride in MOBILE_STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            number += 1
            x = _bottleneck(net, x, f"Block_{number}", expansion, net.scaled(outputs), stride)
    x = net.depth_unit(x, "Conv_3", net.scaled(512), 1)
    side = -(-image_size // 16)
    x = net.depth_unit(x, "Global_Depthwise", None, side, linear=True)
    x = net.depth_unit(x, "Bottleneck", embedding_size, 1, linear=True)
    net.writer.unit_length(net.writer.flatten(x, "Flatten"))
    return net.writer.graph()


def _bottleneck(net: _Definer, x: str, name: str, expansion: int, outputs: int, stride: int) -> str:
    """Add a bottleneck: expand, filter each channel, project; add the input if the shapes agree."""
    y = net.depth_unit(x, f"{name}_Expand", net.channels[x] * expansion, 1)
    y = net.depth_unit(y, f"{name}_Depthwise", None, 3, stride=stride)
    y = net.depth_unit(y, f"{name}_Project", outputs, 1, linear=True)
    if stride != 1 or net.channels[x] != net.channels[y]:
        return y
    return net.made_like(net.writer.node(f"{name}_Sum/add", "Add", [x, y]), x)


def _window(name: str) -> tuple[int, int]:
    """Return the window that a layer's name ends in: "Conv2d_0b_1x7" -> (1, 7)."""
    rows, columns = re.findall(r"(\d)x(\d)$", name)[0]
    return int(rows), int(columns)


ARCHITECTURES: dict[str, Callable[..., Net]] = {
    "inception_resnet_v1": inception_resnet_v1,
    "mobile_facenet": mobile_facenet,
}
"""Name -> the function that builds the net with random weights."""

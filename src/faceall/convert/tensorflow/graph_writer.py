"""Write a `Graph` operation by operation, for nets given as layers and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceall.convert.tensorflow.graph import Graph, Node, constant
from faceall.types import Array

INPUT = "input"
OUTPUT = "embeddings"


@dataclass(frozen=True)
class Steps:
    """How the window of a convolution moves.

    Attributes
    ----------
    stride : (int, int)
        Rows and columns from one window to the next.
    padding : {"SAME", "VALID"}
        TensorFlow's padding, in either case.
    dilation : (int, int)
        Rows and columns from one element of the window to the next.
    """

    stride: Sequence[int] = (1, 1)
    padding: str = "SAME"
    dilation: Sequence[int] = (1, 1)


class GraphWriter:
    """A graph under construction; methods add nodes and return their tensor. Tensors are (N, H, W, C)."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def node(self, name: str, op: str, inputs: Sequence[str] = (), **attrs: Any) -> str:
        """Add any operation, with attributes in the form that `graphdef` reads.

        Raises
        ------
        ValueError
            For a name that is taken.
        """
        return self._added(Node(name, op, tuple(inputs), attrs=attrs))

    def _added(self, node: Node) -> str:
        if node.name in self.nodes:
            raise ValueError(f"two operations are called '{node.name}'")
        self.nodes[node.name] = node
        return node.name

    def constant(self, name: str, value: Any) -> str:
        """Add a Const node; float32 unless `value` is an array."""
        array = value if isinstance(value, np.ndarray) else np.asarray(value, np.float32)
        return self._added(constant(name, array))

    def image(self, height: int, width: int, channels: int = 3, name: str = INPUT) -> str:
        """Add the input, (N, height, width, channels); -1 stands for a free size."""
        return self.node(name, "Placeholder", dtype=1, shape=(-1, height, width, channels))

    def convolution(
        self,
        x: str,
        name: str,
        kernel: Array,
        steps: Steps | None = None,
        *,
        bias: Array | None = None,
        depthwise: bool = False,
    ) -> str:
        """Add a convolution; `kernel` is (kh, kw, in, out), or (kh, kw, channels, multiplier) if depthwise."""
        op = "DepthwiseConv2dNative" if depthwise else "Conv2D"
        weights = self.constant(f"{name}/weights", kernel)
        steps = steps or Steps()
        options = {
            "strides": (1, *steps.stride, 1),
            "dilations": (1, *steps.dilation, 1),
            "padding": steps.padding.upper().encode(),
        }
        y = self.node(f"{name}/{op}", op, [x, weights], data_format=b"NHWC", **options)
        return self._biased(y, name, bias)

    def dense(self, x: str, name: str, weights: Array, bias: Array | None = None) -> str:
        """Add a matrix product; `weights` is (in, out)."""
        return self._biased(
            self.node(f"{name}/MatMul", "MatMul", [x, self.constant(f"{name}/weights", weights)]), name, bias
        )

    def _biased(self, y: str, name: str, bias: Array | None) -> str:
        if bias is None:
            return y
        return self.node(f"{name}/BiasAdd", "BiasAdd", [y, self.constant(f"{name}/biases", bias)])

    def batch_norm(
        self, x: str, name: str, gamma: Array | None, beta: Array | None, mean: Array, variance: Array, epsilon: float
    ) -> str:
        """Add a normalisation with stored statistics, each (C,)."""
        gamma = np.ones(mean.shape, np.float32) if gamma is None else gamma
        beta = np.zeros(mean.shape, np.float32) if beta is None else beta
        vectors = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
        operands = [self.constant(f"{name}/{key}", value) for key, value in vectors.items()]
        options = {"epsilon": float(epsilon), "is_training": False, "data_format": b"NHWC"}
        return self.node(f"{name}/FusedBatchNorm", "FusedBatchNorm", [x, *operands], **options)

    def pool(
        self,
        x: str,
        name: str,
        kind: str,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: str = "VALID",
        explicit: Sequence[int] = (),
    ) -> str:
        """Add a MaxPool or AvgPool (`kind`); `explicit` is the border of EXPLICIT padding, two numbers per axis."""
        options: dict[str, Any] = {
            "ksize": (1, *kernel, 1),
            "strides": (1, *stride, 1),
            "padding": padding.upper().encode(),
        }
        options |= {"explicit_paddings": tuple(explicit)} if explicit else {}
        return self.node(f"{name}/{kind}", kind, [x], data_format=b"NHWC", **options)

    def average(self, x: str, name: str, *, keep: bool = False) -> str:
        """Add the mean over rows and columns, (N, C), or (N, 1, 1, C) with `keep`."""
        axes = self.constant(f"{name}/axes", np.array([1, 2], np.int32))
        return self.node(f"{name}/Mean", "Mean", [x, axes], keep_dims=keep)

    def concat(self, tensors: Sequence[str], name: str, axis: int = -1) -> str:
        """Add a concatenation along `axis`."""
        return self.node(
            f"{name}/concat", "ConcatV2", [*tensors, self.constant(f"{name}/axis", np.array(axis, np.int32))]
        )

    def flatten(self, x: str, name: str) -> str:
        """Add a reshape to (N, H * W * C), rows first."""
        shape = self.node(f"{name}/Shape", "Shape", [x], out_type=3)
        first, second = (self.constant(f"{name}/{n}", np.array([n], np.int32)) for n in (0, 1))
        batch = self.node(
            f"{name}/batch",
            "StridedSlice",
            [shape, first, second, second],
            shrink_axis_mask=1,
            begin_mask=0,
            end_mask=0,
            ellipsis_mask=0,
            new_axis_mask=0,
        )
        rest = self.constant(f"{name}/rest", np.array(-1, np.int32))
        return self.node(f"{name}/Reshape", "Reshape", [x, self.node(f"{name}/shape", "Pack", [batch, rest], axis=0)])

    def scaled_sum(self, x: str, y: str, name: str, scale: float) -> str:
        """Add x + scale * y."""
        scaled = self.node(f"{name}/mul", "Mul", [y, self.constant(f"{name}/scale", scale)])
        return self.node(f"{name}/add", "Add", [x, scaled])

    def unit_length(self, x: str, name: str = OUTPUT, epsilon: float = 1e-10) -> str:
        """Add x / sqrt(max(sum(x * x), epsilon)) along axis 1."""
        square = self.node(f"{name}/Square", "Square", [x])
        axis = self.constant(f"{name}/axis", np.array(1, np.int32))
        total = self.node(f"{name}/Sum", "Sum", [square, axis], keep_dims=True)
        floor = self.node(f"{name}/Maximum", "Maximum", [total, self.constant(f"{name}/epsilon", epsilon)])
        return self.node(name, "Mul", [x, self.node(f"{name}/Rsqrt", "Rsqrt", [floor])])

    def graph(self) -> Graph:
        """Return the graph of all nodes, without a chosen input and output."""
        return Graph(dict(self.nodes))

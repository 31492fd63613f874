"""Small nets for Core ML's tests: an embedder, and a detector with many kinds of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceall.caffe import Layer, Net, input_layer
from faceall.caffe.net import weight_keys
from faceall.models import Manifest, Standardisation
from faceall.types import Array


class NetWriter:
    """Layers one after another, each with weights from seeded noise."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.layers = [input_layer("data", shape)]
        self.weights: dict[str, Array] = {}
        self.random = np.random.default_rng(seed)

    def add(
        self, name: str, kind: str, bottoms: str | tuple[str, ...], *shapes: tuple[int, ...], top: str = "",
        field: str = "", **options: Any,
    ) -> None:  # fmt: skip
        sources = (bottoms,) if isinstance(bottoms, str) else bottoms
        parameters = {field: options} if field else {}
        self.layers.append(Layer(name, kind, sources, (top or name,), parameters))
        scale = 1 / np.sqrt(np.prod(shapes[0][1:])) if shapes and len(shapes[0]) > 1 else 0.5
        self.weights |= weight_keys(name, [self.random.normal(0, scale, shape) for shape in shapes])

    def net(self, name: str) -> Net:
        return Net(name, tuple(self.layers), self.weights)


def embedder_net(*, outputs: int = 12, portable_tail: bool = False, copies: bool = True) -> Net:
    """16 x 16 pixels -> convolution, batch norm, scale, ReLU, two poolings, residual -> `outputs` numbers."""
    writer = NetWriter((1, 3, 16, 16))
    conv = {"field": "convolution_param"}
    writer.add("conv", "Convolution", "data", (16, 3, 3, 3), **conv, num_output=16, kernel_size=[3], bias_term=False)
    writer.add("norm", "BatchNorm", "conv", field="batch_norm_param", eps=1e-3)
    variance = writer.random.uniform(0.5, 2, 16)
    writer.weights |= weight_keys("norm", [writer.random.normal(0, 0.1, 16), variance, np.ones(1)])
    writer.add("scale", "Scale", "norm", (16,), (16,), field="scale_param", bias_term=True)
    writer.add("relu", "ReLU", "scale")
    writer.add("pool", "Pooling", "relu", field="pooling_param", pool="MAX", kernel_size=3, stride=2)
    writer.add(
        "left", "Convolution", "pool", (8, 16, 1, 7), (8,), **conv, num_output=8, kernel_h=1, kernel_w=7, pad_w=3
    )
    writer.add("right", "Convolution", "pool", (8, 16, 3, 3), (8,), **conv, num_output=8, kernel_size=[3], pad=[1])
    writer.add("both", "Concat", ("left", "right"))
    writer.add("up", "Convolution", "both", (16, 16, 1, 1), (16,), **conv, num_output=16, kernel_size=[1])
    writer.add("sum", "Eltwise", ("pool", "up"), field="eltwise_param", operation="SUM", coeff=[1.0, 0.17])
    writer.add("mean", "Pooling", "sum", field="pooling_param", pool="AVE", kernel_size=3, stride=3)
    last = "features" if portable_tail else "vector"
    writer.add(
        last, "InnerProduct", "mean", (outputs, 144), (outputs,), field="inner_product_param", num_output=outputs
    )
    if portable_tail:
        _add_tail(writer, outputs, copies)
    return writer.net("embedder")


def _add_tail(writer: NetWriter, outputs: int, copies: bool) -> None:
    """The length by layers that every Caffe has."""
    rows = 1 if copies else outputs
    writer.add("squares", "Power", "features", field="power_param", power=2.0)
    inner = {"field": "inner_product_param", "bias_term": False}
    writer.add("total", "InnerProduct", "squares", **inner, num_output=rows)
    writer.weights |= weight_keys("total", [np.ones((rows, outputs))])
    writer.add("inverse", "Power", "total", field="power_param", power=-0.5, shift=1e-10)
    last = "inverse"
    if copies:
        writer.add("copies", "InnerProduct", "inverse", **inner, num_output=outputs)
        writer.weights |= weight_keys("copies", [np.ones((outputs, 1))])
        last = "copies"
    writer.add("vector", "Eltwise", ("features", last), field="eltwise_param", operation="PROD")


def messy_net() -> Net:
    """Layers in place, depthwise and grouped convolutions, rising pools; any height and width; two results."""
    writer = NetWriter((1, 3, 16, 16), seed=4)
    conv = {"field": "convolution_param"}
    writer.add("conv1", "Convolution", "data", (8, 3, 3, 3), (8,), **conv, num_output=8, kernel_size=[3])
    writer.add("prelu1", "PReLU", "conv1", (8,), top="conv1")
    writer.add("pool1", "Pooling", "conv1", field="pooling_param", pool="MAX", kernel_size=2, stride=2)
    writer.add(
        "deep", "Convolution", "pool1", (8, 1, 3, 3), (8,), **conv, num_output=8, kernel_size=[3], group=8, pad=[1]
    )
    writer.add("norm", "BatchNorm", "deep", top="deep")
    writer.weights |= weight_keys("norm", [np.zeros(8), writer.random.uniform(0.5, 2, 8), np.ones(1)])
    writer.add("relu", "ReLU", "deep", top="deep", field="relu_param", negative_slope=0.1)
    writer.add("half", "Convolution", "deep", (8, 4, 1, 1), (8,), **conv, num_output=8, kernel_size=[1], group=2)
    writer.add("drop", "Dropout", "half", top="half")
    writer.add("most", "Eltwise", ("half", "deep"), field="eltwise_param", operation="MAX")
    writer.add("gate", "Sigmoid", "most")
    writer.add("product", "Eltwise", ("most", "gate"), field="eltwise_param", operation="PROD")
    writer.add("curve", "Power", "product", field="power_param", power=2.0, scale=0.5, shift=1.0)
    writer.add("box-2", "Convolution", "curve", (4, 8, 1, 1), (4,), **conv, num_output=4, kernel_size=[1])
    writer.add("score", "Convolution", "curve", (2, 8, 1, 1), (2,), **conv, num_output=2, kernel_size=[1])
    writer.add("prob", "Softmax", "score")
    return writer.net("messy")


def manifest_of(kind: str = "fixed", channels: str = "RGB") -> Manifest:
    """The manifest of `embedder_net`."""
    return Manifest(
        name="small",
        embedding_size=12,
        input_size=(16, 16),
        channels=channels,  # type: ignore[arg-type]
        standardisation=Standardisation(kind=kind),  # type: ignore[arg-type]
        input_blob="data",
        output_blob="vector",
        source="noise",
        licence="none",
        match_threshold=1.0,
    )

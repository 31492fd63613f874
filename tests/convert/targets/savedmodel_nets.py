"""Nets for the tests of SavedModels: one for each kind of layer, pools, and MTCNN's shapes with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from coreml_nets import NetWriter
from faceall.caffe import Net, write_net

_CONV: dict[str, Any] = {"field": "convolution_param"}


def layer_net(name: str) -> Net:
    """A small net whose last layers are of one kind; it takes pictures (1, 3, 8, 9)."""
    writer = NetWriter((1, 3, 8, 9), seed=len(name))
    writer.add("conv", "Convolution", "data", (6, 3, 3, 3), (6,), **_CONV, num_output=6, kernel_size=[3])
    LAYER_NETS[name](writer)
    return writer.net(name)


def _convolutions(writer: NetWriter) -> None:
    options: dict[str, Any] = {**_CONV, "num_output": 6}
    writer.add("even", "Convolution", "conv", (6, 6, 3, 3), (6,), **options, kernel_size=[3], pad=[1], stride=[2])
    writer.add(
        "tall", "Convolution", "conv", (6, 6, 3, 2), **options,
        kernel_h=3, kernel_w=2, pad_h=2, pad_w=0, stride_h=1, stride_w=2, bias_term=False,
    )  # fmt: skip
    writer.add("holes", "Convolution", "conv", (6, 6, 2, 2), (6,), **options, kernel_size=[2], dilation=[2], pad=[1])
    writer.add("groups", "Convolution", "conv", (6, 2, 3, 3), (6,), **options, kernel_size=[3], group=3, pad=[1])


def _depthwise(writer: NetWriter) -> None:
    options: dict[str, Any] = {**_CONV, "kernel_size": [3]}
    writer.add("deep", "Convolution", "conv", (6, 1, 3, 3), (6,), **options, num_output=6, group=6, stride=[2], pad=[1])
    writer.add("twice", "Convolution", "conv", (12, 1, 3, 3), (12,), **options, num_output=12, group=6)
    writer.add("kind", "ConvolutionDepthwise", "conv", (6, 1, 3, 3), (6,), **options, num_output=6)


def _inner(writer: NetWriter) -> None:
    """6 x 7 pixels of 6 channels, flattened by the layer and by Flatten."""
    inner: dict[str, Any] = {"field": "inner_product_param"}
    writer.add("first", "InnerProduct", "conv", (5, 252), (5,), **inner, num_output=5)
    writer.add("flat", "Flatten", "conv")
    writer.add("second", "InnerProduct", "flat", (4, 252), **inner, num_output=4, bias_term=False)
    writer.add("turned", "InnerProduct", "first", (5, 3), (3,), **inner, num_output=3, transpose=True)
    writer.add("third", "Concat", ("second", "turned"))


def _flatten(writer: NetWriter) -> None:
    """Caffe's order of numbers counts where a vector is itself the result."""
    writer.add("flat", "Flatten", "conv")
    writer.add("soft", "Softmax", "flat")


def _scales(writer: NetWriter) -> None:
    scale: dict[str, Any] = {"field": "scale_param"}
    writer.add("norm", "BatchNorm", "conv", field="batch_norm_param", eps=0.01)
    writer.weights["norm/0"], writer.weights["norm/1"] = writer.random.normal(size=(2, 6)).astype(np.float32) ** 2
    writer.weights["norm/2"] = np.array([2.0], np.float32)
    writer.add("one", "Scale", "norm", (6,), (6,), **scale, bias_term=True)
    writer.add("two", "Scale", ("one", "conv"), **scale, axis=0)
    writer.add("mean", "Pooling", "two", field="pooling_param", pool="AVE", global_pooling=True)
    writer.add("row", "Flatten", "mean")
    writer.add("rowed", "BatchNorm", "row", (6,), (6,), (1,))
    writer.weights["rowed/1"] = np.abs(writer.weights["rowed/1"]) + 1
    writer.weights["rowed/2"] = np.ones(1, np.float32)
    writer.add("gate", "Sigmoid", "rowed")
    writer.add("gated", "Scale", ("two", "gate"), **scale, axis=0)


def _rectifiers(writer: NetWriter) -> None:
    writer.add("relu", "ReLU", "conv")
    writer.add("leaky", "ReLU", "conv", field="relu_param", negative_slope=0.2)
    writer.add("prelu", "PReLU", "conv", (6,))
    writer.add("shared", "PReLU", "prelu", (), field="prelu_param", channel_shared=True)
    writer.add("all", "Eltwise", ("relu", "leaky", "shared"), field="eltwise_param", operation="SUM",
               coeff=[1.0, -0.5, 2.0])  # fmt: skip


def _arithmetic(writer: NetWriter) -> None:
    writer.add("cube", "Power", "conv", field="power_param", power=3.0, scale=0.5, shift=0.1)
    writer.add("line", "Power", "conv", field="power_param", scale=2.0)
    writer.add("most", "Eltwise", ("cube", "line", "conv"), field="eltwise_param", operation="MAX")
    writer.add("product", "Eltwise", ("most", "cube"), field="eltwise_param", operation="PROD")


def _cuts(writer: NetWriter) -> None:
    writer.add("parts", "Slice", "conv", field="slice_param", axis=1, slice_point=[2])
    last = writer.layers[-1]
    writer.layers[-1] = type(last)(last.name, last.type, last.bottoms, ("left", "right"), last.parameters)
    writer.add("small", "Convolution", "left", (3, 2, 3, 3), (3,), **_CONV, num_output=3, kernel_size=[3])
    writer.add("crop", "Crop", ("right", "small"), field="crop_param", axis=2, offset=[1, 2])
    writer.add("rows", "Concat", ("left", "left"), field="concat_param", axis=2)
    writer.add("both", "Concat", ("crop", "small"))


def _orders(writer: NetWriter) -> None:
    writer.add("moved", "Permute", "conv", field="permute_param", order=[0, 2, 3, 1])
    writer.add("flat", "Flatten", "moved")
    writer.add("square", "Reshape", "flat", field="reshape_param", shape={"dim": [0, 6, 7, -1]})
    writer.add("point", "Reshape", "flat", field="reshape_param", shape={"dim": [0, 252, 1, 1]})
    writer.add("wide", "Reshape", "conv", field="reshape_param", shape={"dim": [0, 3, -1, 7]})


def _lengths(writer: NetWriter) -> None:
    writer.add("places", "Normalize", "conv", (6,), field="norm_param", across_spatial=False, channel_shared=False)
    writer.add("whole", "Normalize", "conv", field="norm_param", eps=1e-3)
    writer.add("mean", "Pooling", "conv", field="pooling_param", pool="MAX", global_pooling=True)
    writer.add("row", "Flatten", "mean")
    writer.add("unit", "Normalize", "row", field="norm_param")


LAYER_NETS: dict[str, Callable[[NetWriter], None]] = {
    "arithmetic": _arithmetic,
    "convolutions": _convolutions,
    "cuts": _cuts,
    "depthwise": _depthwise,
    "flatten": _flatten,
    "inner": _inner,
    "lengths": _lengths,
    "orders": _orders,
    "rectifiers": _rectifiers,
    "scales": _scales,
}


def impossible_net() -> Net:
    """Two layers that TensorFlow has no operation for."""
    writer = NetWriter((1, 3, 8, 9))
    options: dict[str, Any] = {**_CONV, "num_output": 3, "kernel_size": [2]}
    writer.add("wide", "Convolution", "data", (3, 3, 2, 2), (3,), **options, stride=[2], dilation=[2])
    writer.add("soft", "Softmax", "wide", field="softmax_param", axis=2)
    return writer.net("impossible")


def pool_net(kind: str, rounding: str, kernel: int, stride: int, pad: int, size: tuple[int, int]) -> Net:
    """A pool alone on pictures of `size` (height, width)."""
    writer = NetWriter((1, 3, *size))
    writer.add("pool", "Pooling", "data", field="pooling_param", pool=kind, round_mode=rounding, kernel_size=kernel,
               stride=stride, pad=pad)  # fmt: skip
    return writer.net("pool")


def floor_net(kind: str) -> Net:
    """A pool that rounds down beside a convolution that makes as many rows and columns."""
    writer = NetWriter((1, 3, 8, 8))
    writer.add("conv", "Convolution", "data", (4, 3, 3, 3), (4,), **_CONV, num_output=4, kernel_size=[3], stride=[2])
    writer.add("pool", "Pooling", "data", field="pooling_param", pool=kind, round_mode="FLOOR", kernel_size=3, stride=2)
    writer.add("both", "Concat", ("conv", "pool"))
    return writer.net("floor")


def cascade_folder(folder: Path) -> dict[str, Net]:
    """MTCNN's three nets, smaller and with random weights, as det1, det2 and det3 in `folder`; by their names."""
    folder.mkdir()
    nets = {}
    for number, (name, size, side) in enumerate((("pnet", 12, 0), ("rnet", 24, 11), ("onet", 48, 23)), 1):
        writer = NetWriter((1, 3, size, size), seed=number)
        writer.add("conv1", "Convolution", "data", (5, 3, 3, 3), (5,), **_CONV, num_output=5, kernel_size=[3])
        writer.add("prelu1", "PReLU", "conv1", (5,), top="conv1")
        kernel = 3 if side else 2
        writer.add("pool1", "Pooling", "conv1", field="pooling_param", pool="MAX", kernel_size=kernel, stride=2)
        heads = [("score", 2), ("offsets", 4), *([("points", 10)] if name == "onet" else [])]
        for head, outputs in heads:
            if side:
                shapes = (outputs, 5 * side * side), (outputs,)
                writer.add(head, "InnerProduct", "pool1", *shapes, field="inner_product_param", num_output=outputs)
            else:
                shape = (outputs, 5, 5, 5)
                writer.add(head, "Convolution", "pool1", shape, **_CONV, num_output=outputs, kernel_size=[5],
                           bias_term=False)  # fmt: skip
        writer.add("prob1", "Softmax", "score")
        nets[name] = writer.net(name)
        write_net(nets[name], folder / f"det{number}.prototxt", folder / f"det{number}.caffemodel")
    return nets

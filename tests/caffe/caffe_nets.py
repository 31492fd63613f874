"""Small nets for the tests: one per layer type and variant, and random ones that mix them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from faceall.caffe.layers import LAYERS
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.caffe.shapes import infer_shapes
from faceall.types import Array, Float32Array

Shape = tuple[int, ...]
IMAGE: Shape = (2, 6, 7, 9)


def layer(kind: str, bottoms: Sequence[str], tops: Sequence[str], name: str = "", **options: Any) -> Layer:
    """A layer of type `kind`, called like its first top unless it is given a name."""
    parameters = {PARAMETER_FIELDS[kind]: options} if options else {}
    return Layer(name or (tops or [f"{kind}-{bottoms[0]}"])[0], kind, tuple(bottoms), tuple(tops), parameters)


def with_random_weights(net: Net, rng: np.random.Generator) -> Net:
    """`net` with weights of the right shapes; variances and their divisor are positive."""
    shapes = infer_shapes(replace(net, weights={}))
    weights: dict[str, Float32Array] = {}
    for item in net.layers:
        rule = LAYERS[item.type].weights if item.type in LAYERS else None
        if rule:
            wanted = rule(item, tuple(shapes[name] for name in item.bottoms))
            weights |= weight_keys(item.name, _blobs(item.type, wanted, rng))
    return replace(net, weights=weights)


def _blobs(kind: str, shapes: Sequence[Shape], rng: np.random.Generator) -> list[Array]:
    if kind == "BatchNorm":
        mean, variance, factor = shapes
        return [rng.normal(size=mean), rng.uniform(0.5, 2.0, variance), np.full(factor, 1.5)]
    spread = 1.0 / np.sqrt(max(1.0, np.prod(shapes[0][1:]))) if kind in ("Convolution", "InnerProduct") else 1.0
    return [rng.normal(size=shape) * spread for shape in shapes]


def random_inputs(net: Net, rng: np.random.Generator, batch: int | None = None) -> dict[str, Float32Array]:
    """A random array for every input of `net`; `batch` replaces the declared first axis."""
    shapes = {name: shape if batch is None else (batch, *shape[1:]) for name, shape in net.inputs.items()}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Case:
    """One layer with its options, and the shapes of its inputs."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Shape, ...] = (IMAGE,)
    tops: int = 1

    def net(self, rng: np.random.Generator) -> Net:
        """The case as a net, random weights included."""
        names = [f"in{number}" for number in range(len(self.inputs))]
        layers = [input_layer(name, shape) for name, shape in zip(names, self.inputs, strict=True)]
        layers.append(layer(self.kind, names, [f"out{number}" for number in range(self.tops)], "it", **self.options))
        return with_random_weights(Net(self.kind, tuple(layers)), rng)


CASES: dict[str, Case] = {
    "axpy": Case("Axpy", {}, ((2, 6), IMAGE, IMAGE)),
    "axpy, factors of four axes": Case("Axpy", {}, ((2, 6, 1, 1), IMAGE, IMAGE)),
    "batch norm": Case("BatchNorm", {"eps": 0.001}),
    "batch norm, default eps": Case("BatchNorm"),
    "batch norm, two axes": Case("BatchNorm", {}, ((3, 5),)),
    "bias": Case("Bias"),
    "bias, two axes": Case("Bias", {"axis": 1, "num_axes": 2}),
    "bias, second input": Case("Bias", {"axis": 0}, (IMAGE, (2, 6))),
    "clip": Case("Clip", {"min": -0.5, "max": 0.7}),
    "concat": Case("Concat", {}, ((2, 3, 4, 5), (2, 1, 4, 5), (2, 2, 4, 5))),
    "concat, last axis": Case("Concat", {"axis": -1}, ((2, 3, 4, 5), (2, 3, 4, 2))),
    "concat, old option": Case("Concat", {"concat_dim": 2}, ((2, 3, 4, 5), (2, 3, 1, 5))),
    "convolution": Case("Convolution", {"num_output": 4, "kernel_size": [3]}),
    "convolution 1x1": Case("Convolution", {"num_output": 4, "kernel_size": [1], "bias_term": False}),
    "convolution 1x7": Case("Convolution", {"num_output": 4, "kernel_h": 1, "kernel_w": 7, "pad_h": 0, "pad_w": 3}),
    "convolution 7x1": Case("Convolution", {"num_output": 4, "kernel_size": [7, 1], "pad": [3, 0]}),
    "convolution, stride": Case("Convolution", {"num_output": 4, "kernel_size": [3], "stride": [2], "pad": [1]}),
    "convolution, groups": Case("Convolution", {"num_output": 4, "kernel_size": [3], "group": 2}),
    "convolution, one group per channel": Case("Convolution", {"num_output": 6, "kernel_size": [3], "group": 6}),
    "convolution, dilation": Case("Convolution", {"num_output": 4, "kernel_size": [3], "dilation": [2], "pad": [2]}),
    "depthwise": Case("ConvolutionDepthwise", {"num_output": 6, "kernel_size": [3], "pad": [1]}),
    "crop": Case("Crop", {"axis": 2, "offset": [1, 2]}, (IMAGE, (2, 6, 4, 3))),
    "crop, one offset": Case("Crop", {"offset": [1]}, (IMAGE, (2, 5, 4, 3))),
    "crop, no offset, last axis": Case("Crop", {"axis": -1}, (IMAGE, (2, 6, 4, 3))),
    "dropout": Case("Dropout", {"dropout_ratio": 0.4}),
    "eltwise sum": Case("Eltwise", {}, (IMAGE, IMAGE)),
    "eltwise sum with coefficients": Case("Eltwise", {"coeff": [1.0, 0.17]}, (IMAGE, IMAGE)),
    "eltwise product": Case("Eltwise", {"operation": "PROD"}, (IMAGE, IMAGE)),
    "eltwise maximum": Case("Eltwise", {"operation": "MAX"}, (IMAGE, IMAGE, IMAGE)),
    "elu": Case("ELU"),
    "elu, alpha": Case("ELU", {"alpha": 0.4}),
    "flatten": Case("Flatten"),
    "flatten, middle axes": Case("Flatten", {"axis": 1, "end_axis": 2}),
    "flatten, end axes": Case("Flatten", {"axis": -2}),
    "inner product": Case("InnerProduct", {"num_output": 5}),
    "inner product, no bias": Case("InnerProduct", {"num_output": 5, "bias_term": False}, ((3, 8),)),
    "inner product, last axis": Case("InnerProduct", {"num_output": 5, "axis": -1}, ((2, 3, 8),)),
    "inner product, transposed": Case("InnerProduct", {"num_output": 5, "transpose": True}),
    "lrn": Case("LRN", {"local_size": 3, "alpha": 0.3, "k": 2.0}),
    "lrn, wider than the channels": Case("LRN", {"local_size": 15, "beta": 0.5}),
    "normalize": Case("Normalize"),
    "normalize, along channels": Case("Normalize", {"across_spatial": False}),
    "normalize, scale per channel": Case("Normalize", {"across_spatial": False, "channel_shared": False}),
    "normalize, whole sample, scale per channel": Case("Normalize", {"channel_shared": False}),
    "normalize, two axes": Case("Normalize", {}, ((3, 8),)),
    "permute": Case("Permute", {"order": [0, 2, 3, 1]}),
    "permute, short order": Case("Permute", {"order": [0, 3]}),
    "pooling": Case("Pooling", {"kernel_size": 3, "stride": 2}, ((2, 3, 8, 9),)),
    "pooling, floor": Case("Pooling", {"kernel_size": 3, "stride": 2, "round_mode": "FLOOR"}, ((2, 3, 8, 9),)),
    "pooling, pad": Case("Pooling", {"kernel_size": 3, "stride": 2, "pad": 1}, ((2, 3, 8, 9),)),
    "pooling, 3x2": Case("Pooling", {"kernel_h": 3, "kernel_w": 2, "stride_h": 2, "stride_w": 1}),
    "pooling, global": Case("Pooling", {"global_pooling": True}),
    "average pooling": Case("Pooling", {"pool": "AVE", "kernel_size": 3, "stride": 2}, ((2, 3, 8, 9),)),
    "average pooling, pad": Case("Pooling", {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": 1}, ((2, 3, 8, 9),)),
    "average pooling, floor": Case(
        "Pooling", {"pool": "AVE", "kernel_size": 3, "stride": 2, "round_mode": "FLOOR"}, ((2, 3, 8, 9),)
    ),
    "average pooling, global": Case("Pooling", {"pool": "AVE", "global_pooling": True}),
    "power, linear": Case("Power", {"scale": 0.5, "shift": 1.5}),
    "power, square": Case("Power", {"power": 2.0, "scale": 0.5, "shift": -0.3}),
    "prelu": Case("PReLU"),
    "prelu, shared": Case("PReLU", {"channel_shared": True}),
    "prelu, two axes": Case("PReLU", {}, ((3, 8),)),
    "relu": Case("ReLU"),
    "relu, leaky": Case("ReLU", {"negative_slope": 0.1}),
    "reshape": Case("Reshape", {"shape": {"dim": [0, 0, -1]}}),
    "reshape, inner axes": Case("Reshape", {"shape": {"dim": [3, 2]}, "axis": 1, "num_axes": 1}),
    "reshape, new last axis": Case("Reshape", {"shape": {"dim": [1]}, "axis": -1, "num_axes": 0}),
    "scale": Case("Scale", {"bias_term": True}),
    "scale, no bias": Case("Scale"),
    "scale, scalar": Case("Scale", {"num_axes": 0, "bias_term": True}),
    "scale, two axes": Case("Scale", {"axis": 1, "num_axes": 2}),
    "scale, to the end": Case("Scale", {"axis": 2, "num_axes": -1}),
    "scale, second input": Case("Scale", {"axis": 0}, (IMAGE, (2, 6))),
    "scale, second input and bias": Case("Scale", {"axis": 0, "bias_term": True}, (IMAGE, (2, 6))),
    "sigmoid": Case("Sigmoid"),
    "slice": Case("Slice", {}, tops=3),
    "slice, points": Case("Slice", {"axis": 2, "slice_point": [1, 4]}, tops=3),
    "slice, old option": Case("Slice", {"slice_dim": 3, "slice_point": [2]}, tops=2),
    "softmax": Case("Softmax"),
    "softmax, last axis": Case("Softmax", {"axis": -1}),
    "split": Case("Split", tops=3),
    "swish": Case("Swish"),
    "swish, beta": Case("Swish", {"beta": 1.5}),
    "tanh": Case("TanH"),
}
"""Every layer type that has a result, in its variants."""


def random_window(rng: np.random.Generator, kind: str) -> Case:
    """A convolution or pooling of random geometry that fits its random input."""
    size = [int(side) for side in rng.integers(7, 13, 2)]
    kernel = [int(side) for side in rng.integers(1, 5, 2)]
    stride = [int(rng.integers(1, min(4, side + 1))) for side in kernel]
    pad = [int(rng.integers(0, side)) for side in kernel]
    names = {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0], "stride_w": stride[1]}
    options: dict[str, Any] = names | {"pad_h": pad[0], "pad_w": pad[1]}
    if kind == "Pooling":
        options["pool"] = str(rng.choice(["MAX", "AVE"]))
        options["round_mode"] = str(rng.choice(["CEIL", "FLOOR"]))
        return Case(kind, options, ((2, 3, size[0], size[1]),))
    group = int(rng.choice([1, 2, 3]))
    options |= {"num_output": group * int(rng.integers(1, 3)), "group": group}
    options |= {"bias_term": bool(rng.integers(2)), "dilation": [int(side) for side in rng.integers(1, 3, 2)]}
    return Case(kind, options, ((2, group * int(rng.integers(1, 3)), size[0], size[1]),))


def random_net(seed: int) -> Net:
    """A net of two branches and a head, of random sizes: it has every layer type but LRN, most in place too."""
    rng = np.random.default_rng(seed)
    channels, height, width = (int(number) for number in rng.integers((4, 16, 16), (8, 24, 24)))
    half, slope = int(rng.integers(1, channels)), float(rng.uniform(0.01, 0.3))
    layers = (
        input_layer("data", (1, 3, height, width)),
        layer("Convolution", ["data"], ["stem"], num_output=channels, kernel_size=[3], bias_term=False),
        layer("BatchNorm", ["stem"], ["norm"], eps=0.001),
        layer("Scale", ["norm"], ["norm"], "scale", bias_term=True),
        layer("ReLU", ["norm"], ["norm"], "relu", negative_slope=slope),
        layer("Split", ["norm"], ["left", "right"], "branches"),
        layer("Pooling", ["left"], ["left-pool"], kernel_size=3, stride=2),
        layer("ConvolutionDepthwise", ["right"], ["depthwise"], num_output=channels, kernel_size=[3], stride=[2]),
        layer("PReLU", ["depthwise"], ["depthwise"], "slopes"),
        layer("Crop", ["left-pool", "depthwise"], ["cropped"], axis=2),
        layer("Eltwise", ["cropped", "depthwise"], ["sum"], coeff=[1.0, 0.17]),
        layer("Eltwise", ["cropped", "depthwise"], ["product"], operation="PROD"),
        layer("Concat", ["sum", "product"], ["joined"]),
        layer("Slice", ["joined"], ["first", "second"], "cut", slice_point=[half]),
        layer("Sigmoid", ["first"], ["sigmoid"]),
        layer("Silence", ["sigmoid"], []),
        layer("Convolution", ["second"], ["wide"], num_output=6, kernel_size=[1, 7], pad=[0, 3]),
        layer("Convolution", ["wide"], ["high"], num_output=6, kernel_h=7, kernel_w=1, pad_h=3, group=2),
        layer("Eltwise", ["wide", "high"], ["maximum"], operation="MAX"),
        layer("Pooling", ["maximum"], ["average"], pool="AVE", kernel_size=3, stride=1, pad=1),
        layer("Power", ["average"], ["power"], scale=0.5, shift=0.1),
        layer("Clip", ["power"], ["power"], "clip", min=-1.0, max=1.0),
        layer("Bias", ["power"], ["shifted"]),
        layer("ELU", ["shifted"], ["shifted"], "elu", alpha=0.7),
        layer("Swish", ["shifted"], ["swish"]),
        layer("TanH", ["swish"], ["swish"], "tanh"),
        layer("Pooling", ["swish"], ["weights"], pool="AVE", global_pooling=True),
        layer("Axpy", ["weights", "swish", "shifted"], ["gated"], "axpy"),
        layer("Permute", ["gated"], ["permuted"], order=[0, 2, 3, 1]),
        layer("Reshape", ["permuted"], ["rows"], shape={"dim": [0, -1, 3]}),
        layer("Softmax", ["rows"], ["probabilities"], axis=-1),
        layer("Pooling", ["power"], ["pooled"], pool="AVE", global_pooling=True),
        layer("Flatten", ["pooled"], ["flat"]),
        layer("Dropout", ["flat"], ["flat"], "dropout"),
        layer("InnerProduct", ["flat"], ["embedding"], num_output=8),
        layer("Normalize", ["embedding"], ["unit"]),
    )
    return with_random_weights(Net(f"random-{seed}", layers), rng)

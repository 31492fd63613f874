"""Nets of ArcFace's shape with random weights, for the tests of Core AI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from coreml_nets import NetWriter
from faceall.caffe import Net
from faceall.caffe.net import weight_keys
from faceall.models import Manifest, Standardisation

_CONV: dict[str, Any] = {"field": "convolution_param", "bias_term": False}


def arcface_net(blocks: Sequence[int] = (1, 1), channels: Sequence[int] = (8, 12), *, side: int = 32, size: int = 24,
                squeeze: bool = False) -> Net:  # fmt: skip
    """Residual blocks of BatchNorm, convolution, PReLU as in ArcFace's ResNets; `squeeze`: weighted channels."""
    writer = NetWriter((1, 3, side, side), seed=5)
    width = channels[0]
    last = _conv(writer, "stem", "data", (width, 3, 3, 3), pad=1)
    last = _prelu(writer, "stem_prelu", _norm(writer, "stem_norm", last, width), width)
    for stage, (count, outputs) in enumerate(zip(blocks, channels, strict=True)):
        for number in range(count):
            last = _block(
                writer, f"s{stage}b{number}", last, width, outputs, stride=1 if number else 2, squeeze=squeeze
            )
            width = outputs
    last = _norm(writer, "last_norm", last, width)
    flat = width * (side >> len(blocks)) ** 2
    writer.add("vector", "InnerProduct", last, (size, flat), (size,), field="inner_product_param", num_output=size)
    return writer.net("arcface")


def arcface_manifest(size: int = 24, side: int = 32) -> Manifest:
    """The manifest of `arcface_net`: aligned faces, (x - 127.5) / 127.5."""
    return Manifest(
        name="arcface-shape",
        embedding_size=size,
        input_size=(side, side),
        channels="RGB",
        standardisation=Standardisation(kind="fixed", mean=127.5, scale=1 / 127.5),
        input_blob="data",
        output_blob="vector",
        source="noise",
        licence="none",
    )


def _conv(writer: NetWriter, name: str, bottom: str, shape: tuple[int, int, int, int], *, stride: int = 1,
          pad: int = 0) -> str:  # fmt: skip
    writer.add(name, "Convolution", bottom, shape, **_CONV, num_output=shape[0], kernel_size=[shape[2]],
               stride=[stride], pad=[pad])  # fmt: skip
    return name


def _norm(writer: NetWriter, name: str, bottom: str, channels: int) -> str:
    writer.add(name, "BatchNorm", bottom, field="batch_norm_param", eps=1e-5)
    spread = writer.random.uniform(0.5, 1.5, channels)
    writer.weights |= weight_keys(name, [writer.random.normal(0, 0.1, channels), spread, np.ones(1)])
    writer.add(f"{name}_scale", "Scale", name, (channels,), (channels,), field="scale_param", bias_term=True)
    writer.weights |= weight_keys(
        f"{name}_scale", [writer.random.uniform(0.5, 1.0, channels), writer.random.normal(0, 0.1, channels)]
    )
    return f"{name}_scale"


def _prelu(writer: NetWriter, name: str, bottom: str, channels: int) -> str:
    writer.add(name, "PReLU", bottom, (channels,))
    writer.weights |= weight_keys(name, [writer.random.uniform(0.1, 0.4, channels)])
    return name


def _block(writer: NetWriter, name: str, bottom: str, inputs: int, outputs: int, *, stride: int, squeeze: bool) -> str:
    last = _norm(writer, f"{name}_norm1", bottom, inputs)
    last = _conv(writer, f"{name}_conv1", last, (outputs, inputs, 3, 3), pad=1)
    last = _prelu(writer, f"{name}_prelu", _norm(writer, f"{name}_norm2", last, outputs), outputs)
    last = _conv(writer, f"{name}_conv2", last, (outputs, outputs, 3, 3), stride=stride, pad=1)
    last = _norm(writer, f"{name}_norm3", last, outputs)
    if squeeze:
        last = _squeezed(writer, name, last, outputs)
    short = bottom
    if stride != 1 or inputs != outputs:
        short = _conv(writer, f"{name}_short", bottom, (outputs, inputs, 1, 1), stride=stride)
    writer.add(name, "Eltwise", (last, short), field="eltwise_param", operation="SUM", coeff=[0.5, 0.8])
    return name


def _squeezed(writer: NetWriter, name: str, bottom: str, channels: int) -> str:
    writer.add(f"{name}_mean", "Pooling", bottom, field="pooling_param", pool="AVE", global_pooling=True)
    less = _conv(writer, f"{name}_less", f"{name}_mean", (channels // 4, channels, 1, 1))
    writer.add(f"{name}_relu", "ReLU", less)
    more = _conv(writer, f"{name}_more", f"{name}_relu", (channels, channels // 4, 1, 1))
    writer.add(f"{name}_row", "Flatten", more)
    writer.add(f"{name}_gate", "Sigmoid", f"{name}_row")
    writer.add(f"{name}_weighted", "Scale", (bottom, f"{name}_gate"), field="scale_param", axis=0)
    return f"{name}_weighted"


def activations_net() -> Net:
    """One layer of each kind that few nets have; it takes images (1, 3, 8, 9)."""
    writer = NetWriter((1, 3, 8, 9), seed=3)
    writer.add("conv", "Convolution", "data", (6, 3, 3, 3), (6,), field="convolution_param", num_output=6,
               kernel_size=[3])  # fmt: skip
    writer.add("lrn", "LRN", "conv", field="lrn_param", local_size=3, alpha=0.7, beta=0.6, k=1.5)
    writer.add("elu", "ELU", "conv", field="elu_param", alpha=0.7)
    writer.add("clip", "Clip", "conv", field="clip_param", min=-0.3, max=0.4)
    writer.add("swish", "Swish", "conv", field="swish_param", beta=1.3)
    writer.add("tanh", "TanH", "conv")
    writer.add("biased", "Bias", "conv", (6,), field="bias_param")
    writer.add("mean", "Pooling", "conv", field="pooling_param", pool="AVE", global_pooling=True)
    writer.add("row", "Flatten", "mean")
    writer.add("shifted", "Bias", ("conv", "row"), field="bias_param", axis=0)
    writer.add("gated", "Axpy", ("mean", "conv", "elu"))
    writer.add("kept", "Dropout", "gated")
    return writer.net("activations")


def pools_net() -> Net:
    """Pools of every kind, rounding, border and stride as results; windows leave the image at its end."""
    writer = NetWriter((1, 3, 9, 12), seed=6)
    for kind in ("MAX", "AVE"):
        for rounding in ("CEIL", "FLOOR"):
            for kernel, stride, pad in ((2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 1), (4, 3, 2)):
                writer.add(f"{kind}_{rounding}_{kernel}{stride}{pad}".lower(), "Pooling", "data", field="pooling_param",
                           pool=kind, round_mode=rounding, kernel_size=kernel, stride=stride, pad=pad)  # fmt: skip
    return writer.net("pools")

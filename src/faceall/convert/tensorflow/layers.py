"""Write each operation of a simplified graph in Caffe: a table op -> function(builder, node).

Every function reads its operands from `builder.values`, appends layers and defines the node's tensor. It raises
CannotConvertError with the reason for what cannot be written exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from faceall.convert.tensorflow.builder import Builder, CannotConvertError, layer_name
from faceall.convert.tensorflow.graph import Node
from faceall.convert.tensorflow.operations import DEFAULT_EPSILON
from faceall.convert.tensorflow.windows import bias_blobs, refuse_channels_first, write_convolution, write_pool
from faceall.types import Array

Writer: TypeAlias = Callable[[Builder, Node], None]


def _mat_mul(builder: Builder, node: Node) -> None:
    if node.attrs.get("transpose_a"):
        raise CannotConvertError("it transposes its first operand")
    weights = builder.constant(node.inputs[1], "second operand")  # (in, out)
    weights = weights if node.attrs.get("transpose_b") else weights.T
    x = builder.values[node.inputs[0]]
    if len(x.shape) != 1:
        raise CannotConvertError(f"it multiplies a tensor of shape {x.shape}")
    if x.form == "pixels":  # Caffe flattens channels first, TensorFlow last
        weights = weights.reshape(-1, *x.image).transpose(0, 3, 1, 2).reshape(len(weights), -1)
    options = {"num_output": len(weights), "bias_term": len(node.inputs) > 2}
    blob = builder.add(layer_name(node), "InnerProduct", [x.blob], options, [weights, *bias_blobs(builder, node)])
    builder.define(node.name, blob, "vector")


def _batch_norm(builder: Builder, node: Node) -> None:
    refuse_channels_first(node)
    if node.attrs.get("is_training", True):
        raise CannotConvertError("it is in training mode")
    x = builder.channelled(node.inputs[0])
    gamma, beta, mean, variance = (
        builder.constant(tensor, what).reshape(-1)
        for tensor, what in zip(node.inputs[1:5], ("gamma", "beta", "mean", "variance"), strict=True)
    )
    sizes = {vector.size for vector in (gamma, beta, mean, variance)}
    if sizes != {x.channels}:
        raise CannotConvertError(f"its statistics have {sorted(sizes)} numbers for {x.channels} channels")
    name = f"{x.blob}_BatchNorm"
    options = {"use_global_stats": True, "eps": float(np.float32(node.attrs.get("epsilon", DEFAULT_EPSILON)))}
    blob = builder.add(name, "BatchNorm", [x.blob], options, [mean, variance, np.ones(1, np.float32)])
    blob = builder.add(f"{name}_Scale", "Scale", [blob], {"bias_term": True}, [gamma, beta])
    builder.define(node.name, blob, x.form)


def _rectify(builder: Builder, node: Node, slope: float = 0.0) -> None:
    x = builder.channelled(node.inputs[0])
    blob = builder.add(layer_name(node), "ReLU", [x.blob], {"negative_slope": slope} if slope else None)
    builder.define(node.name, blob, x.form)


def _leaky(builder: Builder, node: Node) -> None:
    _rectify(builder, node, float(node.attrs.get("alpha", 0.2)))


def _prelu(builder: Builder, node: Node) -> None:
    x = builder.channelled(node.inputs[0])
    slope = builder.constant(node.inputs[1], "slope").reshape(-1)
    if slope.size == 1:
        return _rectify(builder, node, float(slope[0]))
    if slope.size != x.channels:
        raise CannotConvertError(f"its slope has {slope.size} numbers for {x.channels} channels")
    blob = builder.add(layer_name(node), "PReLU", [x.blob], None, [slope])
    return builder.define(node.name, blob, x.form)


def _simple(kind: str, **options: float) -> Writer:
    def write(builder: Builder, node: Node) -> None:
        x = builder.channelled(node.inputs[0])
        builder.define(node.name, builder.add(layer_name(node), kind, [x.blob], options or None), x.form)

    return write


def _concat(builder: Builder, node: Node) -> None:
    first = node.op == "Concat"
    axis = int(builder.constant(node.inputs[0 if first else -1], "axis"))
    tensors = node.inputs[1:] if first else node.inputs[:-1]
    rank = len(builder.shapes[node.name]) + 1
    axis += rank if axis < 0 else 0
    if axis == 0:
        raise CannotConvertError("it joins along the batch")
    values = [builder.image(tensor) if rank == 4 else builder.vector(tensor) for tensor in tensors]
    caffe_axis = {1: 2, 2: 3, 3: 1}[axis] if rank == 4 else axis
    blob = builder.add(layer_name(node), "Concat", [value.blob for value in values], {"axis": caffe_axis})
    builder.define(node.name, blob, "image" if rank == 4 else "vector")


def _together(builder: Builder, node: Node, options: dict[str, Any]) -> None:
    """Write an element-wise operation on tensors of one shape."""
    shapes = {builder.shapes[tensor] for tensor in node.inputs}
    if len(shapes) > 1:
        raise CannotConvertError(f"its operands have different shapes: {sorted(shapes)}")
    values = [builder.channelled(tensor) for tensor in node.inputs]
    if len({value.form for value in values}) > 1:
        values = [builder.vector(tensor) for tensor in node.inputs]
    blob = builder.add(layer_name(node), "Eltwise", [value.blob for value in values], options)
    builder.define(node.name, blob, values[0].form)


def _weighted_sum(builder: Builder, node: Node) -> None:
    coefficients = [float(number) for number in node.attrs["coefficients"]]
    options: dict[str, Any] = {"operation": "SUM"}
    _together(builder, node, options | ({"coeff": coefficients} if set(coefficients) != {1.0} else {}))


def _split_constant(builder: Builder, node: Node) -> tuple[str, Array | None, bool]:
    """Return the tensor, the constant (None if there is none), and whether the constant is the first operand."""
    first, second = node.inputs
    if second in builder.fixed:
        return first, builder.fixed[second], False
    return (second, builder.fixed[first], True) if first in builder.fixed else (first, None, False)


def _arithmetic(builder: Builder, node: Node) -> None:
    """Write Mul, Add, Sub or RealDiv with a constant, or Mul of two tensors."""
    tensor, number, first = _split_constant(builder, node)
    if number is None:
        if node.op != "Mul":
            raise CannotConvertError("neither operand is a constant")
        return _together(builder, node, {"operation": "PROD"})
    scale: Array = np.ones_like(number)
    shift: Array = np.zeros_like(number)
    if node.op == "Mul":
        scale = number
    elif node.op in ("RealDiv", "Div"):
        if first:
            raise CannotConvertError("it divides a constant by a tensor")
        scale = 1 / number.astype(np.float64)
    elif node.op == "Sub":
        scale, shift = (-scale, number) if first else (scale, -number)
    else:
        shift = number
    return _affine(builder, node, tensor, scale, shift)


def _affine(builder: Builder, node: Node, tensor: str, scale: Array, shift: Array) -> None:
    """Write scale * x + shift, with one value for all or one per channel."""
    x = builder.channelled(tensor)
    if builder.shapes[node.name] != x.shape:
        raise CannotConvertError(f"its constant of shape {scale.shape} changes the shape {x.shape}")
    if scale.size == 1:
        options = {"scale": float(np.float32(scale.reshape(()))), "shift": float(np.float32(shift.reshape(())))}
        blob = builder.add(layer_name(node), "Power", [x.blob], options)
    elif scale.size == scale.shape[-1] == x.channels:
        biased = bool(np.any(shift))
        blobs = [scale.reshape(-1), *([shift.reshape(-1)] if biased else [])]
        blob = builder.add(layer_name(node), "Scale", [x.blob], {"bias_term": biased}, blobs)
    else:
        raise CannotConvertError(f"its constant has the shape {scale.shape}, expected one number or one per channel")
    builder.define(node.name, blob, x.form)


def _maximum(builder: Builder, node: Node) -> None:
    tensor, number, _ = _split_constant(builder, node)
    if number is None:
        return _together(builder, node, {"operation": "MAX"})
    if np.any(number) or builder.shapes[node.name] != builder.shapes[tensor]:
        raise CannotConvertError("it compares with a constant other than zero")
    x = builder.channelled(tensor)
    return builder.define(node.name, builder.add(layer_name(node), "ReLU", [x.blob]), x.form)


def _mean(builder: Builder, node: Node) -> None:
    rank = len(builder.shapes[node.inputs[0]]) + 1
    axes = sorted(int(axis) % rank for axis in np.ravel(builder.constant(node.inputs[1], "axes")))
    if rank != 4 or axes != [1, 2]:
        raise CannotConvertError(f"it averages over axes {axes} of {rank}, expected the rows and columns of an image")
    x = builder.image(node.inputs[0])
    blob = builder.add(layer_name(node), "Pooling", [x.blob], {"pool": "AVE", "global_pooling": True})
    if len(builder.shapes[node.name]) == 1:
        blob = builder.add(f"{blob}_flat", "Flatten", [blob])
        return builder.define(node.name, blob, "vector")
    return builder.define(node.name, blob, "image")


def _reshape(builder: Builder, node: Node) -> None:
    """Reshape, Squeeze, ExpandDims: only what is read differently, so that no layer is needed yet."""
    x, shape = builder.values[node.inputs[0]], builder.shapes[node.name]
    same = tuple(size for size in x.shape if size != 1) == tuple(size for size in shape if size != 1)
    if shape == x.shape:
        builder.values[node.name] = x
    elif x.form == "image" and len(shape) == 1 and x.shape[:2] != (1, 1):
        builder.define(node.name, x.blob, "pixels", image=x.shape, alias=True)
    elif x.form == "image" and len(shape) == 1:
        blob = builder.add(layer_name(node), "Flatten", [x.blob])
        builder.define(node.name, blob, "vector")
    elif x.form == "vector" and same and (len(shape) == 1 or (len(shape) == 3 and shape[:2] == (1, 1))):
        builder.define(node.name, x.blob, "vector", alias=True)
    elif x.form == "pixels" and shape == x.image:
        builder.define(node.name, x.blob, "image", alias=True)
    else:
        raise CannotConvertError(f"it turns the shape {x.shape} into {shape}")


def _normalise(builder: Builder, node: Node) -> None:
    """Write the normalisation to unit length with layers that every Caffe has.

    x -> Power 2 -> InnerProduct (sum, 1) -> Power -0.5 -> InnerProduct (copies, C) -> Eltwise PROD with x
    """
    x = builder.vector(node.inputs[0])
    if len(x.shape) != 1 or node.attrs["axis"] not in (-1, 1):
        raise CannotConvertError(f"it normalises axis {node.attrs['axis']} of a tensor of shape {x.shape}")
    name, ones = layer_name(node), np.ones((1, x.channels), np.float32)
    blob = builder.add(f"{name}_square", "Power", [x.blob], {"power": 2.0})
    blob = builder.add(f"{name}_sum", "InnerProduct", [blob], {"num_output": 1, "bias_term": False}, [ones])
    options = {"power": -0.5, "shift": float(np.float32(node.attrs["epsilon"]))}
    blob = builder.add(f"{name}_inverse", "Power", [blob], options)
    options = {"num_output": x.channels, "bias_term": False}
    blob = builder.add(f"{name}_copies", "InnerProduct", [blob], options, [ones.T])
    blob = builder.add(f"{name}_unit", "Eltwise", [x.blob, blob], {"operation": "PROD"})
    builder.define(node.name, blob, "vector")


WRITERS: dict[str, Writer] = {
    "Add": _arithmetic,
    "AddV2": _arithmetic,
    "AvgPool": write_pool,
    "BiasAdd": _arithmetic,
    "Concat": _concat,
    "ConcatV2": _concat,
    "Conv2D": write_convolution,
    "DepthwiseConv2dNative": write_convolution,
    "Div": _arithmetic,
    "Elu": _simple("ELU"),
    "ExpandDims": _reshape,
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "L2Normalize": _normalise,
    "LeakyRelu": _leaky,
    "MatMul": _mat_mul,
    "MaxPool": write_pool,
    "Maximum": _maximum,
    "Mean": _mean,
    "Mul": _arithmetic,
    "PRelu": _prelu,
    "RealDiv": _arithmetic,
    "Relu": _rectify,
    "Relu6": _simple("Clip", min=0.0, max=6.0),
    "Reshape": _reshape,
    "Sigmoid": _simple("Sigmoid"),
    "Softmax": _simple("Softmax"),
    "Squeeze": _reshape,
    "Sub": _arithmetic,
    "Tanh": _simple("TanH"),
    "WeightedSum": _weighted_sum,
}
"""Operation -> its writer, for operations that remain after the passes."""

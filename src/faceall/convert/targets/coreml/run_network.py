"""Run a NeuralNetwork in NumPy and float32: one function per layer type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from faceall.convert.targets.coreml.arithmetic import (
    Budget,
    Edges,
    Sliding,
    broadcast,
    convolve,
    multiply_matrices,
    pool,
    prelu,
    same_edges,
    sliced,
    softmax,
)
from faceall.convert.targets.coreml.run_program import TROUBLE
from faceall.convert.targets.coreml.schema import LAYER_HEAD
from faceall.convert.targets.coreml.weights import read_weights
from faceall.errors import FaceallError, NetFormatError
from faceall.protobuf import Message
from faceall.types import Array

LayerFunction: TypeAlias = Callable[[Message, Sequence[Array], Budget], Array]


def scaled_image(network: Message, name: str, image: Array) -> Array:
    """`image` (1, 3, H, W) after the scaler of the input `name`.

    The scaler has one offset per colour; the channels of `image` are red, green, blue.

    Raises
    ------
    NetFormatError
        If the scaler subtracts a mean image.
    """
    for step in network.preprocessing:
        if step.featureName not in ("", name):
            continue
        if not step.HasField("scaler"):
            raise NetFormatError("subtracts a mean image, which faceall does not support")
        scaler = step.scaler
        factor = scaler.channelScale if scaler.HasField("channelScale") else 1.0
        bias = np.array([scaler.redBias, scaler.greenBias, scaler.blueBias], np.float32)
        image = image * np.float32(factor) + bias.reshape(1, 3, 1, 1)
    return image


def run_network(network: Message, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
    """Return the results called `outputs`; `inputs` are (1, C, H, W) float32, scaled already.

    Raises
    ------
    NetFormatError
        Which names the layer, where the file is damaged or has a layer that is unknown.
    """
    if network.arrayInputShapeMapping != 1 or network.imageInputShapeMapping != 1:
        raise NetFormatError("holds a network with five axes to every array, which faceall does not read")
    values, budget = dict(inputs), Budget()
    last = {name: place for place, layer in enumerate(network.layers) for name in layer.input}
    for place, layer in enumerate(network.layers):
        label = f"layer '{layer.name[:60]}'"
        try:
            values.update(_perform(layer, values, budget))
        except FaceallError as error:
            raise NetFormatError(f"{label} {error}") from error
        except TROUBLE as error:
            raise NetFormatError(f"{label} does not fit its inputs ({error})") from error
        for name in layer.input:
            if last[name] == place and name not in outputs:
                values.pop(name, None)
        budget.live([*values.values()])
    absent = [name for name in outputs if name not in values]
    if absent:
        raise NetFormatError(f"the network does not compute its result '{absent[0]}'")
    return {name: values[name] for name in outputs}


def _perform(layer: Message, values: Mapping[str, Array], budget: Budget) -> dict[str, Array]:
    kinds = [field.name for field, _ in layer.ListFields() if field.name not in LAYER_HEAD]
    if len(kinds) != 1 or kinds[0] not in LAYERS:
        raise NetFormatError("is of no type that faceall runs")
    absent = [name for name in layer.input if name not in values]
    if absent:
        raise NetFormatError(f"reads '{absent[0][:60]}', which no layer before it makes")
    if len(layer.output) != 1 or (not layer.input and kinds[0] != "loadConstantND"):
        raise NetFormatError(f"({kinds[0]}) has {len(layer.input)} inputs and {len(layer.output)} results")
    options = getattr(layer, kinds[0])
    result = LAYERS[kinds[0]](options, [values[name] for name in layer.input], budget)
    return {layer.output[0]: np.asarray(result, np.float32)}


def _valid_edges(padding: Message) -> Edges:
    amounts = [(int(edge.startEdgeSize), int(edge.endEdgeSize)) for edge in padding.paddingAmounts.borderAmounts]
    if len(amounts) not in (0, 2):
        raise NetFormatError(f"has {len(amounts)} sizes of its border, expected 2")
    return amounts or [(0, 0), (0, 0)]


def _edges(options: Message, spatial: Sequence[int], extent: Sequence[int], stride: Sequence[int]) -> Edges:
    if options.HasField("same"):
        return same_edges(spatial, extent, stride, heavy_end=options.same.asymmetryMode == 0)
    return _valid_edges(options.valid)


def _pair(values: Sequence[int], default: int) -> list[int]:
    found = [int(value) for value in values] or [default, default]
    if len(found) != 2 or min(found) < 1:
        raise NetFormatError(f"has the sizes {found[:8]}, expected two of at least 1")
    return found


def _convolution(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
    if options.isDeconvolution:
        raise NetFormatError("is a deconvolution, which faceall does not know")
    kernel, stride = _pair(options.kernelSize, 3), _pair(options.stride, 1)
    dilation, outputs = _pair(options.dilationFactor, 1), int(options.outputChannels)
    weights = read_weights(options.weights, (outputs, int(options.kernelChannels), *kernel))
    extent = [(size - 1) * gap + 1 for size, gap in zip(kernel, dilation, strict=True)]
    return convolve(
        inputs[0],
        weights,
        read_weights(options.bias, (outputs,)) if options.hasBias else None,
        budget,
        Sliding(stride, _edges(options, inputs[0].shape[2:], extent, stride), dilation),
        group=int(options.nGroups) or 1,
    )


def _pooling(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
    array = inputs[0]
    if options.type not in (0, 1):
        raise NetFormatError("pools by length, which faceall does not know")
    if options.globalPooling:
        function: Any = np.mean if options.type else np.max
        return np.asarray(function(array, axis=(-2, -1), keepdims=True))
    kernel, stride = _pair(options.kernelSize, 3), _pair(options.stride, 1)
    last_pixel = options.HasField("includeLastPixel")
    if last_pixel:
        amounts = [int(amount) for amount in options.includeLastPixel.paddingAmounts] or [0, 0]
        edges: Edges = [(amount, amount) for amount in amounts]
    else:
        edges = _edges(options, array.shape[2:], kernel, stride)
    return pool(
        array,
        budget,
        kernel,
        Sliding(stride, edges),
        average=options.type == 1,
        last_pixel=last_pixel,
        count_border=not options.avgPoolExcludePadding,
    )


def _activation(options: Message, inputs: Sequence[Array], _: Budget) -> Array:
    array = inputs[0]
    kinds = [field.name for field, _ in options.ListFields()]
    if kinds == ["ReLU"]:
        return np.maximum(array, 0)
    if kinds == ["leakyReLU"]:
        return np.maximum(array, 0) + np.float32(options.leakyReLU.alpha) * np.minimum(array, 0)
    if kinds == ["PReLU"]:
        stored = options.PReLU.alpha
        count = array.shape[-3] if array.ndim >= 3 and len(stored.floatValue) != 1 else 1
        return prelu(array, read_weights(stored, (count,)))
    if kinds == ["linear"]:
        return np.asarray(np.float32(options.linear.alpha) * array + np.float32(options.linear.beta))
    if kinds == ["sigmoid"]:
        return np.asarray(0.5 * np.tanh(0.5 * array) + 0.5)
    if kinds == ["tanh"]:
        return np.tanh(array)
    raise NetFormatError(f"has the unknown activation {kinds}")


def _inner_product(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
    shape = (int(options.outputChannels), int(options.inputChannels))
    result = multiply_matrices(inputs[0], read_weights(options.weights, shape).T, budget)
    return result + read_weights(options.bias, shape[:1]) if options.hasBias else result


def _batched_matmul(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
    """Multiply two inputs, or one input with a stored, transposed matrix."""
    left = np.swapaxes(inputs[0], -1, -2) if options.transposeA else inputs[0]
    if len(inputs) == 2:
        right = np.swapaxes(inputs[1], -1, -2) if options.transposeB else inputs[1]
        return multiply_matrices(left, right, budget)
    first, second = int(options.weightMatrixFirstDimension), int(options.weightMatrixSecondDimension)
    result = multiply_matrices(left, read_weights(options.weights, (second, first)).T, budget)
    return result + read_weights(options.bias, (second,)) if options.hasBias else result


def _unary(options: Message, inputs: Sequence[Array], _: Budget) -> Array:
    array = inputs[0]
    scale = np.float32(options.scale if options.HasField("scale") else 1.0)
    array = array * scale + np.float32(options.shift)
    epsilon = np.float32(options.epsilon if options.HasField("epsilon") else 1e-6)
    functions: dict[int, Callable[[], Any]] = {
        0: lambda: np.sqrt(array),
        1: lambda: 1 / np.sqrt(array + epsilon),
        2: lambda: 1 / (array + epsilon),
        3: lambda: np.power(array, np.float32(options.alpha)),
        4: lambda: np.exp(array),
        5: lambda: np.log(array),
        6: lambda: np.abs(array),
        7: lambda: np.maximum(array, np.float32(options.alpha)),
    }
    if options.type not in functions:
        raise NetFormatError(f"has the unknown function {options.type}")
    return np.asarray(functions[options.type]())


def _elementwise(operation: np.ufunc) -> LayerFunction:
    """Combine all inputs, or one input and the number `alpha`."""

    def run(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
        parts = [*inputs]
        if len(parts) == 1:
            parts.append(np.asarray(options.alpha, np.float32))
        return reduce(lambda left, right: broadcast(operation, left, right, budget), parts)

    return run


def _binary(operation: np.ufunc) -> LayerFunction:
    def run(_: Message, inputs: Sequence[Array], budget: Budget) -> Array:
        if len(inputs) < 2:
            raise NetFormatError(f"has {len(inputs)} inputs, expected two or more")
        return reduce(lambda left, right: broadcast(operation, left, right, budget), inputs)

    return run


def _reduce(function: Callable[..., Any]) -> LayerFunction:
    def run(options: Message, inputs: Sequence[Array], _: Budget) -> Array:
        axes = tuple(range(inputs[0].ndim)) if options.reduceAll else tuple(int(axis) for axis in options.axes)
        return np.asarray(function(inputs[0], axis=axes, keepdims=bool(options.keepDims)))

    return run


def _sum_of_squares(array: Array, **options: Any) -> Any:
    return np.sum(array * array, **options)


def _concat(axis: Callable[[Message], int]) -> LayerFunction:
    def run(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
        budget.room([sum(part.size for part in inputs)])
        return np.concatenate(inputs, axis=axis(options))

    return run


def _constant(options: Message, _: Sequence[Array], __: Budget) -> Array:
    return read_weights(options.data, tuple(int(size) for size in options.shape))


def _scale(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
    shape = tuple(int(size) for size in options.shapeScale)
    result = broadcast(np.multiply, inputs[0], read_weights(options.scale, shape), budget)
    if not options.hasBias:
        return result
    return broadcast(np.add, result, read_weights(options.bias, tuple(int(n) for n in options.shapeBias)), budget)


def _slice(options: Message, inputs: Sequence[Array], _: Budget) -> Array:
    count = len(options.beginIds)
    strides = [int(step) for step in options.strides] or [1] * count
    begins, ends = (list(masks) or [False] * count for masks in (options.beginMasks, options.endMasks))
    parts = [
        slice(None if open_begin else int(low), None if open_end else int(high), step)
        for low, high, step, open_begin, open_end in zip(
            options.beginIds, options.endIds, strides, begins, ends, strict=True
        )
    ]
    squeezed = tuple(axis for axis, flag in enumerate(options.squeezeMasks) if flag)
    return sliced(inputs[0], parts).squeeze(squeezed)


def _padded(array: Array, pairs: list[tuple[int, int]], fill: float, budget: Budget) -> Array:
    pairs = [(0, 0)] * (array.ndim - len(pairs)) + pairs
    budget.room([size + low + high for size, (low, high) in zip(array.shape, pairs, strict=True)])
    return np.pad(array, pairs, constant_values=np.float32(fill))


def _constant_pad(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
    amounts = [int(amount) for amount in options.padAmounts]
    if options.padToGivenOutputSizeMode or len(amounts) % 2:
        raise NetFormatError("pads to a given size, which faceall does not know")
    return _padded(inputs[0], list(zip(amounts[::2], amounts[1::2], strict=True)), options.value, budget)


def _padding(options: Message, inputs: Sequence[Array], budget: Budget) -> Array:
    if not options.HasField("constant"):
        raise NetFormatError("repeats the image in its border, which faceall does not support")
    return _padded(inputs[0], list(_valid_edges(options)), options.constant.value, budget)


def _squeeze(options: Message, inputs: Sequence[Array], _: Budget) -> Array:
    return inputs[0].squeeze(None if options.squeezeAll else tuple(int(axis) for axis in options.axes))


LAYERS: Mapping[str, LayerFunction] = {
    "activation": _activation,
    "add": _elementwise(np.add),
    "addBroadcastable": _binary(np.add),
    "batchedMatmul": _batched_matmul,
    "concat": _concat(lambda _: -3),
    "concatND": _concat(lambda options: int(options.axis)),
    "constantPad": _constant_pad,
    "convolution": _convolution,
    "copy": lambda _, inputs, __: inputs[0],
    "divideBroadcastable": _binary(np.divide),
    "expandDims": lambda options, inputs, _: np.expand_dims(inputs[0], tuple(int(axis) for axis in options.axes)),
    "innerProduct": _inner_product,
    "loadConstantND": _constant,
    "max": _binary(np.maximum),
    "maxBroadcastable": _binary(np.maximum),
    "minBroadcastable": _binary(np.minimum),
    "multiply": _elementwise(np.multiply),
    "multiplyBroadcastable": _binary(np.multiply),
    "padding": _padding,
    "pooling": _pooling,
    "powBroadcastable": _binary(np.power),
    "reduceMax": _reduce(np.max),
    "reduceMean": _reduce(np.mean),
    "reduceSum": _reduce(np.sum),
    "reduceSumSquare": _reduce(_sum_of_squares),
    "reshapeStatic": lambda options, inputs, _: inputs[0].reshape([int(size) for size in options.targetShape]),
    "scale": _scale,
    "sliceStatic": _slice,
    "softmax": lambda _, inputs, __: softmax(inputs[0], -3),
    "softmaxND": lambda options, inputs, _: softmax(inputs[0], int(options.axis)),
    "squeeze": _squeeze,
    "subtractBroadcastable": _binary(np.subtract),
    "transpose": lambda options, inputs, _: inputs[0].transpose([int(axis) for axis in options.axes]),
    "unary": _unary,
}
"""Layer type -> its function."""

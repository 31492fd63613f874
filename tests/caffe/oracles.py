"""What Caffe's layers compute, once more: number by number, in plain Python loops, straight from their definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import exp, sqrt
from typing import Any

import numpy as np

from faceall.types import Array

Options = dict[str, Any]
Oracle = Callable[[Options, Sequence[Array], Sequence[Array], int], list[Array]]
"""(options, inputs, weights, number of tops) -> outputs."""


def side(options: Options, name: str, stem: str, default: int) -> tuple[int, int]:
    """(height, width) of a kernel, stride, pad or dilation."""
    values = options.get(name, default)
    values = values if isinstance(values, list) else [values]
    return options.get(f"{stem}_h", values[0]), options.get(f"{stem}_w", values[-1])


def convolution(options: Options, inputs: Sequence[Array], weights: Sequence[Array], _: int) -> list[Array]:
    """Every window, every channel of its group, every kernel element that lies in the image."""
    (array,), kernel = inputs, weights[0]
    batch, channels, *size = array.shape
    group = channels // kernel.shape[1]
    names = (("stride", "stride", 1), ("pad", "pad", 0), ("dilation", "dilation", 1))
    stride, pad, dilation = (side(options, *name) for name in names)
    starts = [
        [
            at
            for at in range(-pad[i], size[i] + pad[i], stride[i])
            if at + dilation[i] * (kernel.shape[2 + i] - 1) < size[i] + pad[i]
        ]
        for i in (0, 1)
    ]
    result = np.zeros((batch, len(kernel), len(starts[0]), len(starts[1])))
    for n, o, y, x in np.ndindex(*result.shape):
        total = float(weights[1][o]) if len(weights) > 1 else 0.0
        first = o // (len(kernel) // group) * kernel.shape[1]
        for c, i, j in np.ndindex(*kernel.shape[1:]):
            row, column = starts[0][y] + i * dilation[0], starts[1][x] + j * dilation[1]
            if 0 <= row < size[0] and 0 <= column < size[1]:
                total += float(kernel[o, c, i, j]) * float(array[n, first + c, row, column])
        result[n, o, y, x] = total
    return [result]


def pool_starts(size: int, kernel: int, stride: int, pad: int, *, ceil: bool, padded: bool) -> list[int]:
    """Where the windows of a pooling begin, found by sliding."""
    starts = [-pad]
    while starts[-1] + kernel < size + pad:  # something is left uncovered
        starts.append(starts[-1] + stride)
    if not ceil:
        starts = [at for at in starts if at + kernel <= size + pad]
    if ceil and padded and starts[-1] >= size:
        starts.pop()
    return starts


def pooling(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """The numbers of every window; an average's divisor counts the border but not what lies past it."""
    (array,) = inputs
    size = array.shape[2:]
    kernel = size if options.get("global_pooling") else side(options, "kernel_size", "kernel", 0)
    stride, pad = side(options, "stride", "stride", 1), side(options, "pad", "pad", 0)
    ceil = options.get("round_mode", "CEIL") == "CEIL"
    starts = [pool_starts(size[i], kernel[i], stride[i], pad[i], ceil=ceil, padded=any(pad)) for i in (0, 1)]
    result = np.zeros((*array.shape[:2], len(starts[0]), len(starts[1])))
    for n, c, y, x in np.ndindex(*result.shape):
        inside, divisor = [], 0
        for row, column in product(range(kernel[0]), range(kernel[1])):
            row, column = row + starts[0][y], column + starts[1][x]
            divisor += row < size[0] + pad[0] and column < size[1] + pad[1]
            if 0 <= row < size[0] and 0 <= column < size[1]:
                inside.append(float(array[n, c, row, column]))
        result[n, c, y, x] = sum(inside) / divisor if options.get("pool") == "AVE" else max(inside)
    return [result]


def _each(function: Callable[[tuple[int, ...]], float], shape: Sequence[int]) -> list[Array]:
    """The array of `shape` whose number at each index is function(index)."""
    result = np.zeros(shape)
    for index in np.ndindex(*shape):
        result[index] = function(index)
    return [result]


def batch_norm(options: Options, inputs: Sequence[Array], weights: Sequence[Array], _: int) -> list[Array]:
    """(x - mean / factor) / sqrt(variance / factor + eps)."""
    mean, variance, (factor,) = weights
    eps = options.get("eps", 1e-5)
    return _each(
        lambda at: (inputs[0][at] - mean[at[1]] / factor) / sqrt(variance[at[1]] / factor + eps), inputs[0].shape
    )


def scale(options: Options, inputs: Sequence[Array], weights: Sequence[Array], _: int) -> list[Array]:
    """x times the factor of its place, and the bias of its place."""
    axis = options.get("axis", 1)
    factors = inputs[1] if len(inputs) == 2 else weights[0]
    if options.get("num_axes") == 0:
        factors, weights = factors.reshape(()), [weights[0], weights[-1].reshape(())]
    biases = weights[-1] if options.get("bias_term") else np.zeros(factors.shape)

    def value(at: tuple[int, ...]) -> float:
        place = at[axis : axis + factors.ndim]
        return float(inputs[0][at] * factors[place] + biases[place])

    return _each(value, inputs[0].shape)


def relu(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """x, or x times the slope below zero."""
    slope = options.get("negative_slope", 0.0)
    return _each(lambda at: inputs[0][at] * (1 if inputs[0][at] > 0 else slope), inputs[0].shape)


def prelu(_: Options, inputs: Sequence[Array], weights: Sequence[Array], __: int) -> list[Array]:
    """x, or x times its channel's slope below zero."""
    slopes = weights[0].reshape(-1)
    return _each(lambda at: inputs[0][at] * (1 if inputs[0][at] > 0 else slopes[at[1] % len(slopes)]), inputs[0].shape)


def inner_product(options: Options, inputs: Sequence[Array], weights: Sequence[Array], _: int) -> list[Array]:
    """Each output is a sum over all numbers from the axis on."""
    axis = options.get("axis", 1) % inputs[0].ndim
    kept = inputs[0].shape[:axis]
    matrix = weights[0].T if options.get("transpose") else weights[0]

    def value(at: tuple[int, ...]) -> float:
        row = [float(number) for number in np.ravel(inputs[0][at[:-1]])]
        total = sum(number * float(weight) for number, weight in zip(row, matrix[at[-1]], strict=True))
        return total + (float(weights[1][at[-1]]) if len(weights) > 1 else 0.0)

    return _each(value, (*kept, len(matrix)))


def concat(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """Each number comes from the input in whose part of the axis it lies."""
    axis = options.get("concat_dim", options.get("axis", 1)) % inputs[0].ndim
    places = [(number, at) for number, array in enumerate(inputs) for at in range(array.shape[axis])]

    def value(at: tuple[int, ...]) -> float:
        number, place = places[at[axis]]
        return float(inputs[number][(*at[:axis], place, *at[axis + 1 :])])

    shape = inputs[0].shape
    return _each(value, (*shape[:axis], len(places), *shape[axis + 1 :]))


def eltwise(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """The sum, product or maximum of the numbers at one place."""
    coefficients = options.get("coeff", [1.0] * len(inputs))

    def value(at: tuple[int, ...]) -> float:
        numbers = [float(array[at]) for array in inputs]
        if options.get("operation") == "MAX":
            return max(numbers)
        if options.get("operation") == "PROD":
            return float(np.prod(numbers))
        return sum(factor * number for factor, number in zip(coefficients, numbers, strict=True))

    return _each(value, inputs[0].shape)


def axpy(_: Options, inputs: Sequence[Array], __: Sequence[Array], ___: int) -> list[Array]:
    """Each channel times its factor, and the third input."""
    factors = inputs[0].reshape(inputs[0].shape[:2])
    return _each(lambda at: float(factors[at[:2]] * inputs[1][at] + inputs[2][at]), inputs[1].shape)


def bias(options: Options, inputs: Sequence[Array], weights: Sequence[Array], _: int) -> list[Array]:
    """x plus the term of its place."""
    axis, terms = options.get("axis", 1), inputs[1] if len(inputs) == 2 else weights[0]
    return _each(lambda at: float(inputs[0][at] + terms[at[axis : axis + terms.ndim]]), inputs[0].shape)


def clip(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """x between two limits."""
    return _each(lambda at: min(max(float(inputs[0][at]), options["min"]), options["max"]), inputs[0].shape)


def elu(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """x, or an exponential below zero."""

    def value(at: tuple[int, ...]) -> float:
        x = float(inputs[0][at])
        return x if x > 0 else options.get("alpha", 1.0) * (exp(x) - 1)

    return _each(value, inputs[0].shape)


def lrn(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """x over a power of the squares of the channels around it."""
    size, alpha, k = options.get("local_size", 5), options.get("alpha", 1.0), options.get("k", 1.0)

    def value(at: tuple[int, ...]) -> float:
        near = range(max(0, at[1] - size // 2), min(inputs[0].shape[1], at[1] + size // 2 + 1))
        total = sum(float(inputs[0][(at[0], channel, *at[2:])]) ** 2 for channel in near)
        return float(inputs[0][at]) / (k + alpha / size * total) ** options.get("beta", 0.75)

    return _each(value, inputs[0].shape)


def swish(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """x times the logistic function of beta x."""
    beta = options.get("beta", 1.0)
    return _each(lambda at: float(inputs[0][at]) / (1 + exp(-beta * float(inputs[0][at]))), inputs[0].shape)


def tanh(_: Options, inputs: Sequence[Array], __: Sequence[Array], ___: int) -> list[Array]:
    """The hyperbolic tangent, by exponentials."""
    return _each(lambda at: 1 - 2 / (1 + exp(2 * float(inputs[0][at]))), inputs[0].shape)


def power(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """(shift + scale x) ** power."""
    shift, factor = options.get("shift", 0.0), options.get("scale", 1.0)
    return _each(lambda at: (shift + factor * inputs[0][at]) ** options.get("power", 1.0), inputs[0].shape)


def flatten(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """The same numbers, the axes from the first to the last as one."""
    shape = list(inputs[0].shape)
    start, end = options.get("axis", 1) % len(shape), options.get("end_axis", -1) % len(shape)
    joined = 1
    for size in shape[start : end + 1]:
        joined *= size
    return [inputs[0].reshape([*shape[:start], joined, *shape[end + 1 :]])]


def reshape(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """The same numbers; 0 keeps an axis and -1 takes what is left."""
    shape, axis = list(inputs[0].shape), options.get("axis", 0)
    axis = axis if axis >= 0 else axis + len(shape) + 1
    end = len(shape) if options.get("num_axes", -1) == -1 else axis + options["num_axes"]
    middle = [shape[axis + place] if size == 0 else size for place, size in enumerate(options["shape"]["dim"])]
    return [inputs[0].reshape([*shape[:axis], *middle, *shape[end:]])]


def permute(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """Axis i of the output is axis order[i] of the input."""
    count = inputs[0].ndim
    order = options["order"] + [axis for axis in range(count) if axis not in options["order"]]

    def value(at: tuple[int, ...]) -> float:
        source = [0] * count
        for place, axis in enumerate(order):
            source[axis] = at[place]
        return float(inputs[0][tuple(source)])

    return _each(value, [inputs[0].shape[axis] for axis in order])


def softmax(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """exp(x) over the sum of exp along the axis."""
    axis = options.get("axis", 1) % inputs[0].ndim

    def value(at: tuple[int, ...]) -> float:
        line = [float(inputs[0][(*at[:axis], i, *at[axis + 1 :])]) for i in range(inputs[0].shape[axis])]
        return exp(line[at[axis]]) / sum(exp(number) for number in line)

    return _each(value, inputs[0].shape)


def crop(options: Options, inputs: Sequence[Array], _: Sequence[Array], __: int) -> list[Array]:
    """From the axis on, as many numbers as the second input has, beginning at the offset."""
    array, like = inputs
    axis = options.get("axis", 2) % array.ndim
    offsets = options.get("offset", [0])
    offsets = offsets * (array.ndim - axis) if len(offsets) == 1 else offsets
    starts = [0] * axis + offsets
    return _each(
        lambda at: float(array[tuple(place + start for place, start in zip(at, starts, strict=True))]),
        (*array.shape[:axis], *like.shape[axis:]),
    )


def slices(options: Options, inputs: Sequence[Array], _: Sequence[Array], tops: int) -> list[Array]:
    """Parts of the axis, cut at the points, or equal ones."""
    axis = options.get("slice_dim", options.get("axis", 1))
    size = inputs[0].shape[axis]
    points = options.get("slice_point") or [size * number // tops for number in range(1, tops)]
    return [np.take(inputs[0], range(low, high), axis) for low, high in zip([0, *points], [*points, size], strict=True)]


def copies(_: Options, inputs: Sequence[Array], __: Sequence[Array], tops: int) -> list[Array]:
    """The input, as often as there are tops."""
    return [inputs[0]] * tops


def sigmoid(_: Options, inputs: Sequence[Array], __: Sequence[Array], ___: int) -> list[Array]:
    """1 / (1 + exp(-x))."""
    return _each(lambda at: 1 / (1 + exp(-inputs[0][at])), inputs[0].shape)


def normalize(options: Options, inputs: Sequence[Array], weights: Sequence[Array], _: int) -> list[Array]:
    """x over the root of the sum of squares of its sample, or of its pixel; times the scale."""
    (array,) = inputs

    def value(at: tuple[int, ...]) -> float:
        whole = options.get("across_spatial", True)
        line = array[at[0]] if whole else array[(at[0], slice(None), *at[2:])]
        norm = sqrt(sum(float(number) ** 2 for number in line.flat) + options.get("eps", 1e-10))
        scales = weights[0].reshape(-1)
        return float(array[at] / norm * scales[at[1] % len(scales)])

    return _each(value, array.shape)


ORACLES: dict[str, Oracle] = {
    "Axpy": axpy,
    "Bias": bias,
    "Clip": clip,
    "ELU": elu,
    "LRN": lrn,
    "Swish": swish,
    "TanH": tanh,
    "BatchNorm": batch_norm,
    "Concat": concat,
    "Convolution": convolution,
    "ConvolutionDepthwise": convolution,
    "Crop": crop,
    "Dropout": copies,
    "Eltwise": eltwise,
    "Flatten": flatten,
    "InnerProduct": inner_product,
    "Normalize": normalize,
    "PReLU": prelu,
    "Permute": permute,
    "Pooling": pooling,
    "Power": power,
    "ReLU": relu,
    "Reshape": reshape,
    "Scale": scale,
    "Sigmoid": sigmoid,
    "Slice": slices,
    "Softmax": softmax,
    "Split": copies,
}

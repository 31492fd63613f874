"""Build a net as a program of Core AI, layer by layer. This runs in the worker.

Standardisation, lengths of vectors and sums over all pixels are computed in float32 at every precision, because squares
of pixels and of embeddings are too large or too small for float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from faceall.caffe.layers import Shape
from faceall.caffe.net import Layer
from faceall.caffe.shapes import infer_shapes
from faceall.convert.targets.coreai.border import Operations, Program, Signature, Value, author
from faceall.convert.targets.coreai.context import Context
from faceall.convert.targets.coreai.layers import WRITERS
from faceall.convert.targets.plan import Pixels, Plan
from faceall.errors import ConvertError, UnsupportedLayerError


def build_program(plan: Plan, *, half: bool) -> Program:
    """Build the program of `plan.net`.

    Raises
    ------
    UnsupportedLayerError
        If Core AI has no form of a layer; the message names it.
    ConvertError
        If coreai-core refuses the program.
    """
    context = Context(plan.net, Operations(half=half), infer_shapes(plan.net), plan.flexible)

    def body(values: Mapping[str, Value]) -> Mapping[str, Value]:
        blobs = {blob: _standardised(context, values[name], plan.pixels, plan.net.inputs[blob])
                 for blob, name in plan.inputs.items()}  # fmt: skip
        for layer in plan.net.layers:
            if layer.type != "Input":
                made = _written(context, layer, [blobs[bottom] for bottom in layer.bottoms])
                blobs.update(zip(layer.tops, made, strict=True))
        return {name: context.operations.to_single(blobs[blob]) for blob, name in plan.outputs.items()}

    outputs = {name: (context.free(context.shapes[blob]), "float32") for blob, name in plan.outputs.items()}
    return author(_inputs(context, plan), outputs, body)


def _inputs(context: Context, plan: Plan) -> Signature:
    found = {}
    for blob, name in plan.inputs.items():
        batch, channels, *sides = context.free(plan.net.inputs[blob])
        found[name] = ((batch, *sides, channels), "uint8") if plan.pixels else ((batch, channels, *sides), "float32")
    return found


def _standardised(context: Context, value: Value, pixels: Pixels | None, shape: Shape) -> Value:
    """Write the standardisation of pixels (1, H, W, 3) as the net's input (1, 3, H, W)."""
    made = context.operations
    if pixels is None:
        return made.to_precision(value)
    image = made.turned(made.to_single(value), (0, 3, 1, 2))
    if pixels.color == "BGR":
        image = made.joined([context.channels(image, first, first + 1) for first in (2, 1, 0)], 1)
    if pixels.prewhiten:
        image = _prewhitened(context, image, shape)
    else:
        image = made.add(made.multiply(image, np.float32(pixels.scale)), np.float32(pixels.bias))
    return made.to_precision(image)


def _prewhitened(context: Context, image: Value, shape: Shape) -> Value:
    """Write (x - m) / max(s, 1 / sqrt(size)), with mean m and deviation s over the whole image."""
    made, axes = context.operations, range(1, len(shape))
    centred = made.subtract(image, made.mean(image, axes))
    deviation = made.root(made.mean(made.multiply(centred, centred), axes))
    return made.divide(centred, made.maximum(deviation, np.float32(1 / np.sqrt(prod(shape[1:])))))


def _written(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    try:
        return WRITERS[layer.type](context, layer, values)
    except ConvertError as error:
        raise UnsupportedLayerError(f"layer '{layer.name}' ({layer.type}): {error}") from error

"""Find composite operations in a graph of single ones: passes `Graph -> Graph`.

Each found pattern becomes one node that keeps the name of the pattern's last node, so that the tensor that it
writes keeps its name. The new operations are `FusedBatchNorm` (TensorFlow's own), `PRelu`, `L2Normalize` and
`WeightedSum`; a convolution or matrix product may have a third operand, its bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.graph import DEPTH_LIMIT, Graph, Node, constant, node_of
from faceall.convert.tensorflow.passes import constant_value, constants, prune
from faceall.types import Array

PRODUCTS = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
_ADD = ("Add", "AddV2", "BiasAdd")
_DIVIDE = ("RealDiv", "Div")


def match_batch_norm(graph: Graph) -> Graph:
    """Recognise batch normalisation that is written out.

    Before   x * m + (beta - mean * m)   with m = rsqrt(variance + epsilon) [* gamma]
    After    FusedBatchNorm(x, gamma, beta, mean, variance)
    """
    fixed = constants(graph)
    found: list[Node] = []
    for node in graph.nodes.values():
        if node.op in _ADD and node.name not in fixed:
            for product, shift in _orders(node):
                found += _batch_norm(graph, fixed, node, product, shift)
    return prune(graph.with_nodes(found))


def _batch_norm(graph: Graph, fixed: frozenset[str], node: Node, product: str, shift: str) -> Iterator[Node]:
    if graph.producer(product).op != "Mul" or node_of(shift) not in fixed:
        return
    for x, factor in _orders(graph.producer(product)):
        if node_of(factor) not in fixed or node_of(x) in fixed:
            continue
        root = _root(graph, factor)
        centre = _centre(graph, shift, factor)
        if root is None or centre is None:
            continue
        variance, epsilon, gamma = root
        beta, mean = centre
        one = constant(f"{node.name}/gamma", np.ones_like(variance))
        zero = constant(f"{node.name}/beta", np.zeros_like(variance))
        yield one
        yield zero
        operands = (x, gamma or one.name, beta or zero.name, *_named(node.name, mean, variance))
        yield from (constant(name, value) for name, value in zip(operands[3:], (mean, variance), strict=True))
        yield Node(node.name, "FusedBatchNorm", operands, attrs={"epsilon": epsilon, "is_training": False})


def _named(name: str, *_: Array) -> tuple[str, str]:
    return f"{name}/mean", f"{name}/variance"


def _root(graph: Graph, factor: str) -> tuple[Array, float, str] | None:
    """Match rsqrt(variance + epsilon) [* gamma]; return variance, epsilon, and gamma's tensor (empty if absent)."""
    node = graph.producer(factor)
    for root, gamma in [*_orders(node)] if node.op == "Mul" else [(factor, "")]:
        inner = graph.producer(root)
        if inner.op != "Rsqrt":
            continue
        total = graph.producer(inner.inputs[0])
        for variance, epsilon in _orders(total) if total.op in _ADD else ():
            number = constant_value(graph, epsilon)
            if number.size == 1:
                return constant_value(graph, variance), float(number.reshape(())), gamma
    return None


def _centre(graph: Graph, shift: str, factor: str) -> tuple[str, Array] | None:
    """Return the tensor beta (empty if there is none) and the mean of beta - mean * factor, or of -mean * factor."""
    node = graph.producer(shift)
    beta, product = (node.inputs[0], node.inputs[1]) if node.op == "Sub" else ("", shift)
    inner = graph.producer(product)
    if inner.op != "Mul":
        return None
    for mean, other in _orders(inner):
        if other != factor:
            continue
        if beta:
            return beta, constant_value(graph, mean)
        if graph.producer(mean).op == "Neg":
            return "", -constant_value(graph, mean)
    return None


def match_prelu(graph: Graph) -> Graph:
    """Recognise a rectifier with a slope, in whichever way it is written.

    Before   relu(x) - alpha * relu(-x),  or  relu(x) + alpha * (x - |x|) * 0.5,  or  maximum(x, alpha * x), ...
    After    PRelu(x, alpha)

    All of these are made of steps that commute with a positive factor, so the whole is known from its values at 1
    and at -1.
    """
    fixed = constants(graph)
    found: list[Node] = []
    for node in graph.nodes.values():
        if node.op in ("Add", "AddV2", "Sub", "Maximum", "Minimum") and node.name not in fixed:
            found += _prelu(graph, fixed, node)
    return prune(graph.with_nodes(found))


def _prelu(graph: Graph, fixed: frozenset[str], node: Node) -> list[Node]:
    for x in _common_sources(graph, fixed, node):
        view = replace(graph, output=node.name)
        up = evaluate(view, {x: np.ones((), np.float32)}, keep=())[node.name]
        down = -evaluate(view, {x: -np.ones((), np.float32)}, keep=())[node.name]
        slope = down.reshape(-1) if down.size == max(down.shape[-1:], default=1) else None
        if slope is None or not np.allclose(up, 1, rtol=0, atol=1e-6):
            continue
        alpha = constant(f"{node.name}/alpha", slope.astype(np.float32))
        return [alpha, Node(node.name, "PRelu", (x, alpha.name))]
    return []


def _common_sources(graph: Graph, fixed: frozenset[str], node: Node) -> list[str]:
    """Return the tensors that alone decide `node` through steps that commute with a positive factor, nearest first."""
    frontier: list[str] = list(dict.fromkeys(node.inputs))
    results = []
    for _ in range(DEPTH_LIMIT):
        moving = [tensor for tensor in frontier if node_of(tensor) not in fixed]
        if len(moving) == 1 and moving[0] != node.name:
            results.append(moving[0])
        step = next((t for t in _latest_first(graph, moving) if _is_homogeneous(graph, fixed, t)), None)
        if step is None:
            break
        frontier = list(dict.fromkeys([t for t in moving if t != step] + list(graph.producer(step).inputs)))
    return results if _is_homogeneous(graph, fixed, node.name) else []


def _latest_first(graph: Graph, tensors: list[str]) -> list[str]:
    """Sort `tensors` so that each comes before those that it depends on."""

    def below(tensor: str) -> int:
        seen, stack = {tensor}, [tensor]
        for _ in range(DEPTH_LIMIT):
            stack = [t for name in stack for t in graph.producer(name).inputs if t not in seen]
            seen.update(stack)
        return sum(other in seen for other in tensors)

    return sorted(tensors, key=below, reverse=True)


def _is_homogeneous(graph: Graph, fixed: frozenset[str], tensor: str) -> bool:
    """Return whether the node's value grows in proportion to its operands when these grow by a positive factor."""
    node = graph.producer(tensor)
    still = [operand for operand in node.inputs if node_of(operand) in fixed]
    if node.op in ("Relu", "Neg", "Abs"):
        return True
    if node.op == "Mul":
        return len(still) == 1
    if node.op in _DIVIDE:
        return still == [node.inputs[1]]
    if node.op in ("Add", "AddV2", "Sub", "Maximum", "Minimum"):
        return all(not np.any(constant_value(graph, operand)) for operand in still)
    return False


def match_normalise(graph: Graph) -> Graph:
    """Recognise the scaling to unit length.

    Before   x * rsqrt(maximum(sum(square(x)), epsilon)),  or  x / sqrt(...)
    After    L2Normalize(x)
    """
    fixed = constants(graph)
    found = []
    for node in graph.nodes.values():
        pairs = [*_orders(node)] if node.op == "Mul" else [node.inputs] if node.op in _DIVIDE else []
        for x, length in pairs:
            if graph.producer(length).op == ("Rsqrt" if node.op == "Mul" else "Sqrt"):
                found += _normalise(graph, fixed, node, x, graph.producer(length).inputs[0])
    return prune(graph.with_nodes(found))


def _normalise(graph: Graph, fixed: frozenset[str], node: Node, x: str, squared: str) -> list[Node]:
    limit, epsilon = graph.producer(squared), 0.0
    if limit.op in ("Maximum", *_ADD):
        total, floor = next(((a, b) for a, b in _orders(limit) if node_of(b) in fixed), ("", ""))
        if not total or constant_value(graph, floor).size != 1:
            return []
        squared, epsilon = total, float(constant_value(graph, floor).reshape(()))
    total_node = graph.producer(squared)
    if total_node.op != "Sum" or node_of(total_node.inputs[1]) not in fixed:
        return []
    square = graph.producer(total_node.inputs[0])
    if not ((square.op == "Square" and square.inputs == (x,)) or (square.op == "Mul" and square.inputs == (x, x))):
        return []
    axes = [int(axis) for axis in np.ravel(constant_value(graph, total_node.inputs[1]))]
    keep = total_node.attrs.get("keep_dims", total_node.attrs.get("keepdims", False))
    if len(axes) != 1 or not keep:
        return []
    return [Node(node.name, "L2Normalize", (x,), attrs={"epsilon": epsilon, "axis": axes[0]})]


def match_bias(graph: Graph) -> Graph:
    """Give a convolution or a matrix product its bias.

    Before   Conv2D(x, w) -> BiasAdd(b)
    After    Conv2D(x, w, b)
    """
    fixed = constants(graph)
    found = []
    for node in graph.nodes.values():
        for product, bias in _orders(node) if node.op in _ADD and node.name not in fixed else ():
            source = graph.producer(product)
            if source.op not in PRODUCTS or len(source.inputs) != 2 or node_of(bias) not in fixed:
                continue
            if graph.read_once(product) and _fits_channels(graph, fixed, source, bias):
                attrs = {**source.attrs, "scope": source.name}
                found.append(replace(source, name=node.name, inputs=(*source.inputs, bias), attrs=attrs))
    return prune(graph.with_nodes(found))


def _fits_channels(graph: Graph, fixed: frozenset[str], product: Node, bias: str) -> bool:
    if node_of(product.inputs[1]) not in fixed:
        return False
    weights, value = constant_value(graph, product.inputs[1]).shape, constant_value(graph, bias)
    if len(weights) != (2 if product.op == "MatMul" else 4):
        return False
    wide = weights[-1] * weights[-2] if product.op == "DepthwiseConv2dNative" else weights[-1]
    wide = weights[0] if product.op == "MatMul" and product.attrs.get("transpose_b") else wide
    return value.size == wide and value.shape[-1:] == (wide,)


def match_weighted_sum(graph: Graph) -> Graph:
    """Make sums and differences of tensors one operation, which takes in a constant factor of a term.

    Before   a + 0.17 * b
    After    WeightedSum(a, b), coefficients (1, 0.17)
    """
    fixed = constants(graph)
    found = []
    for node in graph.nodes.values():
        if node.op not in ("Add", "AddV2", "AddN", "Sub") or any(node_of(tensor) in fixed for tensor in node.inputs):
            continue
        signs = (1.0, -1.0) if node.op == "Sub" else (1.0,) * len(node.inputs)
        terms = [_term(graph, fixed, tensor) for tensor in node.inputs]
        coefficients = tuple(sign * factor for sign, (_, factor) in zip(signs, terms, strict=True))
        operands = tuple(tensor for tensor, _ in terms)
        found.append(Node(node.name, "WeightedSum", operands, attrs={"coefficients": coefficients}))
    return prune(graph.with_nodes(found))


def _term(graph: Graph, fixed: frozenset[str], tensor: str) -> tuple[str, float]:
    node = graph.producer(tensor)
    if node.op != "Mul" or not graph.read_once(tensor):
        return tensor, 1.0
    for inner, factor in _orders(node):
        if node_of(factor) in fixed and node_of(inner) not in fixed:
            value = constant_value(graph, factor)
            if value.size == 1:
                return inner, float(value.reshape(()))
    return tensor, 1.0


def merge_padding(graph: Graph) -> Graph:
    """Move the zeros that a Pad node adds into the convolution behind it.

    Before   Pad(x) -> Conv2D (VALID)
    After    x -> Conv2D (EXPLICIT)
    """
    fixed = constants(graph)
    found = []
    for node in graph.nodes.values():
        if node.op not in ("Conv2D", "DepthwiseConv2dNative") or node.attrs.get("padding") != b"VALID":
            continue
        pad = graph.producer(node.inputs[0])
        if pad.op != "Pad" or node_of(pad.inputs[1]) not in fixed:
            continue
        amounts = constant_value(graph, pad.inputs[1])
        if amounts.shape == (4, 2) and not amounts[[0, 3]].any():
            attrs = {**node.attrs, "padding": b"EXPLICIT", "explicit_paddings": tuple(int(n) for n in amounts.ravel())}
            found.append(replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), attrs=attrs))
    return prune(graph.with_nodes(found))


def _orders(node: Node) -> Iterator[tuple[str, str]]:
    """Return both orders of a node's two operands, or nothing for another number of operands."""
    if len(node.inputs) == 2:
        yield node.inputs[0], node.inputs[1]
        yield node.inputs[1], node.inputs[0]

"""Run a TensorFlow graph in NumPy, `Switch` and `Merge` included."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from faceall.convert.graph import Graph, Node, needed_nodes, node_of, ordered, split_tensor
from faceall.convert.operations import OPERATIONS
from faceall.errors import FaceallError, UnsupportedGraphError
from faceall.types import Array


def evaluate(
    graph: Graph, feeds: Mapping[str, Array], *, keep: Collection[str] | None = None, partly: bool = False
) -> dict[str, Array]:
    """Compute the graph's output for `feeds`, tensor -> array; pictures are (N, H, W, C) float32.

    keep     tensors to return beside the output; None returns every one, at the price of their memory
    partly   leave out what depends on an operation that the evaluator does not know, where this is an error otherwise

    Branches that are not taken are not run: what a `Switch` holds back, and all that reads it, has no value.
    Raises UnsupportedGraphError at an operation that the evaluator does not know or that fails.
    """

    def needs(node: Node) -> tuple[str, ...]:
        return () if node.name in feeds else _needs(node)

    nodes = ordered(graph, needs)
    last_reader = {other: number for number, node in enumerate(nodes) for other in needs(node)}
    wanted = None if keep is None else {*keep, graph.output}
    values: dict[str, Array] = {}
    dead: set[str] = set()
    result: dict[str, Array] = {}
    for number, node in enumerate(nodes):
        for tensor, value in _outputs(node, values, dead, feeds, partly).items():
            values[tensor] = value
            if wanted is None or tensor in wanted:
                result[tensor] = value
        for other in needs(node):
            if last_reader[other] == number:
                values.pop(other, None)
                values.pop(f"{other}:1", None)
    return result


def _needs(node: Node) -> tuple[str, ...]:
    """What a node waits for; a control edge matters only to a constant, which lives in the branch of that edge."""
    return needed_nodes(node) if not node.inputs else tuple(node_of(tensor) for tensor in node.inputs)


def _outputs(
    node: Node, values: Mapping[str, Array], dead: set[str], feeds: Mapping[str, Array], partly: bool
) -> dict[str, Array]:
    if node.name in feeds:
        return {node.name: feeds[node.name]}
    if node.op in ("Merge", "RefMerge"):
        return _merge(node, values, dead)
    if any(_is_dead(tensor, dead) for tensor in (node.inputs or node.controls)):
        dead.add(node.name)
        return {}
    if any(tensor not in values for tensor in node.inputs):
        return _refuse(node, "reads an output that faceall does not compute", partly)
    if node.op in ("Switch", "RefSwitch"):
        return _switch(node, values, dead)
    if node.op in ("NoOp", "Assert"):
        return {}
    if node.op not in OPERATIONS:
        return _refuse(node, "has no counterpart in the evaluator", partly)
    try:
        with np.errstate(all="ignore"):
            return {node.name: OPERATIONS[node.op](node, [values[tensor] for tensor in node.inputs])}
    except (ValueError, IndexError, KeyError, TypeError, FaceallError) as error:
        return _refuse(node, f"cannot be computed: {error}", partly)


def _refuse(node: Node, reason: str, partly: bool) -> dict[str, Array]:
    if partly:
        return {}
    raise UnsupportedGraphError(f"node '{node.name}' ({node.op}) {reason}")


def _is_dead(tensor: str, dead: set[str]) -> bool:
    """Whether `tensor` lies in a branch not taken; `dead` holds whole nodes, and single outputs as "NODE:0"."""
    name, number = split_tensor(tensor)
    return name in dead or f"{name}:{number}" in dead


def _switch(node: Node, values: Mapping[str, Array], dead: set[str]) -> dict[str, Array]:
    data, taken = node.inputs[0], bool(values[node.inputs[1]])
    dead.add(f"{node.name}:{0 if taken else 1}")
    return {f"{node.name}:1" if taken else node.name: values[data]}


def _merge(node: Node, values: Mapping[str, Array], dead: set[str]) -> dict[str, Array]:
    for number, tensor in enumerate(node.inputs):
        if tensor in values:
            return {node.name: values[tensor], f"{node.name}:1": np.asarray(number, np.int32)}
    if all(_is_dead(tensor, dead) for tensor in node.inputs):
        dead.add(node.name)
    return {}

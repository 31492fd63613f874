"""Replace variables by constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from faceall.convert.tensorflow.graph import Graph, Node, constant, data_nodes, node_of, split_tensor
from faceall.errors import NetFormatError
from faceall.types import Array

_VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
_READS = ("ReadVariableOp", "RefIdentity")
_ASSIGNMENTS = ("Assign", "AssignVariableOp")


def freeze(graph: Graph, variables: Mapping[str, Array], outputs: Iterable[str], *, strict: bool = True) -> Graph:
    """Replace variables by constants, as far as the tensors `outputs` need them.

    Before   VariableV2 -> Identity -> Conv2D;   VarHandleOp -> ReadVariableOp -> Conv2D
    After    Const -> Identity -> Conv2D

    Raises
    ------
    NetFormatError
        If a needed variable is missing and `strict` is set; otherwise it stays a variable.
    """
    keys = _keys(graph)
    graph = clamp_inside(graph)
    changed: list[Node] = []
    for node in _needed(graph, outputs):
        if node.op in _VARIABLES:
            key = _key(node, keys, variables)
            if key is not None:
                changed.append(constant(node.name, variables[key]))
            elif strict:
                raise NetFormatError(f"the graph reads the variable '{node.name}', which the checkpoint does not hold")
        elif node.op in _READS:
            changed.append(replace(node, op="Identity", inputs=node.inputs[:1]))
    return graph.with_nodes(changed)


def clamp_inside(graph: Graph) -> Graph:
    """Rewrite an upper bound of an inverse length as a lower bound of the squared length.

    Before   Rsqrt(s) -> Minimum(1 / e)
    After    Maximum(s, e * e) -> Rsqrt
    """
    changed: list[Node] = []
    for node in graph.nodes.values():
        if node.op == "Minimum" and len(node.inputs) == 2:
            root, bound = (graph.producer(tensor) for tensor in node.inputs)
            limit = np.asarray(bound.attrs.get("value", 0.0), np.float64)
            if root.op == "Rsqrt" and bound.op == "Const" and limit.size == 1 and limit.min() > 0:
                floor = constant(f"{node.name}/floor", (1 / limit**2).astype(np.float32))
                clamped = Node(f"{node.name}/Maximum", "Maximum", (root.inputs[0], floor.name))
                changed += [floor, clamped, replace(node, op="Rsqrt", inputs=(clamped.name,))]
    return graph.with_nodes(changed)


def _needed(graph: Graph, outputs: Iterable[str]) -> list[Node]:
    """Return the nodes whose values the outputs depend on; what feeds the node `input` does not count."""
    waiting = [node_of(tensor) for tensor in outputs]
    seen = set(waiting)
    for name in waiting:  # grows while it is walked
        above = [] if name == "input" else [other for other in data_nodes(graph.nodes[name]) if other not in seen]
        seen.update(above)
        waiting += dict.fromkeys(above)
    return [graph.nodes[name] for name in waiting]


def _key(node: Node, keys: Mapping[str, str], variables: Mapping[str, Array]) -> str | None:
    """Return a variable's name in the checkpoint: as the graph restores it, or its own name."""
    shared = node.attrs.get("shared_name")
    names = (keys.get(node.name), node.name, shared.decode("utf-8", "replace") if isinstance(shared, bytes) else None)
    return next((name for name in names if name is not None and name in variables), None)


def _keys(graph: Graph) -> dict[str, str]:
    """Return each variable's name in the checkpoint, as the restoring part of the graph has it.

    RestoreV2(names)[number] -> Identity -> Assign(variable); a variable that another starts from is the same one.
    """
    found, starts = {}, {}
    for node in graph.nodes.values():
        if node.op in _ASSIGNMENTS and len(node.inputs) > 1:
            variable, tensor = node_of(node.inputs[0]), node.inputs[1]
            name = _restored_name(graph, tensor)
            value = graph.producer(tensor)
            if name is not None:
                found[variable] = name
            elif value.op in _READS and value.inputs:
                starts[node_of(value.inputs[0])] = variable
    return {start: found[other] for start, other in starts.items() if other in found} | found


def _restored_name(graph: Graph, tensor: str) -> str | None:
    node = graph.producer(tensor)
    for _ in range(4):
        if node.op != "Identity" or not node.inputs:
            break
        tensor = node.inputs[0]
        node = graph.producer(tensor)
    if node.op != "RestoreV2" or len(node.inputs) < 2:
        return None
    names = np.ravel(graph.producer(node.inputs[1]).attrs.get("value", np.zeros(0, object)))
    number = split_tensor(tensor)[1]
    name = names[number] if number < len(names) else None
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else None

"""Reduce a training graph to the part that computes the result: passes `Graph -> Graph`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.graph import (
    Graph,
    Node,
    constant,
    data_nodes,
    node_of,
    ordered,
    split_tensor,
    substitute,
)
from faceall.convert.tensorflow.operations import OPERATIONS
from faceall.convert.tensorflow.schema import BOOL
from faceall.errors import UnsupportedGraphError
from faceall.types import Array

Pass: TypeAlias = Callable[[Graph], Graph]

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
_PASS_THROUGH = ("Identity", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot", "PlaceholderWithDefault")
_RANDOM = ("RandomUniform", "RandomStandardNormal", "StatelessRandomUniform", "TruncatedNormal")
_TRAINING_FLAGS = ("phase_train", "is_training", "training", "keras_learning_phase", "learning_phase")


def cut_above_input(graph: Graph) -> Graph:
    """Replace the input node by a placeholder of the images' shape, if that is known.

    Before   FIFOQueue -> QueueDequeue -> input (Identity) -> Conv2D
    After    input (Placeholder) -> Conv2D
    """
    shape = _image_shape(graph)
    return graph.with_nodes([Node(graph.input, "Placeholder", attrs={"dtype": 1, "shape": shape})])


def _image_shape(graph: Graph) -> tuple[int, ...] | None:
    """Return (H, W, C) as declared by the nearest queue or placeholder at or above the input, or None."""
    waiting, seen = [graph.input], {graph.input}
    for name in waiting:  # grows while it is walked: breadth first
        node = graph.nodes[name]
        queued = [shape for shape in node.attrs.get("shapes", ()) if shape and len(shape) == 3]
        batches = [node.attrs.get("shape"), *node.attrs.get("_output_shapes", ())]
        found = queued + [shape[1:] for shape in batches if isinstance(shape, tuple) and len(shape) == 4]
        if found:
            return tuple(found[0])
        above = [other for other in data_nodes(node) if other not in seen] if _only_feeds(node) else []
        seen.update(above)
        waiting += above
    return None


def _only_feeds(node: Node) -> bool:
    """Return whether a node hands images on without changing their size."""
    return node.op in _PASS_THROUGH or any(word in node.op for word in ("Queue", "Iterator", "Placeholder"))


def prune(graph: Graph) -> Graph:
    """Keep what the output waits for.

    Before   a -> output, a -> loss, readers -> queue
    After    a -> output
    """
    return replace(graph, nodes={node.name: node for node in ordered(graph)})


def switch_training_off(graph: Graph) -> Graph:
    """Replace every training flag by the constant False: boolean placeholders, and constants with a flag's name.

    Before   phase_train (Placeholder, PlaceholderWithDefault or Const) -> Switch
    After    phase_train (Const False) -> Switch
    """
    off = np.array(False)
    return graph.with_nodes(constant(name, off) for name, node in graph.nodes.items() if _is_training_flag(graph, node))


def _is_training_flag(graph: Graph, node: Node) -> bool:
    if node.op in ("Placeholder", "PlaceholderV2"):
        return node.attrs.get("dtype") == BOOL
    if node.op == "PlaceholderWithDefault":
        default = np.asarray(graph.producer(node.inputs[0]).attrs.get("value", 0.0))
        return node.attrs.get("dtype") == BOOL or default.dtype == np.bool_
    if node.op == "Const" and node.name.rpartition("/")[2] in _TRAINING_FLAGS:
        value = np.asarray(node.attrs["value"])
        return value.dtype == np.bool_ and value.size == 1
    return False


def resolve_switches(graph: Graph) -> Graph:
    """Keep the branch that is taken.

    Before   x, False -> Switch -> (0) inference -> Merge -> y
                                -> (1) training  ->
    After    x -> inference -> y

    A branch is dead where its `Switch` output, or the control edge of a constant in it, is; the predicate is followed
    through Identity, logic and other switches. A `Switch` whose predicate is no constant stays.

    Raises
    ------
    UnsupportedGraphError
        If the output depends on the branch of training.
    """
    resolver = _Resolver()
    for node in ordered(graph):
        resolver.visit(node)
    if resolver.is_dead(graph.output):
        raise UnsupportedGraphError(f"the output '{graph.output}' lies in a branch that only training takes")
    live = {name: node for name, node in graph.nodes.items() if name not in resolver.dead}
    return prune(substitute(replace(graph, nodes={**live, **resolver.changed}), resolver.aliases))


class _Resolver:
    """The results of visiting nodes in topological order."""

    def __init__(self) -> None:
        self.flags: dict[str, bool] = {}
        """Tensor -> its value, for tensors that can be a predicate."""
        self.dead: set[str] = set()
        """Dead nodes, and dead single outputs as "NODE:0"."""
        self.aliases: dict[str, str] = {}
        self.changed: dict[str, Node] = {}

    def visit(self, node: Node) -> None:
        if node.op in ("Merge", "RefMerge"):
            self._merge(node)
        elif any(self.is_dead(tensor) for tensor in (*node.inputs, *node.controls)):
            self.dead.add(node.name)
        elif node.op in ("Switch", "RefSwitch"):
            self._switch(node)
        else:
            self._note_flag(node)

    def is_dead(self, tensor: str) -> bool:
        """Return whether `tensor` lies in a branch that is not taken."""
        name, number = split_tensor(tensor)
        return name in self.dead or f"{name}:{number}" in self.dead

    def _switch(self, node: Node) -> None:
        data, predicate = node.inputs
        if predicate not in self.flags:
            return
        taken = self.flags[predicate]
        live, lost = (f"{node.name}:1", f"{node.name}:0") if taken else (node.name, f"{node.name}:1")
        self.dead.add(lost)
        self._alias(live, data)

    def _merge(self, node: Node) -> None:
        live = [number for number, tensor in enumerate(node.inputs) if not self.is_dead(tensor)]
        if not live:
            self.dead.add(node.name)
        elif len(live) == 1:
            self._alias(node.name, node.inputs[live[0]])
            index = constant(f"{node.name}/value_index", np.array(live[0], np.int32))
            self.changed[index.name] = index
            self.aliases[f"{node.name}:1"] = index.name
        else:  # no branch is known to be taken: it stays, and is refused later by its name
            self.changed[node.name] = replace(node, inputs=tuple(node.inputs[number] for number in live))

    def _alias(self, tensor: str, target: str) -> None:
        self.aliases[tensor] = target
        if target in self.flags:
            self.flags[tensor] = self.flags[target]

    def _note_flag(self, node: Node) -> None:
        known = [self.flags[tensor] for tensor in node.inputs if tensor in self.flags]
        if node.op == "Const":
            value = np.asarray(node.attrs["value"])
            if value.dtype == np.bool_ and value.size == 1:
                self.flags[node.name] = bool(value.reshape(()))
        elif known and len(known) == len(node.inputs) and node.op in _LOGIC:
            self.flags[node.name] = _LOGIC[node.op](known)


_LOGIC: dict[str, Callable[[list[bool]], bool]] = {
    "Identity": lambda values: values[0],
    "LogicalAnd": all,
    "LogicalNot": lambda values: not values[0],
    "LogicalOr": any,
}


def drop_control_edges(graph: Graph) -> Graph:
    """Remove nodes that only have to run beside the result, as the updates of moving averages.

    Before   ^AssignMovingAvg -> y
    After    y
    """
    nodes = {name: replace(node, controls=()) for name, node in graph.nodes.items()}
    return prune(replace(graph, nodes=nodes))


def drop_identities(graph: Graph) -> Graph:
    """Read through operations that hand on their operand.

    Before   weights (Const) -> read (Identity) -> Conv2D
    After    weights (Const) -> Conv2D
    """
    aliases = {
        name: node.inputs[0]
        for name, node in graph.nodes.items()
        if node.op in _PASS_THROUGH and node.inputs and name != graph.input
    }
    return prune(substitute(graph, aliases))


def drop_dropout(graph: Graph) -> Graph:
    """Remove dropout that does not depend on a training flag.

    Before   x -> RealDiv(keep) -> Mul <- Floor <- Add(keep) <- RandomUniform
    After    x
    """
    aliases = {}
    for name, node in graph.nodes.items():
        if node.op != "Mul":
            continue
        for scaled, mask in (node.inputs, node.inputs[::-1]):
            source = graph.producer(scaled)
            if source.op in ("Mul", "RealDiv", "Div") and _is_random_mask(graph, mask):
                aliases[name] = _not_constant(graph, source.inputs)
    return prune(substitute(graph, aliases))


def _is_random_mask(graph: Graph, tensor: str) -> bool:
    node = graph.producer(tensor)
    if node.op not in ("Floor", "Cast"):
        return False
    view = ordered(replace(graph, output=tensor), lambda n: () if n.op == "Shape" else data_nodes(n))
    return any(other.op in _RANDOM for other in view)


def _not_constant(graph: Graph, tensors: tuple[str, ...]) -> str:
    return next((tensor for tensor in tensors if graph.producer(tensor).op != "Const"), tensors[0])


def fold_constants(graph: Graph) -> Graph:
    """Compute what depends on constants alone.

    Before   gamma (Const) -> Mul <- Rsqrt <- variance (Const)
    After    Const
    """
    fixed = constants(graph)
    needed = {node_of(tensor) for node in graph.nodes.values() if node.name not in fixed for tensor in node.inputs}
    folded = [
        constant(name, constant_value(graph, name))
        for name in sorted((needed | {node_of(graph.output)}) & fixed)
        if graph.nodes[name].op != "Const"
    ]
    return prune(graph.with_nodes(folded))


def constants(graph: Graph) -> frozenset[str]:
    """Return the names of the nodes that depend on constants alone."""
    found: set[str] = set()
    for node in ordered(graph, data_nodes):
        fixed = node.inputs and node.op in OPERATIONS and all(node_of(tensor) in found for tensor in node.inputs)
        if node.op == "Const" or fixed:
            found.add(node.name)
    return frozenset(found)


def constant_value(graph: Graph, tensor: str) -> Array:
    """Return the value of a tensor that depends on constants alone."""
    view = replace(graph, output=tensor)
    return evaluate(view, {}, keep=())[tensor]

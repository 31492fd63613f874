"""Run a TensorFlow graph in NumPy, `Switch` and `Merge` included."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from faceall.convert.budget import charge
from faceall.convert.tensorflow.cost import cost
from faceall.convert.tensorflow.graph import Graph, Node, needed_nodes, node_of, ordered, split_tensor
from faceall.convert.tensorflow.operations import OPERATIONS
from faceall.errors import FaceallError, UnsupportedGraphError
from faceall.types import Array


def evaluate(
    graph: Graph, feeds: Mapping[str, Array], *, keep: Collection[str] | None = None, partly: bool = False
) -> dict[str, Array]:
    """Compute the graph's output for `feeds`, tensor -> array; images are (N, H, W, C) float32.

    Branches that are not taken are not run: the closed side of a `Switch`, and everything that depends on it, has no
    value. The same holds for operations that the evaluator does not know; that is an error only if the output depends
    on them, so a graph may still contain training code.

    Parameters
    ----------
    keep : Collection[str], optional
        Tensors to return beside the output; None returns every one, which needs memory for all.
    partly : bool
        Return what can be computed if the output cannot, instead of raising an error.

    Raises
    ------
    UnsupportedGraphError
        The message names the operation that prevents the output.
    """

    def needs(node: Node) -> tuple[str, ...]:
        return () if node.name in feeds else _needs(node)

    nodes = ordered(graph, needs)
    last_reader = {other: number for number, node in enumerate(nodes) for other in needs(node)}
    run = _Run(feeds)
    result: dict[str, Array] = {}
    for number, node in enumerate(nodes):
        made = run.step(node)
        result |= {t: value for t, value in made.items() if keep is None or t in keep or t == graph.output}
        for other in needs(node):
            if last_reader[other] == number:
                run.forget(other)
    if graph.output not in result and not partly:
        reason = run.problems.get(node_of(graph.output), f"'{graph.output}' lies in a branch that is not taken")
        raise UnsupportedGraphError(reason)
    return result


def _needs(node: Node) -> tuple[str, ...]:
    """Return the nodes that must run before; control edges matter only for a constant, which is in their branch."""
    return needed_nodes(node) if not node.inputs else tuple(node_of(tensor) for tensor in node.inputs)


class _Run:
    """The state while a graph runs in order."""

    def __init__(self, feeds: Mapping[str, Array]) -> None:
        self.values: dict[str, Array] = dict(feeds)
        self.feeds = feeds
        self.dead: set[str] = set()
        """Nodes in branches not taken, and single outputs as "NODE:0"."""
        self.problems: dict[str, str] = {}
        """Node -> why it has no value."""

    def step(self, node: Node) -> dict[str, Array]:
        """Run one node; its outputs by tensor."""
        made = {node.name: self.feeds[node.name]} if node.name in self.feeds else self._outputs(node)
        self.values |= made
        return made

    def forget(self, name: str) -> None:
        """Free what nothing will read."""
        self.values.pop(name, None)
        self.values.pop(f"{name}:1", None)

    def _outputs(self, node: Node) -> dict[str, Array]:
        if node.op in ("Merge", "RefMerge"):
            return self._merge(node)
        if any(self._is_dead(tensor) for tensor in (node.inputs or node.controls)):
            self.dead.add(node.name)
            return {}
        if node.op in ("Switch", "RefSwitch") and node.inputs[1] in self.values:
            return self._switch(node)
        missing = next((tensor for tensor in node.inputs if tensor not in self.values), None)
        if missing is not None:
            reason = f"node '{node.name}' ({node.op}) reads '{missing}', which faceall does not compute"
            self.problems[node.name] = self.problems.get(node_of(missing), reason)
            return {}
        return self._compute(node)

    def _compute(self, node: Node) -> dict[str, Array]:
        if node.op not in OPERATIONS:
            self.problems[node.name] = f"node '{node.name}' ({node.op}) has no counterpart in the evaluator"
            return {}
        try:
            operands = [self.values[tensor] for tensor in node.inputs]
            numbers, steps = cost(node, operands)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            self.problems[node.name] = f"node '{node.name}' ({node.op}) cannot be computed: {error}"
            return {}
        charge(size=numbers * max((part.dtype.itemsize for part in operands), default=0), parts=steps)
        try:
            with np.errstate(all="ignore"):
                return {node.name: OPERATIONS[node.op](node, operands)}
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            TypeError,
            ValueError,
            FaceallError,
        ) as error:
            self.problems[node.name] = f"node '{node.name}' ({node.op}) cannot be computed: {error}"
            return {}

    def _is_dead(self, tensor: str) -> bool:
        name, number = split_tensor(tensor)
        return name in self.dead or f"{name}:{number}" in self.dead

    def _switch(self, node: Node) -> dict[str, Array]:
        data, taken = node.inputs[0], bool(self.values[node.inputs[1]].all())
        self.dead.add(f"{node.name}:{0 if taken else 1}")
        if data in self.values:
            return {f"{node.name}:1" if taken else node.name: self.values[data]}
        self.problems[node.name] = self.problems.get(node_of(data), f"'{data}' has no value")
        return {}

    def _merge(self, node: Node) -> dict[str, Array]:
        live = [number for number, tensor in enumerate(node.inputs) if not self._is_dead(tensor)]
        if not live:
            self.dead.add(node.name)
        elif node.inputs[live[0]] in self.values:
            index = np.asarray(live[0], np.int32)
            return {node.name: self.values[node.inputs[live[0]]], f"{node.name}:1": index}
        else:
            self.problems[node.name] = self.problems.get(node_of(node.inputs[live[0]]), f"'{node.name}' has no value")
        return {}

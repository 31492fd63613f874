"""`Graph`: a TensorFlow graph in memory, and functions that traverse it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from faceall.convert.budget import charge
from faceall.errors import UnsupportedGraphError
from faceall.types import Array

DEPTH_LIMIT = 12
"""The largest number of nodes that the pattern matchers go back."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Parameters
    ----------
    name : str
        Unique in its graph, as "InceptionResnetV1/Conv2d_1a_3x3/Conv2D".
    op : str
        TensorFlow's operation, as "Conv2D".
    inputs : tuple[str, ...]
        The tensors that it reads: "NODE" for the first output of a node, "NODE:2" for a later one.
    controls : tuple[str, ...]
        The nodes that have to run before it.
    attrs : Mapping[str, Any]
        Its attributes as plain values; tensors are arrays, shapes tuples (-1 unknown) or None (unknown rank).
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph and its boundary.

    Parameters
    ----------
    nodes : Mapping[str, Node]
        By name, in the order of the file.
    input : str
        The node that holds the images, (N, H, W, C); empty until it is chosen.
    output : str
        The tensor that holds the result; empty until it is chosen.
    """

    nodes: Mapping[str, Node]
    input: str = ""
    output: str = ""

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        """Node name -> the nodes that read one of its outputs, once for each time they do."""
        found: dict[str, list[Node]] = {name: [] for name in self.nodes}
        for node in self.nodes.values():
            for tensor in node.inputs:
                found[node_of(tensor)].append(node)
        return found

    def producer(self, tensor: str) -> Node:
        """Return the node that writes `tensor`."""
        return self.nodes[node_of(tensor)]

    def read_once(self, tensor: str) -> bool:
        """Return whether exactly one operand anywhere reads `tensor`'s node, and it is not the result."""
        return len(self.readers[node_of(tensor)]) == 1 and node_of(self.output) != node_of(tensor)

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """Return the same graph with `nodes` added, or put in the place of those of the same name."""
        return replace(self, nodes={**self.nodes, **{node.name: node for node in nodes}})


def split_tensor(tensor: str) -> tuple[str, int]:
    """Return the node's name and the number of its output: "a/b:1" -> ("a/b", 1)."""
    name, colon, number = tensor.rpartition(":")
    return (name, int(number)) if colon and number.isdigit() else (tensor, 0)


def node_of(tensor: str) -> str:
    """Return the name of the node that writes `tensor`."""
    return split_tensor(tensor)[0]


def constant(name: str, value: Array) -> Node:
    """Return a Const node."""
    return Node(name, "Const", attrs={"value": value})


def substitute(graph: Graph, aliases: Mapping[str, str]) -> Graph:
    """Read `aliases[tensor]` wherever `tensor` is read, through chains of aliases.

    Raises
    ------
    UnsupportedGraphError
        If aliases lead back to themselves.
    """
    ends: dict[str, str] = {}

    def final(tensor: str) -> str:
        chain = []
        while tensor in aliases and tensor not in ends:
            chain.append(tensor)
            tensor = aliases[tensor]
            if len(chain) > len(aliases):
                raise UnsupportedGraphError(f"the graph has a cycle through node '{node_of(tensor)}'")
        end = ends.get(tensor, tensor)
        ends.update(dict.fromkeys(chain, end))
        return end

    nodes = {
        name: replace(node, inputs=tuple(final(tensor) for tensor in node.inputs)) for name, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes, output=final(graph.output))


def needed_nodes(node: Node) -> tuple[str, ...]:
    """Return the names of all nodes that must run before `node`, by data and control edges."""
    return (*(node_of(tensor) for tensor in node.inputs), *node.controls)


def data_nodes(node: Node) -> tuple[str, ...]:
    """Return the names of the nodes whose values `node` reads."""
    return tuple(node_of(tensor) for tensor in node.inputs)


def ordered(graph: Graph, needs: Callable[[Node], tuple[str, ...]] = needed_nodes) -> list[Node]:
    """Return the nodes that the output needs, each after those that it needs itself.

    Raises
    ------
    UnsupportedGraphError
        If the graph has a cycle.
    """
    done: set[str] = set()
    open_nodes: set[str] = set()
    result: list[Node] = []
    stack = [node_of(graph.output)]
    while stack:
        name = stack[-1]
        if name in done:
            stack.pop()
            continue
        node = graph.nodes[name]
        waiting = [other for other in needs(node) if other not in done]
        if not waiting:
            stack.pop()
            done.add(name)
            open_nodes.discard(name)
            result.append(node)
            charge(parts=1 + len(node.inputs))
            continue
        if name in open_nodes:
            raise UnsupportedGraphError(
                f"the graph has a cycle through node '{name}'; only graphs without cycles convert"
            )
        open_nodes.add(name)
        _refuse_cycle(waiting, open_nodes)
        stack += reversed(waiting)
    return result


def _refuse_cycle(waiting: list[str], open_nodes: set[str]) -> None:
    for other in waiting:
        if other in open_nodes:
            raise UnsupportedGraphError(
                f"the graph has a cycle through node '{other}'; only graphs without cycles convert"
            )

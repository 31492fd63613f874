"""The order of the passes, and the search for a graph's boundary."""

from __future__ import annotations

from dataclasses import replace

from faceall.convert.tensorflow.graph import Graph, Node, node_of
from faceall.convert.tensorflow.passes import (
    PLACEHOLDERS,
    Pass,
    cut_above_input,
    drop_control_edges,
    drop_dropout,
    drop_identities,
    fold_constants,
    prune,
    resolve_switches,
    switch_training_off,
)
from faceall.convert.tensorflow.patterns import (
    match_batch_norm,
    match_bias,
    match_normalise,
    match_prelu,
    match_weighted_sum,
    merge_padding,
)
from faceall.convert.tensorflow.schema import BOOL
from faceall.errors import UnsupportedGraphError

BOUND: tuple[Pass, ...] = (
    cut_above_input,  # first: what feeds the images must not be considered
    prune,
    switch_training_off,
    drop_dropout,  # here, as what is random has no value that could be compared
)
"""The passes from a file's graph to the graph that the evaluator runs."""

SIMPLIFY: tuple[Pass, ...] = (
    resolve_switches,  # needs the control edges: they say in which branch a constant lives
    drop_control_edges,
    drop_identities,  # hides the pairs that the next passes look for
    match_batch_norm,  # before constants are folded: it wants mean and variance, not their product
    match_prelu,  # before sums are matched: it is a sum
    match_normalise,
    fold_constants,
    merge_padding,
    match_bias,  # before sums are matched: it is a sum with a constant
    match_weighted_sum,
)
"""The passes from there to one node per layer."""


def bind(graph: Graph, *, input: str | None = None, output: str | None = None) -> Graph:
    """Choose the boundary and keep what lies between, with training switched off.

    Parameters
    ----------
    input : str, optional
        The node that holds the images; None takes `input`, or else the only placeholder that can be images.
    output : str, optional
        The node that holds the result; None takes `embeddings`, or else the only node that nothing reads.

    Raises
    ------
    UnsupportedGraphError
        If there is no such node, or not exactly one. The message lists the candidates.
    """
    result = _existing(graph, output, "output") if output else _find_output(graph)
    source = _existing(graph, input, "input") if input else _find_input(graph)
    return run(replace(graph, input=node_of(source), output=result), BOUND)


def run(graph: Graph, passes: tuple[Pass, ...]) -> Graph:
    """Apply `passes` in their order."""
    for step in passes:
        graph = step(graph)
    return graph


def _existing(graph: Graph, name: str, what: str) -> str:
    tensor = name.removesuffix(":0")
    if node_of(tensor) not in graph.nodes:
        likely = [node.name for node in graph.nodes.values() if node.op in PLACEHOLDERS]
        likely = likely if what == "input" else _ends(graph)
        raise UnsupportedGraphError(f"the graph has no node '{name}' for its {what}; candidates: {_listed(likely)}")
    return tensor


def _find_input(graph: Graph) -> str:
    if "input" in graph.nodes:
        return "input"
    found = [node.name for node in graph.nodes.values() if _can_be_images(node)]
    if len(found) != 1:
        raise UnsupportedGraphError(
            f"the graph has no node 'input' and {len(found)} placeholders that could hold images; "
            f"name one with --input; candidates: {_listed(found)}"
        )
    return found[0]


def _can_be_images(node: Node) -> bool:
    if node.op not in PLACEHOLDERS or node.attrs.get("dtype") == BOOL:
        return False
    shape = node.attrs.get("shape")
    return not shape or len(shape) == 4


def _find_output(graph: Graph) -> str:
    if "embeddings" in graph.nodes:
        return "embeddings"
    ends = _ends(graph)
    if len(ends) != 1:
        raise UnsupportedGraphError(
            f"the graph has no node 'embeddings' and {len(ends)} nodes that nothing reads; "
            f"name one with --output-node; candidates: {_listed(ends)}"
        )
    return ends[0]


def _ends(graph: Graph) -> list[str]:
    """Return the nodes that nothing reads and that compute something."""
    waited_for = {name for node in graph.nodes.values() for name in node.controls}
    return [
        name
        for name, node in graph.nodes.items()
        if not graph.readers[name] and name not in waited_for and node.inputs and node.op not in ("NoOp", "Assert")
    ]


def _listed(names: list[str], most: int = 8) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most]) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown

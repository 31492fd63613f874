"""Inline functions; TensorFlow 2 keeps the graph of a model in functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from faceall.convert.budget import charge, require_few_fields
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.tensorflow.schema import messages as graph_messages
from faceall.errors import NetFormatError, UnsupportedGraphError
from faceall.protobuf import Message

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_MOST_NODES = 200_000
_DEEPEST = 40
_LIBRARY: Any = {1: {1: {2: {}, 3: {}}, 4: {}}}  # function -> signature -> arguments; results

_NORM = ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3")
_OUTPUTS = {
    "FusedBatchNorm": _NORM,
    "FusedBatchNormV2": _NORM,
    "FusedBatchNormV3": _NORM,
    "Merge": ("output", "value_index"),
    "Switch": ("output_false", "output_true"),
}
"""The output names of operations with several outputs; a function's nodes refer to outputs by name."""


def inline_calls(graph_def: bytes) -> bytes:
    """Replace every call of a function by the function's nodes, named "CALL/NODE".

    Before   x -> StatefulPartitionedCall(f) -> y     f(a) = Relu(a)
    After    x -> StatefulPartitionedCall/Relu -> y

    A graph without calls is returned unchanged.

    Raises
    ------
    NetFormatError
        If the bytes are damaged.
    """
    try:
        require_few_fields(graph_def, {1: {5: {}}})
        graph = graph_messages()["GraphDef"].FromString(graph_def)
        if not any(node.op in _CALLS for node in graph.node):
            return graph_def
        require_few_fields(graph.library, _LIBRARY)
        library = messages()["FunctionDefLibrary"].FromString(graph.library)
        inliner = _Inliner({function.signature.name: function for function in library.function})
        for node in graph.node:
            inliner.add(node, 0)
        return bytes(inliner.finished().SerializeToString())
    except (DecodeError, ValueError, TypeError) as error:
        raise NetFormatError("the graph's functions are damaged") from error


class _Inliner:
    """A flat graph under construction."""

    def __init__(self, functions: Mapping[str, Message]) -> None:
        self.functions = functions
        self.graph = graph_messages()["GraphDef"]()
        self.results: dict[str, str] = {}
        """Result of a call, "CALL" or "CALL:1" -> its tensor."""
        self.calls: set[str] = set()
        self.added = 0

    def add(self, node: Message, depth: int) -> None:
        """Take over one node whose inputs are tensors of the whole graph."""
        self._count(node)
        name = node.attr["f"].func.name if node.op in _CALLS and "f" in node.attr else ""
        if name in self.functions:
            self._call(node.name, self.functions[name], [text for text in node.input if text[:1] != "^"], depth + 1)
        else:
            self.graph.node.add().CopyFrom(node)

    def _count(self, node: Message) -> None:
        """Count a node before it is added; calls count too, as a function may hold nothing but calls."""
        self.added += 1
        if self.added > _MOST_NODES:
            raise UnsupportedGraphError(
                f"the graph has more than {_MOST_NODES:,} nodes once its functions are unfolded"
            )
        charge(size=node.ByteSize(), parts=1 + len(node.input))

    def _call(self, call: str, function: Message, operands: Sequence[str], depth: int) -> None:
        if depth > _DEEPEST:
            raise UnsupportedGraphError(f"the graph's functions call each other without end, at '{call}'")
        self.calls.add(call)
        charge(
            size=sum(map(len, function.node_def)) + len(call) * len(function.node_def),
            parts=len(function.node_def) + len(function.signature.input_arg) + len(function.signature.output_arg),
        )
        body = [graph_messages()["NodeDef"].FromString(data) for data in function.node_def]
        operations = {node.name: node.op for node in body}
        arguments = dict(zip([item.name for item in function.signature.input_arg], operands, strict=False))

        def outside(text: str) -> str:
            if text in arguments:
                return str(arguments[text])
            if text.startswith("^"):
                return f"^{call}/{text[1:]}"
            name, output, number = (*text.split(":"), "", "0")[:3]
            names = _OUTPUTS.get(operations.get(name, ""), ())
            place = int(number or 0) + (names.index(output) if output in names else 0)
            return f"{call}/{name}:{place}" if place else f"{call}/{name}"

        for node in body:
            inputs = [outside(text) for text in node.input if text.removeprefix("^") not in arguments or text[0] != "^"]
            del node.input[:]
            node.input.extend(inputs)
            node.name = f"{call}/{node.name}"
            self.add(node, depth)
        for place, item in enumerate(function.signature.output_arg):
            self.results[f"{call}:{place}" if place else call] = outside(function.ret[item.name])

    def finished(self) -> Message:
        """Return the flat graph, with every result of a call read from its producer."""
        for node in self.graph.node:
            inputs = [self._final(text) for text in node.input if text[:1] != "^" or text[1:] not in self.calls]
            del node.input[:]
            node.input.extend(inputs)
        for call, tensor in self._kept_names():
            self.graph.node.add(name=call, op="Identity", input=[tensor])
        return self.graph

    def _kept_names(self) -> list[tuple[str, str]]:
        """Return the calls of the outermost graph, which keep their names because signatures refer to them."""
        return [(call, self._final(call)) for call in sorted(self.calls) if call in self.results]

    def _final(self, text: str) -> str:
        tensor = text.removesuffix(":0")
        for _ in range(_DEEPEST + 2):
            if tensor not in self.results:
                break
            tensor = self.results[tensor]
        return tensor

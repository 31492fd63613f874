"""Read an ONNX, OpenVINO IR or TFLite file and write its graph as an .npz: run as a process of its own.

python -m faceall.convert.sources.openvino.worker FILE RESULT SECONDS SIDE

The process ends itself after SECONDS of CPU time or above 3 GB. A free batch size becomes 1, a free height or width
SIDE. The result holds the constants "0", "1", ... and "graph", JSON with the nodes in their order of execution. A
damaged file ends the process with one line on stderr.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from faceall.caffe.engines.openvino import import_openvino

_MEMORY = 3 << 30
_MOST_NODES = 50_000
_LARGEST = 1 << 30


def _limit(seconds: int) -> None:
    """Allow less CPU time and memory than before; a stricter inherited limit stays."""
    if sys.platform == "win32":
        return
    import resource

    limits = {resource.RLIMIT_CPU: seconds}
    if sys.platform != "darwin":  # which refuses any limit of addresses
        limits[resource.RLIMIT_AS] = _MEMORY
    for kind, most in limits.items():
        soft, hard = resource.getrlimit(kind)
        stricter = [number for number in (soft, hard, most) if number != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(stricter), hard))


def _sizes(shape: Any) -> list[int]:
    """Return a partial shape as a list, -1 for a free size."""
    if shape.rank.is_dynamic:
        raise ValueError("an input or output has a free number of axes")
    return [-1 if size.is_dynamic else size.get_length() for size in shape]


def channels_last(sizes: list[int]) -> bool:
    """Return whether an input shape has its channels on the last axis."""
    return len(sizes) == 4 and sizes[3] in (1, 3) and sizes[1] not in (1, 3)


def _fix_sizes(model: Any, side: int) -> bool:
    """Give every input a fixed shape; return whether a height or width was free."""
    shapes, free = {}, False
    for entry in model.inputs:
        sizes = _sizes(entry.get_partial_shape())
        spatial = () if len(sizes) != 4 else (1, 2) if channels_last(sizes) else (2, 3)
        free = free or any(sizes[axis] < 0 for axis in spatial)
        defaults = [1 if axis == 0 else side if axis in spatial else 3 for axis in range(len(sizes))]
        shapes[entry] = [size if size > 0 else default for size, default in zip(sizes, defaults, strict=True)]
    model.reshape(shapes)
    return free


def _attributes(node: Any) -> dict[str, Any]:
    return {
        name: value for name, value in node.get_attributes().items() if isinstance(value, (bool, int, float, str, list))
    }


def _constant(node: Any) -> npt.NDArray[Any]:
    array = node.get_data() if hasattr(node, "get_data") else node.data
    if array.nbytes > _LARGEST:
        raise ValueError(f"a constant has {array.nbytes} bytes")
    return np.array(array)


def read(source: str, side: int) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read a file; return its graph as JSON values, and its constants by number.

    Raises
    ------
    ValueError
        If the graph has too many nodes.
    """
    openvino = import_openvino()
    from openvino.passes import ConstantFolding, Manager

    model = openvino.Core().read_model(source)
    free = _fix_sizes(model, side)
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    operations = model.get_ordered_ops()
    if len(operations) > _MOST_NODES:
        raise ValueError(f"the graph has {len(operations)} nodes")
    arrays: dict[str, npt.NDArray[Any]] = {}
    names: dict[Any, str] = {}
    nodes = []
    for number, node in enumerate(operations):
        key = names[node] = str(number)
        item: dict[str, Any] = {
            "key": key,
            "name": node.get_friendly_name(),
            "type": node.get_type_name(),
            "inputs": [_reference(port, names) for port in node.inputs()],
            "shapes": [_sizes(port.get_partial_shape()) for port in node.outputs()],
            "attributes": {} if node.get_type_name() == "Constant" else _attributes(node),
        }
        if item["type"] == "Constant":
            arrays[key] = _constant(node)
        nodes.append(item)
    inputs = [{"key": names[entry.get_node()], "name": _name(entry)} for entry in model.inputs]
    outputs = [
        {"value": _reference(node.input(0), names), "name": _name(node.input(0).get_source_output())}
        for node in model.get_results()
    ]
    return {"nodes": nodes, "inputs": inputs, "outputs": outputs, "free": free}, arrays


def _name(port: Any) -> str:
    """Return the file's name of a value."""
    names = sorted(port.get_names(), key=lambda name: (len(name), name))
    return str(names[0] if names else port.get_node().get_friendly_name())


def _reference(port: Any, names: dict[Any, str]) -> str:
    source = port.get_source_output()
    return f"{names[source.get_node()]}:{source.get_index()}"


def main(source: str, result: str, seconds: str, side: str) -> None:
    """Read `source`, write `result`."""
    _limit(int(seconds))
    graph, arrays = read(source, int(side))
    arrays["graph"] = np.frombuffer(json.dumps(graph).encode(), np.uint8)
    with open(result, "wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001  (OpenVINO has many; the parent needs one line)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        useful = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
        sys.exit(f"{type(error).__name__}: {(useful or lines or ['no reason'])[0]}")

"""Read an ONNX, OpenVINO IR or TFLite file and write its graph as an .npz: run as a process of its own.

python -m faceall.convert.sources.openvino.worker FILE RESULT SECONDS SIDE

The process ends itself after SECONDS of CPU time or above 2 GB. A free batch size becomes 1, a free height or width
SIDE. The result holds the constants "0", "1", ... and "graph", JSON with the nodes in their order of execution. A
damaged file ends the process with one line on stderr.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceall.caffe.engines.openvino import import_openvino, port_name

_MEMORY = 2 << 30
_MOST_NODES = 20_000
_MOST_NUMBERS = 1 << 24
"""The most numbers that a value has, for one image: what is derived from a value may have as many weights."""
_MOST_CONSTANT_NUMBERS = 1 << 27
"""The same for values that may turn out to be constants, whose total size is limited separately."""
_SPARE = 64 << 20
_GROWTH = 8
"""Constants may have 64 MB, and 8 times the size of the file, whose weights may be bytes or half precision."""


def _limit(seconds: int) -> None:
    """Allow less CPU time and memory than before; a stricter inherited limit stays."""
    if sys.platform == "win32":
        return
    import resource

    limits = {resource.RLIMIT_CPU: seconds}
    if sys.platform == "darwin":  # refuses any limit of addresses
        threading.Thread(target=_watch_memory, daemon=True).start()
    else:
        limits[resource.RLIMIT_AS] = _MEMORY
    for kind, most in limits.items():
        soft, hard = resource.getrlimit(kind)
        stricter = [number for number in (soft, hard, most) if number != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(stricter), hard))


def _watch_memory() -> None:
    """End the process when it has held too much memory; `ru_maxrss` is in bytes on macOS."""
    import resource

    while resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < _MEMORY:
        time.sleep(0.02)
    os.write(2, b"MemoryError: it takes more than 2 GB\n")
    os._exit(1)


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


class _Constants:
    """The constants of a graph, within a limit for all of them that follows from the size of the file.

    OpenVINO computes what depends on constants alone, so a file of 100 bytes may have constants of many gigabytes.
    """

    def __init__(self, source: str) -> None:
        files = [file for file in (Path(source), Path(source).with_suffix(".bin")) if file.is_file()]
        self._left = _SPARE + _GROWTH * sum(file.stat().st_size for file in files)
        self.arrays: dict[str, npt.NDArray[Any]] = {}

    def add(self, key: str, node: Any) -> None:
        """Copy a constant."""
        array = node.get_data() if hasattr(node, "get_data") else node.data
        self._left -= array.nbytes
        if self._left < 0:
            raise ValueError("its constants are much larger than the file")
        self.arrays[key] = np.array(array)


def _require_small(node: Any, shapes: list[list[int]], most: int = _MOST_NUMBERS) -> None:
    """Refuse a value that is too large to compute with; constants have a limit of their own."""
    largest = max((prod(shape) for shape in shapes), default=0)
    if largest > most and node.get_type_name() != "Constant":
        raise ValueError(f"'{node.get_friendly_name()[:80]}' has {largest:,} numbers, at most {most:,} are read")


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
    operations = model.get_ordered_ops()
    for node in operations:
        _require_small(node, [_sizes(port.get_partial_shape()) for port in node.outputs()], _MOST_CONSTANT_NUMBERS)
    if len(operations) > _MOST_NODES:
        raise ValueError(f"the graph has {len(operations):,} nodes, at most {_MOST_NODES:,} are read")
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    operations = model.get_ordered_ops()
    constants = _Constants(source)
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
            constants.add(key, node)
        _require_small(node, item["shapes"])
        nodes.append(item)
    inputs = [{"key": names[entry.get_node()], "name": port_name(entry)} for entry in model.inputs]
    outputs = [
        {"value": _reference(node.input(0), names), "name": port_name(node.input(0).get_source_output())}
        for node in model.get_results()
    ]
    return {"nodes": nodes, "inputs": inputs, "outputs": outputs, "free": free}, constants.arrays


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
    except MemoryError:
        sys.exit("MemoryError: it takes more than 2 GB")
    except Exception as error:  # noqa: BLE001  (OpenVINO has many; the parent needs one line)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        if "bad_alloc" in str(error):
            sys.exit("MemoryError: it takes more than 2 GB")
        useful = [line for line in lines if not line.startswith(("Exception from", "Check '", "Loading input model"))]
        sys.exit(f"{type(error).__name__}: {(useful or lines or ['no reason'])[0]}")

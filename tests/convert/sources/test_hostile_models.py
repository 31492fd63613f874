"""Small files that unfold when they are read are refused within 10 s of processor time and 2 GB, in one line."""

from __future__ import annotations

import json
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from source_checks import masked, slow_crc32c, varint

from faceall.convert.sources.tensorflow.checksum import crc32c
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.sources.tensorflow.table import TABLE_MAGIC
from faceall.convert.tensorflow.schema import messages as graph_messages
from tensorflow_graphs import GraphMaker

_SECONDS = 10
_BYTES = 2 << 30
_READ = """
import json, resource, sys
from faceall.convert import convert
from faceall.errors import FaceallError
try:
    convert(sys.argv[1], sys.argv[1] + ".made")
    text = ""
except FaceallError as error:
    text = str(error)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
scale = 1 if sys.platform == "darwin" else 1024
seconds = sum(each.ru_utime + each.ru_stime for each in used)
print(json.dumps([text, seconds, scale * max(each.ru_maxrss for each in used)]))
"""
_IMPORT = """
import json, resource, sys
from pathlib import Path
from faceall.index.portable.vectors import read_foreign
from faceall.errors import FaceallError
try:
    read_foreign(Path(sys.argv[1]))
    text = ""
except FaceallError as error:
    text = str(error)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([text, used.ru_utime + used.ru_stime, (1 if sys.platform == "darwin" else 1024) * used.ru_maxrss]))
"""


def _refusal(path: Path, program: str = _READ) -> str:
    """The line with which a program refuses `path`; time and memory of the process are within the limits."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    text, seconds, most = json.loads(done.stdout.splitlines()[-1])
    assert seconds < _SECONDS, f"{seconds:.1f} s: {text}"
    assert most < _BYTES, f"{most >> 20} MB: {text}"
    assert text
    assert "\n" not in text
    assert len(text) < 500
    return str(text)


def _saved_model(folder: Path, graph_def: bytes) -> Path:
    """A SavedModel with one signature from `input` to `output`."""
    model = messages()["SavedModel"](saved_model_schema_version=1)
    meta = model.meta_graphs.add(graph_def=graph_def)
    meta.meta_info_def.tags.append("serve")
    signature = meta.signature_def["serving_default"]
    signature.inputs["images"].name, signature.inputs["images"].dtype = "input:0", 1
    signature.outputs["embeddings"].name, signature.outputs["embeddings"].dtype = "output:0", 1
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


def _functions(folder: Path, body: Callable[[int], list[Any]]) -> Path:
    """A SavedModel whose function number n has the nodes `body(n)`; the graph calls the last of 38."""
    library = messages()["FunctionDefLibrary"]()
    for number in range(38):
        function = library.function.add()
        function.signature.name = f"f{number}"
        function.signature.input_arg.add(name="a", type=1)
        function.signature.output_arg.add(name="r", type=1)
        function.ret["r"] = "a"
        function.node_def.extend(node.SerializeToString() for node in body(number))
    maker = GraphMaker()
    maker.message.library = library.SerializeToString()
    maker.placeholder("input")
    maker.message.node.append(_call("output", 37, "input"))
    return _saved_model(folder / "nested", maker.data())


def _call(name: str, function: int, operand: str) -> Any:
    node = graph_messages()["NodeDef"](name=name, op="PartitionedCall", input=[operand])
    node.attr["f"].func.name = f"f{function}"
    return node


def _nested_calls(folder: Path) -> Path:
    """Every function calls the one before twice, and nothing else: 2 ** 37 calls without a node."""
    return _functions(folder, lambda n: [_call(f"c{k}", n - 1, "a") for k in range(2)] if n else [])


def _long_names(folder: Path) -> Path:
    """Names grow with every call: a name of 10 kB for each of many nodes."""
    return _functions(folder, lambda n: [_call("c" * 500 + str(k), n - 1, "a") for k in range(2)] if n else [])


def _repeated_constants(folder: Path) -> Path:
    """Constants of two numbers and a shape of 2 ** 26, which repeat the last number."""
    maker = GraphMaker()
    x = maker.placeholder("input")
    for number in range(20):
        node = maker.message.node.add(name=f"c{number}", op="Const")
        tensor = node.attr["value"].tensor
        tensor.dtype = 9
        tensor.int64_val.extend([1, 2])
        tensor.tensor_shape.dim.add(size=1 << 26)
    maker.node("embeddings", "Identity", [x])
    return maker.write(folder / "repeated.pb")


def _computed_constants(folder: Path) -> Path:
    """Constants that are computed from small ones: Fill, and products of a column and a row."""
    maker = GraphMaker()
    x = maker.placeholder("input")
    sizes = maker.constant("sizes", np.array([1 << 14, 1 << 14, 16], np.int32))
    for number in range(20):
        filled = maker.node(f"fill{number}", "Fill", [sizes, maker.constant(f"value{number}", 1.0)])
        x = maker.node(f"add{number}", "Add", [x, filled])
    maker.node("embeddings", "Identity", [x])
    return maker.write(folder / "computed.pb")


def _constant_chain(folder: Path) -> Path:
    """A chain of sums of constants, of which every link is read: its values take time that grows with the square."""
    maker = GraphMaker()
    x = maker.placeholder("input")
    c = maker.constant("c", 1.0)
    for number in range(15_000):
        c = maker.node(f"n{number}", "Add", [c, c])
        x = maker.node(f"m{number}", "Mul", [x, c])
    maker.node("embeddings", "Identity", [x])
    return maker.write(folder / "sums.pb")


def _wide_images(folder: Path) -> Path:
    """Images of 100,000 by 100,000 pixels."""
    maker = GraphMaker()
    x = maker.placeholder("input", (-1, 100_000, 100_000, 3))
    maker.node("embeddings", "Relu", [x])
    return maker.write(folder / "wide.pb")


def _large_window(folder: Path) -> Path:
    """A pool of 4,000 by 4,000."""
    maker = GraphMaker()
    x = maker.placeholder("input")
    window = {"ksize": [1, 4000, 4000, 1], "strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NHWC"}
    maker.node("embeddings", "MaxPool", [x], **window)
    return maker.write(folder / "window.pb")


def _many_fields(folder: Path) -> Path:
    """A message of 8 million empty operands, of which each becomes an object."""
    node = b"\x0a\x01a\x12\x01b" + b"\x1a\x00" * 8_000_000
    (folder / "fields.pb").write_bytes(b"\x0a" + varint(len(node)) + node)
    return folder / "fields.pb"


def _table(blocks: list[bytes]) -> bytes:
    """A table of the given blocks, each by its entries' bytes."""
    out = bytearray()

    def block(entries: bytes) -> bytes:
        start = len(out)
        out.extend(entries + struct.pack("<II", 0, 1))
        size = len(out) - start
        out.append(0)
        data = bytes(out[start:])
        out.extend(struct.pack("<I", masked(crc32c(data) if len(data) > 4096 else slow_crc32c(data))))
        return varint(start) + varint(size)

    handles = [block(entries) for entries in blocks]
    listed = b"".join(varint(0) + varint(1) + varint(len(handle)) + b"\xff" + handle for handle in handles)
    footer = block(b"") + block(listed)
    return bytes(out + footer.ljust(40, b"\0")) + TABLE_MAGIC


def _key_prefixes(folder: Path) -> Path:
    """Keys that share a beginning of 300 kB; each takes four bytes in the file."""
    first = varint(0) + varint(300_000) + varint(0) + b"k" * 300_000
    rest = b"".join(varint(300_000 + n % 2) + varint(1) + varint(0) + b"x" for n in range(60_000))
    (folder / "model.index").write_bytes(_table([first + rest]))
    (folder / "model.data-00000-of-00001").write_bytes(b"")
    return folder / "model.index"


def _moderate_prefixes(folder: Path) -> Path:
    """The same with 4,000 bytes and a million keys."""
    first = varint(0) + varint(4_000) + varint(0) + b"k" * 4_000
    rest = b"".join(varint(4_000) + varint(3) + varint(0) + n.to_bytes(3, "little") for n in range(1_000_000))
    (folder / "model.index").write_bytes(_table([first + rest]))
    (folder / "model.data-00000-of-00001").write_bytes(b"")
    return folder / "model.index"


def _archive(path: Path, config: bytes, weights: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)
    return path


def _weights(path: Path, **options: Any) -> bytes:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(1 << 28,), dtype="f4", **options)
    return path.read_bytes()


def _keras_weights(folder: Path) -> Path:
    """One array of 1 GB that the file does not hold."""
    config = json.dumps({"class_name": "Sequential", "config": {"layers": []}}).encode()
    return _archive(folder / "weights.keras", config, _weights(folder / "w.h5", chunks=(1 << 20,), compression="gzip"))


def _keras_zip(folder: Path) -> Path:
    """Weights of 1 GB of zeros, compressed by the archive."""
    config = json.dumps({"class_name": "Sequential", "config": {"layers": []}}).encode()
    return _archive(folder / "zip.keras", config, _weights(folder / "w.h5") + bytes(1 << 30))


def _keras_config(folder: Path) -> Path:
    """A description of 60 MB, 59 kB compressed, each three bytes of which become an object."""
    text = b'{"class_name": "Sequential", "config": [' + b"{}," * 20_000_000 + b"{}]}"
    return _archive(folder / "config.keras", text, _weights(folder / "w.h5"))


def _keras_calls(folder: Path) -> Path:
    """Models in models, each of which calls the inner one 20 times: 20 ** 8 calls."""
    layer: dict[str, Any] = {"class_name": "Dropout", "name": "d", "config": {"name": "d"}, "inbound_nodes": []}
    tensor: list[Any] = ["in", 0, 0]
    for depth in range(8):
        name = f"m{depth}"
        layer = {**layer, "inbound_nodes": [[[*tensor, {}]]] * 20}
        source = {
            "class_name": "InputLayer",
            "name": "in",
            "config": {"name": "in", "batch_shape": [None, 9, 9, 3]},
            "inbound_nodes": [],
        }
        inner = {"layers": [source, layer], "input_layers": [tensor], "output_layers": [[layer["name"], 0, 0]]}
        layer = {"class_name": "Functional", "name": name, "config": {"name": name, **inner}, "inbound_nodes": []}
    config = json.dumps(layer).encode()
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "w.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.zeros(3, np.float32))
    return _archive(folder / "calls.keras", config, (folder / "w.h5").read_bytes())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_nested_calls, "nodes once its functions are unfolded|steps"),
        (_long_names, "nodes once its functions are unfolded|declares more than"),
        (_repeated_constants, "declares more than"),
        (_computed_constants, "declares more than"),
        (_constant_chain, "steps|no counterpart"),
        (_wide_images, "declares more than"),
        (_large_window, "steps|declares more than"),
        (_many_fields, "fields"),
        (_key_prefixes, "a name has 300,00"),
        (_moderate_prefixes, "declares more than|entries|at most"),
        (_keras_weights, "declare more than"),
        (_keras_zip, "at most"),
        (_keras_config, "at most"),
        (_keras_calls, "steps"),
    ],
)
def test_files_that_unfold_are_refused(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    """Work and memory are counted while a file is read; each line says what it declares."""
    path = make(tmp_path)
    text = _refusal(path)
    assert any(word in text for word in words.split("|")), text
    assert path.name in text or path.parent.name in text


def test_long_chains_are_read_in_a_line() -> None:
    """60,000 operations that hand on their operand take time in proportion, and are read."""
    from faceall.convert import translate

    maker = GraphMaker()
    x = maker.placeholder("input")
    for number in range(20_000):
        x = maker.node(f"i{number}", "Identity", [x])
    maker.node("embeddings", "Relu", [x])
    assert [layer.type for layer in translate(maker.bound(), name="net").net.layers].count("ReLU") == 1


def _shared_lists(folder: Path) -> Path:
    """A pickle of lists in lists, each of which occurs ten times."""
    nested: list[Any] = [1.0]
    for _ in range(18):
        nested = [nested] * 10
    (folder / "shared.pkl").write_bytes(pickle.dumps(nested))
    return folder / "shared.pkl"


def _boast(folder: Path) -> Path:
    """An array of 129 bytes that declares 373 GiB."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000,), }".ljust(117) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0"
    assert len(data) == 129
    (folder / "boast.npy").write_bytes(data)
    return folder / "boast.npy"


@pytest.mark.parametrize("make", [_shared_lists, _boast])
def test_vectors_that_unfold_are_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """The same holds for vectors of other programs."""
    path = make(tmp_path)
    assert path.name in _refusal(path, _IMPORT)

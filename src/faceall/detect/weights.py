"""Weights of the three MTCNN nets: locate them, read them, build the nets.

Whatever the source, the nets take upright RGB images with pixels 0 to 255 and have one output.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.caffe.files import read_net
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.errors import ModelDamagedError, ModelNotFoundError, NetError
from faceall.models import sha256_of
from faceall.types import Array, Float32Array

MEAN, SCALE = 127.5, 0.0078125  # the training data were (pixel - MEAN) * SCALE


@dataclass(frozen=True)
class Plan:
    """The architecture of one net of the cascade.

    Attributes
    ----------
    name, caffe_name, keras_name, keras_sha256 : str
        Name of the net, its file names in the two formats, and the checksum of the Keras file.
    size : int
        Side of the input window in pixels.
    convolutions : tuple of (str, int, int, int)
        Name, outputs, kernel, and kernel of the max pooling that follows (0: none).
    dense : (str, int) or None
        Name and outputs of the fully connected layer, if there is one.
    heads : tuple of str
        Names of the output layers: classification (2), box offsets (4), landmarks (10).
    """

    name: str
    caffe_name: str
    keras_name: str
    keras_sha256: str
    size: int
    convolutions: tuple[tuple[str, int, int, int], ...]
    dense: tuple[str, int] | None
    heads: tuple[str, ...]


PLANS = (
    Plan(
        "proposal",
        "det1",
        "pnet.lz4",
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
        12,
        (("conv1", 10, 3, 2), ("conv2", 16, 3, 0), ("conv3", 32, 3, 0)),
        None,
        ("conv4-1", "conv4-2"),
    ),
    Plan(
        "refinement",
        "det2",
        "rnet.lz4",
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
        24,
        (("conv1", 28, 3, 3), ("conv2", 48, 3, 3), ("conv3", 64, 2, 0)),
        ("conv4", 128),
        ("conv5-1", "conv5-2"),
    ),
    Plan(
        "output",
        "det3",
        "onet.lz4",
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
        48,
        (("conv1", 32, 3, 3), ("conv2", 64, 3, 3), ("conv3", 64, 3, 2), ("conv4", 128, 2, 0)),
        ("conv5", 256),
        ("conv6-1", "conv6-2", "conv6-3"),
    ),
)
OUTPUT = "found"
_HEAD_SIZES = (2, 4, 10)

Arrays = Mapping[str, Array]
"""Arrays by layer and number, as in Net.weights: kernels O I H W for upright images."""


@dataclass(frozen=True)
class NetSource:
    """A net that is read when it is needed.

    Attributes
    ----------
    fingerprint : str
        Identifies the weights.
    read : callable
        Reads the weights and builds the net.
    """

    fingerprint: str
    read: Callable[[], Net]


def net_sources(folder: str | Path | None = None, *, rounded: bool = False) -> tuple[NetSource, NetSource, NetSource]:
    """Locate the proposal, refinement and output nets (P-Net, R-Net, O-Net).

    Parameters
    ----------
    folder : path-like, optional
        Contains det1, det2 and det3 (.prototxt and .caffemodel). Default: the files of the PyPI package mtcnn.
    rounded : bool
        Round the first layer to bfloat16, for an engine that computes in it. Its terms make up for the rounding, which
        halves the errors of the logits.

    Returns
    -------
    tuple of NetSource
        Nets with the input "data" (n, 3, H, W), RGB 0 to 255, and the output "found". Its channels are the logit of
        a face, four box offsets and, for the output net, ten landmark coordinates (five x, five y).

    Raises
    ------
    ModelNotFoundError
        If there are no weights; here or when a source is read.
    ModelDamagedError
        If a file has unexpected content; here or when a source is read.

    References
    ----------
    K. Zhang, Z. Zhang, Z. Li, Y. Qiao: Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
    Networks. IEEE Signal Processing Letters 23 (2016).
    """
    directory = _keras_folder() if folder is None else Path(folder)
    read: Callable[[Path, Plan], Arrays] = _read_keras if folder is None else _read_caffe

    def source(plan: Plan) -> NetSource:
        fingerprint = plan.keras_sha256 if folder is None else _fingerprint(directory, plan)
        return NetSource(
            f"{fingerprint} rounded" if rounded else fingerprint,
            lambda: _build(plan, _checked(read(directory, plan), plan, directory), rounded=rounded),
        )

    proposal, refinement, output = map(source, PLANS)
    return proposal, refinement, output


def read_nets(folder: str | Path | None = None) -> tuple[Net, Net, Net]:
    """Read the three nets of `net_sources`.

    Raises
    ------
    ModelNotFoundError
        If there are no weights.
    ModelDamagedError
        If a file has unexpected content.
    """
    proposal, refinement, output = (source.read() for source in net_sources(folder))
    return proposal, refinement, output


# -------------------------------------------------------------------------------------------------------- sources


def _keras_folder() -> Path:
    """Return the folder of the weights in the package mtcnn."""
    spec = importlib.util.find_spec("mtcnn")  # does not import the package, which would load TensorFlow
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (folder := Path(place, "assets", "weights")).is_dir():
            return folder
    raise ModelNotFoundError(
        "the weights of the detector are in the package mtcnn, which is missing or incomplete: "
        "pip install mtcnn==1.0.0, or give a folder with det1, det2 and det3 in Caffe format"
    )


def _read_keras(folder: Path, plan: Plan) -> Arrays:
    """Read arrays in the order of the Keras layers, kernels H W I O; inputs of the dense layer are W H C."""
    path = folder / plan.keras_name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror}; pip install mtcnn==1.0.0") from error
    if hashlib.sha256(content).hexdigest() != plan.keras_sha256:
        raise ModelDamagedError(f"{path}: is not from mtcnn 1.0.0: pip install --force-reinstall mtcnn==1.0.0")
    import joblib
    import lz4.frame

    pickled = io.BytesIO(lz4.frame.decompress(content))
    arrays = iter(joblib.load(pickled))  # the checksum shows that this is the known, harmless file
    found: dict[str, Array] = {}
    channels = 3
    for number, (name, outputs, *_) in enumerate(plan.convolutions, 1):
        kernel, bias, slope = (next(arrays) for _ in range(3))
        found |= {f"{name}/0": kernel.transpose(3, 2, 0, 1), f"{name}/1": bias, f"prelu{number}/0": slope.ravel()}
        channels = outputs
    if plan.dense is not None:
        kernel, bias, slope = (next(arrays) for _ in range(3))
        side = _side(kernel.shape[0], channels)
        upright = kernel.reshape(side, side, channels, -1).transpose(3, 2, 1, 0).reshape(kernel.shape[1], -1)
        name = plan.dense[0]
        found |= {f"{name}/0": upright, f"{name}/1": bias, f"prelu{len(plan.convolutions) + 1}/0": slope}
    for name in (*plan.heads[1:], plan.heads[0]):  # Keras stores the classification last
        kernel, bias = next(arrays), next(arrays)
        found |= {f"{name}/0": kernel.reshape(-1, len(bias)).T, f"{name}/1": bias}
    return found


def _caffe_files(folder: Path, plan: Plan) -> tuple[Path, Path]:
    """Return the prototxt and caffemodel of a net; raise if one is missing."""
    prototxt, caffemodel = folder / f"{plan.caffe_name}.prototxt", folder / f"{plan.caffe_name}.caffemodel"
    for path in (prototxt, caffemodel):
        if not path.is_file():
            raise ModelNotFoundError(
                f"{path}: no such file; the folder must contain det1, det2 and det3 in Caffe format"
            )
    return prototxt, caffemodel


def _fingerprint(folder: Path, plan: Plan) -> str:
    """Return the checksums of the two Caffe files."""
    try:
        return " ".join(sha256_of(path) for path in _caffe_files(folder, plan))
    except OSError as error:
        raise ModelDamagedError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _read_caffe(folder: Path, plan: Plan) -> Arrays:
    """Read Caffe weights; the original nets take transposed images, so their kernels are transposed here."""
    prototxt, caffemodel = _caffe_files(folder, plan)
    try:
        weights = read_net(prototxt, caffemodel).weights
    except NetError as error:
        raise ModelDamagedError(str(error)) from error
    found: dict[str, Array] = {name.replace("PReLU", "prelu"): array for name, array in weights.items()}
    for name, *_ in plan.convolutions:
        found[f"{name}/0"] = _transposed(found.get(f"{name}/0"))
    if plan.dense is not None:
        key, channels = f"{plan.dense[0]}/0", plan.convolutions[-1][1]
        found[key] = _transposed(found.get(key), channels)
    return {
        key: array.reshape(len(array), -1) if key[:-2] in plan.heads and key[-1] == "0" else array
        for key, array in found.items()
    }


def _transposed(kernel: Array | None, channels: int = 0) -> Array:
    """Swap height and width of a kernel; `channels` is given for a dense one (O, C * H * W)."""
    if kernel is None or (channels and (kernel.ndim < 2 or kernel[0].size % channels)):
        return np.zeros(0, np.float32)  # rejected by _checked, which knows the names
    if not channels:
        return kernel.swapaxes(-1, -2)
    side = _side(kernel[0].size, channels)
    return kernel.reshape(-1, channels, side, side).swapaxes(-1, -2).reshape(len(kernel), -1)


def _side(inputs: int, channels: int) -> int:
    """Return the side of the square feature map that is the input of a dense layer."""
    return round(math.sqrt(inputs / channels))


def _checked(arrays: Arrays, plan: Plan, folder: Path) -> Arrays:
    """Return `arrays`; raise ModelDamagedError if a shape differs from the plan."""
    for key, expected in _shapes(plan).items():
        actual = arrays[key].shape if key in arrays else None
        if actual != expected:
            what = "is missing" if actual is None else f"has shape {actual}"
            raise ModelDamagedError(f"{folder}: {plan.name} net: weight '{key}' {what}, expected {expected}")
    return arrays


def _shapes(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Return the expected shape of every array."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels, side = 3, plan.size
    for number, (name, outputs, kernel, pool) in enumerate(plan.convolutions, 1):
        shapes |= {
            f"{name}/0": (outputs, channels, kernel, kernel),
            f"{name}/1": (outputs,),
            f"prelu{number}/0": (outputs,),
        }
        channels, side = outputs, side - kernel + 1
        side = -(-(side - pool) // 2) + 1 if pool else side
    if plan.dense is not None:
        name, outputs = plan.dense
        shapes |= {f"{name}/0": (outputs, channels * side * side), f"{name}/1": (outputs,)}
        shapes[f"prelu{len(plan.convolutions) + 1}/0"] = (outputs,)
        channels = outputs
    for name, outputs in zip(plan.heads, _HEAD_SIZES, strict=False):
        shapes |= {f"{name}/0": (outputs, channels), f"{name}/1": (outputs,)}
    return shapes


# ----------------------------------------------------------------------------------------------------------- nets


def _build(plan: Plan, arrays: Arrays, *, rounded: bool = False) -> Net:
    """Build the net of a plan, with standardisation folded into the first layer and the heads joined into one.

    Before   (pixel - mean) * scale -> Convolution -> ... -> Softmax(2), offsets(4), landmarks(10)
    After    Convolution -> ... -> one layer: logit of a face, offsets, landmarks
    """
    layers = [input_layer("data", (1, 3, plan.size, plan.size))]
    weights: dict[str, Float32Array] = {}
    bottom = "data"

    def add(name: str, kind: str, blobs: Sequence[Array] = (), **parameters: Any) -> None:
        nonlocal bottom
        top = bottom if kind == "PReLU" else name
        layers.append(Layer(name, kind, (bottom,), (top,), parameters))
        weights.update(weight_keys(name, blobs))
        bottom = top

    for number, (name, outputs, kernel, pool) in enumerate(plan.convolutions, 1):
        blobs = (arrays[f"{name}/0"], arrays[f"{name}/1"])
        add(
            name,
            "Convolution",
            _on_pixels(*blobs, rounded=rounded) if number == 1 else blobs,
            **_convolution(outputs, kernel),
        )
        add(f"prelu{number}", "PReLU", (arrays[f"prelu{number}/0"],))
        if pool:
            add(f"pool{number}", "Pooling", pooling_param={"pool": "MAX", "kernel_size": pool, "stride": 2})
    kernel_of_heads, bias_of_heads = _joined_heads(plan, arrays)
    if plan.dense is None:
        blobs = (kernel_of_heads[:, :, None, None], bias_of_heads)
        add(OUTPUT, "Convolution", blobs, **_convolution(len(bias_of_heads), 1))
        return Net(plan.name, tuple(layers), weights)
    name, outputs = plan.dense
    add(name, "InnerProduct", (arrays[f"{name}/0"], arrays[f"{name}/1"]), inner_product_param={"num_output": outputs})
    slope = f"prelu{len(plan.convolutions) + 1}"
    add(slope, "PReLU", (arrays[f"{slope}/0"],))
    blobs = (kernel_of_heads, bias_of_heads)
    add(OUTPUT, "InnerProduct", blobs, inner_product_param={"num_output": len(bias_of_heads)})
    return Net(plan.name, tuple(layers), weights)


def _convolution(outputs: int, kernel: int) -> dict[str, Any]:
    """Return the parameters of a convolution with stride 1."""
    return {"convolution_param": {"num_output": outputs, "kernel_size": [kernel], "stride": [1]}}


def _on_pixels(kernel: Array, bias: Array, *, rounded: bool) -> tuple[Array, Array]:
    """Fold standardisation into the first layer; exact, because that layer has no padding."""
    scaled = kernel.astype(np.float64) * SCALE
    if rounded:  # before the sum: the error of a weight must not be multiplied by the mean
        scaled = to_bfloat16(scaled).astype(np.float64)
    return scaled, bias - MEAN * scaled.sum(axis=(1, 2, 3))


def to_bfloat16(numbers: Array) -> Float32Array:
    """Round to the nearest bfloat16, ties to even; returned as float32."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return np.asarray((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000), np.uint32).view(np.float32)


def _joined_heads(plan: Plan, arrays: Arrays) -> tuple[Array, Array]:
    """Join all heads into one layer; the softmax over two classes is the logistic function of their difference."""
    (kernel, bias), *rest = [(arrays[f"{name}/0"], arrays[f"{name}/1"]) for name in plan.heads]
    kernels = [kernel[1:] - kernel[:1], *(head[0] for head in rest)]
    biases = [bias[1:] - bias[:1], *(head[1] for head in rest)]
    return np.concatenate(kernels), np.concatenate(biases)

"""Initialise a narrower student from its teacher, layer by layer, without training.

Of each layer's channels the student keeps those from which the others can be predicted best. Its kernel is the linear
map (ridge regression) from the student's own input to the teacher's output in those channels, so that a layer
compensates for the errors of the layers before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.convert.architectures.weights import facenet_weights
from faceall.convert.tensorflow.graph import Graph
from faceall.convert.tensorflow.graphdef import read_graph
from faceall.errors import TrainError
from faceall.train.backend import import_keras
from faceall.train.data.shards import Shard, split
from faceall.train.distillation.targets import fit_targets, held_out_images
from faceall.train.nets import EPSILON, inception_resnet_v1
from faceall.train.options import DistillationOptions
from faceall.types import Array, Float32Array

ROWS = 40_000
"""Largest number of positions, over all images, on which a layer is fitted."""
RIDGE = 1e-3
"""Weight of the squared kernel, relative to the features' variance."""
BATCH = 64


def teacher_weights(graph: Graph) -> dict[str, Array]:
    """Return FaceNet's weights by the names of the variables of our Keras model.

    Parameters
    ----------
    graph : Graph
        A frozen graph of FaceNet.

    Returns
    -------
    dict of str to array
        The weights.

    Raises
    ------
    TrainError
        If the graph is not FaceNet's.
    """
    constants = {name: node.attrs["value"] for name, node in graph.nodes.items() if node.op == "Const"}
    found = facenet_weights(constants)
    if "Block35_1_Branch_0_Conv2d_1x1/weights" not in found:
        raise TrainError(
            "the teacher is not FaceNet's Inception-ResNet-v1, the only net from which a student can be initialised"
        )
    kinds = {"weights": "kernel", "biases": "bias"}
    return {
        f"{layer}/{kinds.get(kind, kind)}": array
        for layer, _, kind, array in ((*name.rpartition("/"), array) for name, array in found.items())
        if kind != "gamma"
    }


IMAGES = 256
"""Largest number of faces on which the layers are fitted."""
LAST_IMAGES = 10_000
"""Largest number of faces on which the last layer is fitted."""


@checked
def initialise_from_teacher(
    graph: Path, shards: Sequence[Shard], options: DistillationOptions, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Compute initial weights for a distillation, and the projection to which they are fitted.

    Parameters
    ----------
    graph : Path
        The teacher, a frozen graph of FaceNet (.pb).
    shards : sequence of Shard
        Faces with the vectors of `options.teacher`, which must be the same net.
    options : DistillationOptions
        Options of the distillation.
    progress : callable
        Called with a message for each stage.

    Returns
    -------
    dict
        The arguments `initial` and `projection` of `distill`.

    Raises
    ------
    TrainError
        If the student's architecture differs from the teacher's.
    NetFormatError
        If the graph cannot be read.
    """
    if options.architecture != "inception_resnet_v1":
        raise TrainError("only a student with the architecture inception_resnet_v1 can be initialised from FaceNet")
    faces, _ = split(shards, seed=options.seed, teachers=[options.teacher])
    targets = fit_targets(faces, options.teacher, options.embedding_size)
    student, teacher = options.seeded_net(), inception_resnet_v1(image_size=None)
    weights = teacher_weights(read_graph(graph))
    for variable in teacher.variables:
        variable.assign(weights[variable.path])
    progress(f"fitting the layers to {graph.name}")
    some = faces.some(IMAGES)
    images = held_out_images(some, inner=options.inner, size=options.image_size)
    fit_layers(student, teacher, images, seed=options.seed)
    more = faces.some(LAST_IMAGES)
    wanted = targets.of(more, np.arange(len(more)), np.zeros(len(more), bool))[0]
    fit_bottleneck(student, held_out_images(more, inner=options.inner, size=options.image_size), wanted)
    progress("the layers are fitted")
    initial = {variable.path: np.array(import_keras().ops.convert_to_numpy(variable)) for variable in student.variables}
    return {"initial": initial, "projection": targets.projection}


def fit_layers(
    student: Any,
    teacher: Any,
    images: Float32Array,
    *,
    seen: Float32Array | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda name: None,
) -> None:
    """Fit every layer of a student except the last to its teacher, in place.

    Parameters
    ----------
    student : keras.Model
        A model of `nets`, narrower than the teacher.
    teacher : keras.Model
        A model of the same architecture.
    images : (n, H, W, 3) float32
        Standardised images of some hundred faces, as the student will see them.
    seen : (n, H, W, 3) float32, optional
        The same faces as the teacher sees them, possibly larger; by default `images`. Outputs are compared at the same
        position of the face. For FaceNet and a student of 112 pixels, 160 pixels here gave a worse start (cosine 0.49)
        than 112 for both (0.56).
    seed : int
        Determines the sampled positions.
    progress : callable
        Called with the name of each layer.

    Raises
    ------
    TrainError
        If the architectures differ.
    """
    walk = _Walk(student, teacher, np.random.default_rng(seed), progress)
    for layer in student.layers:
        if layer.name == "AvgPool":
            return
        walk.step(layer, images, images if seen is None else seen)
    raise TrainError("only Inception-ResNet-v1 can be initialised, whose last layers are AvgPool and Bottleneck")


def fit_bottleneck(student: Any, images: Float32Array, wanted: Float32Array) -> None:
    """Fit the last layer to target vectors, in place.

    Parameters
    ----------
    student : keras.Model
        The student.
    images : (n, H, W, 3) float32
        Standardised images.
    wanted : (n, D) float32
        Their target vectors.
    """
    keras = import_keras()
    body = keras.Model(student.inputs, student.get_layer("AvgPool").output)
    starts = range(0, len(images), BATCH)
    features = np.concatenate([np.asarray(body.predict_on_batch(images[at : at + BATCH])) for at in starts])
    layer, norm = student.get_layer("Bottleneck"), student.get_layer("Bottleneck_BatchNorm")
    kernel, _ = _ridge(features, wanted)
    layer.kernel.assign(kernel)
    _set_norm(norm, features @ kernel, wanted.mean(axis=0) / max(float(wanted.std()), 1e-6))


class _Walk:
    """Run both nets layer by layer on the same images; outputs that no later layer reads are released."""

    def __init__(
        self, student: Any, teacher: Any, random: np.random.Generator, progress: Callable[[str], None]
    ) -> None:
        self.student, self.teacher, self.random, self.progress = student, teacher, random, progress
        self.own: dict[str, Array] = {}
        self.given: dict[str, Array] = {}
        self.channels: dict[str, Array] = {}
        self.wanted_mean: dict[str, Array] = {}
        self.uses = {layer.name: len(_readers(layer)) for layer in student.layers}

    def step(self, layer: Any, images: Float32Array, seen: Float32Array) -> None:
        """Fit one layer if it has weights, and compute its outputs in both nets."""
        kind = type(layer).__name__
        if kind == "InputLayer":
            self._keep(layer.name, images, seen, np.arange(3))
            return
        sources = [source.name for source in _sources(layer)]
        if kind == "Conv2D":
            self._convolution(layer, sources[0])
        elif kind == "BatchNormalization":
            self._normalisation(layer, sources[0])
        else:
            self._plain(layer, sources)
        for source in sources:
            self.uses[source] -= 1
            if not self.uses[source]:
                del self.own[source], self.given[source]

    def _keep(self, name: str, own: Array, given: Array, channels: Array) -> None:
        """Store the outputs of a layer: the student's, the teacher's, and the channels that the student keeps."""
        self.own[name], self.given[name], self.channels[name] = own, given, channels

    def _convolution(self, layer: Any, source: str) -> None:
        """Choose the channels of a convolution and fit its kernel."""
        self.progress(layer.name)
        twin = self.teacher.get_layer(layer.name)
        given = _run(twin, [self.given[source]])
        size = layer.compute_output_shape(self.own[source].shape)[1:3]
        places = self._places((len(given), *size))
        if layer.use_bias:  # the last convolution of a block; its output is added to the stream, with the same channels
            add = next(reader for reader in _descendants(layer) if type(reader).__name__ == "Add")
            stream = next(origin.name for origin in _sources(add) if origin.name in self.own)
            scale = next((one.scale for one in _readers(layer) if type(one).__name__ == "Rescaling"), 1.0)
            channels = self.channels[stream]
            sums = given[..., channels] + self.given[stream][..., channels] / scale
            wanted = _resized(sums, size)[places] - self.own[stream][places] / scale
        else:
            given = _normalised(self.teacher.get_layer(f"{layer.name}_BatchNorm"), given)
            channels = _choose(np.maximum(given, 0), _importance(twin), int(layer.filters), self.random)
            wanted = _resized(given[..., channels], size)[places]
            self.wanted_mean[layer.name] = wanted.mean(axis=0)
        kernel, bias = _ridge(_patches(self.own[source], places, layer), wanted)
        layer.kernel.assign(kernel.reshape(layer.kernel.shape))
        if layer.use_bias:
            layer.bias.assign(bias)
        self._keep(layer.name, _run(layer, [self.own[source]]), given, channels)

    def _normalisation(self, layer: Any, source: str) -> None:
        """Set the statistics of a normalisation; the teacher's values are normalised already."""
        own = self.own[source]
        _set_norm(layer, own.reshape(-1, own.shape[-1]), self.wanted_mean[source])
        self._keep(layer.name, _normalised(layer, own), self.given[source], self.channels[source])

    def _plain(self, layer: Any, sources: list[str]) -> None:
        """Compute a layer without weights in both nets."""
        twin = self.teacher.get_layer(layer.name)
        own = _run(layer, [self.own[source] for source in sources])
        given = _run(twin, [self.given[source] for source in sources])
        channels = self.channels[sources[0]]
        if type(layer).__name__ == "Concatenate":
            starts = np.cumsum([0, *(self.given[source].shape[-1] for source in sources)])
            channels = np.concatenate([self.channels[s] + at for s, at in zip(sources, starts, strict=False)])
        self._keep(layer.name, own, given, channels)

    def _places(self, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
        """Sample at most ROWS positions (image, row, column) of a tensor."""
        count = int(np.prod(shape[:3]))
        flat = self.random.choice(count, min(count, ROWS), replace=False) if count > ROWS else np.arange(count)
        return np.unravel_index(flat, shape[:3])  # type: ignore[return-value]


def _sources(layer: Any) -> list[Any]:
    """Return the layers that a layer reads."""
    return [tensor._keras_history.operation for tensor in layer._inbound_nodes[0].input_tensors]


def _readers(layer: Any) -> list[Any]:
    """Return the layers of the same model that read a layer."""
    return list({node.operation.name: node.operation for node in layer._outbound_nodes}.values())


def _descendants(layer: Any) -> list[Any]:
    """Return the layers one and two steps after a layer."""
    first = _readers(layer)
    return [*first, *(reader for one in first for reader in _readers(one))]


def _run(layer: Any, inputs: list[Array]) -> Array:
    """Compute a layer in batches."""
    starts = range(0, len(inputs[0]), BATCH)
    parts = [[array[at : at + BATCH] for array in inputs] for at in starts]
    numbers = import_keras().ops.convert_to_numpy  # also for PyTorch tensors with gradients
    return np.concatenate([numbers(layer(part if len(part) > 1 else part[0])) for part in parts])


def _resized(x: Array, size: tuple[int, int]) -> Array:
    """Resize tensors (N, H, W, C) with antialiasing."""
    if x.shape[1:3] == tuple(size):
        return x
    resize = import_keras().ops.image.resize
    parts = [
        resize(x[at : at + BATCH], size, interpolation="bilinear", antialias=True) for at in range(0, len(x), BATCH)
    ]
    return np.concatenate([np.asarray(part) for part in parts])


def _normalised(norm: Any, x: Array) -> Array:
    """Apply batch normalisation as at inference."""
    mean, variance, beta = (np.asarray(one) for one in (norm.moving_mean, norm.moving_variance, norm.beta))
    scale = 1 / np.sqrt(variance + EPSILON)
    return np.asarray(x * scale + (beta - mean * scale), np.float32)


def _set_norm(norm: Any, x: Array, beta: Array) -> None:
    """Set a normalisation so that it maps rows `x` (n, C) to variance one and mean `beta`."""
    norm.moving_mean.assign(x.mean(axis=0))
    norm.moving_variance.assign(x.var(axis=0))
    norm.beta.assign(beta)


def _patches(x: Array, places: tuple[Array, Array, Array], layer: Any) -> Array:
    """Return the inputs of a convolution at positions of its output, (rows, kh * kw * C)."""
    (rows, columns), (down, right) = layer.kernel_size, layer.strides
    top, left = ((rows - 1) // 2, (columns - 1) // 2) if layer.padding == "same" else (0, 0)
    x = np.pad(x, ((0, 0), (top, rows - 1 - top), (left, columns - 1 - left), (0, 0))) if top or left else x
    image, row, column = places
    seen = [x[image, row * down + i, column * right + j] for i in range(rows) for j in range(columns)]
    return np.concatenate(seen, axis=1)


def _ridge(features: Array, wanted: Array) -> tuple[Array, Array]:
    """Fit a kernel (F, D) and a bias (D,) from features to targets by ridge regression."""
    middle, target = features.mean(axis=0), wanted.mean(axis=0)
    x = (features - middle).astype(np.float64)
    gram = x.T @ x
    weight = float(np.trace(gram)) / len(gram) * max(RIDGE, 0.05 * len(gram) / len(x))
    kernel = np.linalg.solve(gram + weight * np.eye(len(gram)), x.T @ (wanted - target))
    return kernel.astype(np.float32), (target - middle @ kernel).astype(np.float32)


def _choose(active: Array, importance: Array, count: int, random: np.random.Generator) -> Array:
    """Choose the `count` channels of `active` (N, H, W, C) that explain most of all channels, in rising order.

    Pivoted Cholesky decomposition of the covariance: each next channel is the one whose residual, unexplained by those
    chosen before, matters most to the layers that read it.
    """
    rows = active.reshape(-1, active.shape[-1])
    if count >= rows.shape[1]:
        return np.arange(rows.shape[1])
    rows = rows[random.choice(len(rows), min(len(rows), ROWS), replace=False)] * importance
    rest = np.cov(rows.T.astype(np.float64))
    chosen: list[int] = []
    for _ in range(count):
        gains = (rest**2).sum(axis=1) / np.maximum(np.diag(rest), 1e-9)
        gains[chosen] = -1
        best = int(np.argmax(gains))
        chosen.append(best)
        rest = rest - np.outer(rest[best], rest[best]) / max(rest[best, best], 1e-9)
    return np.sort(np.asarray(chosen))


def _importance(layer: Any) -> Array:
    """Weigh each channel (C,) by the root of the summed squared weights of the layers that read it."""
    total = np.zeros(int(layer.filters))
    waiting: list[tuple[Any, int]] = [(reader, 0) for reader in _readers(layer)]
    while waiting:
        reader, start = waiting.pop()
        kind = type(reader).__name__
        if kind == "Conv2D":
            total += np.square(np.asarray(reader.kernel)[:, :, start : start + len(total)]).sum(axis=(0, 1, 3))
        elif kind == "Concatenate":
            sources = _sources(reader)
            leading = [number for number, source in enumerate(sources) if source.name.startswith(layer.name)]
            if leading:  # otherwise a pool of the stream, which matters little
                before = sum(int(source.output.shape[-1]) for source in sources[: leading[0]])
                waiting += [(after, start + before) for after in _readers(reader)]
        elif kind != "GlobalAveragePooling2D":
            waiting += [(after, start) for after in _readers(reader)]
    return np.sqrt(np.maximum(total, 1e-12))

"""The nets that can be trained, as Keras models whose layers have the names that the converter knows.

Keras is imported by the functions that need it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from faceall.convert.architectures.definitions import (
    BLOCK8,
    BLOCK17,
    BLOCK35,
    MIXED_6A,
    MIXED_7A,
    MOBILE_STAGES,
    STEM,
    Branches,
)
from faceall.errors import TrainError
from faceall.train.backend import import_keras
from faceall.train.norm import batch_normalization

Model: TypeAlias = Any
Tensor: TypeAlias = Any

MOMENTUM = 0.99
"""Share of the running statistics that stays at each step."""
EPSILON = 1e-3
"""Added to the variance in batch normalisation, as in FaceNet."""


def inception_resnet_v1(
    *,
    width: float = 1.0,
    multiple: int = 1,
    embedding_size: int = 512,
    image_size: int | None = 160,
    dropout: float = 0.0,
    momentum: float = MOMENTUM,
) -> Model:
    """Create an untrained Inception-ResNet-v1 as in FaceNet.

    Parameters
    ----------
    width : float
        Number of channels relative to FaceNet's.
    multiple : int
        Round numbers of channels to a multiple; processors are faster with multiples of 4 or 8.
    embedding_size : int
        Number of dimensions of the embedding.
    image_size : int or None
        Side in pixels of the images; None leaves it open, for training at several resolutions.
    dropout : float
        Share of values dropped before the bottleneck during training.
    momentum : float
        Share of the running statistics that stays at each step; short trainings need less.

    Returns
    -------
    keras.Model
        (N, image_size, image_size, 3) float32 to (N, embedding_size) float32 of unit length.

    Raises
    ------
    TrainError
        If an option is out of range.
    MissingDependencyError
        If Keras is not installed.

    References
    ----------
    Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning".
    """
    _check(width, multiple, embedding_size, dropout, momentum)
    if image_size is not None:
        check_side("inception_resnet_v1", image_size)
    layer = _Layers(width, multiple, momentum)
    images = layer.images(image_size)
    x = images
    for name, outputs, stride, padding in STEM:
        x = layer.unit(x, name, outputs, stride, padding.lower())
    for number in range(1, 6):
        x = layer.residual(x, f"Block35_{number}", BLOCK35, 0.17)
    x = layer.branches(x, "Mixed_6a", MIXED_6A)
    for number in range(1, 11):
        x = layer.residual(x, f"Block17_{number}", BLOCK17, 0.10)
    x = layer.branches(x, "Mixed_7a", MIXED_7A)
    for number in range(1, 6):
        x = layer.residual(x, f"Block8_{number}", BLOCK8, 0.20)
    x = layer.residual(x, "Block8_6", BLOCK8, 1.0, rectified=False)
    x = layer.keras.layers.GlobalAveragePooling2D(name="AvgPool")(x)
    if dropout:
        x = layer.keras.layers.Dropout(dropout, name="Dropout")(x)
    x = layer.keras.layers.Dense(embedding_size, use_bias=False, name="Bottleneck")(x)
    return layer.model(images, layer.norm(x, "Bottleneck"), "inception_resnet_v1")


def mobile_facenet(
    *,
    width: float = 1.0,
    multiple: int = 1,
    embedding_size: int = 128,
    image_size: int = 112,
    dropout: float = 0.0,
    momentum: float = MOMENTUM,
) -> Model:
    """Create an untrained MobileFaceNet.

    Parameters
    ----------
    width, multiple, embedding_size, dropout, momentum
        As for `inception_resnet_v1`.
    image_size : int
        Side in pixels of the images; it cannot be left open.

    Returns
    -------
    keras.Model
        (N, image_size, image_size, 3) float32 to (N, embedding_size) float32 of unit length.

    Raises
    ------
    TrainError
        If an option is out of range.
    MissingDependencyError
        If Keras is not installed.

    References
    ----------
    Chen et al. 2018, "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile Devices".
    """
    _check(width, multiple, embedding_size, dropout, momentum)
    check_side("mobile_facenet", image_size)
    layer = _Layers(width, multiple, momentum)
    images = layer.images(image_size)
    x = layer.depth_unit(images, "Conv_1", layer.scaled(64), 3, stride=2)
    x = layer.depth_unit(x, "Conv_2_Depthwise", None, 3)
    number = 0
    for expansion, outputs, count, first_stride in MOBILE_STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            number += 1
            x = layer.bottleneck(x, f"Block_{number}", expansion, layer.scaled(outputs), stride)
    x = layer.depth_unit(x, "Conv_3", layer.scaled(512), 1)
    x = layer.depth_unit(x, "Global_Depthwise", None, image_size // 16, linear=True, whole=True)
    if dropout:
        x = layer.keras.layers.Dropout(dropout, name="Dropout")(x)
    x = layer.depth_unit(x, "Bottleneck", embedding_size, 1, linear=True)
    return layer.model(images, layer.keras.layers.Flatten(name="Flatten")(x), "mobile_facenet")


def _check(width: float, multiple: int, embedding_size: int, dropout: float, momentum: float) -> None:
    """Raise TrainError if an option is out of range."""
    if not 0 < width <= 4:
        raise TrainError(f"the width is {width}, expected a number above 0 and up to 4")
    if multiple < 1:
        raise TrainError(f"channels cannot be multiples of {multiple}, expected a whole number above 0")
    if embedding_size < 1:
        raise TrainError(f"the embedding size is {embedding_size}, expected a whole number above 0")
    if not 0 <= momentum < 1:
        raise TrainError(f"the momentum of the statistics is {momentum}, expected a share from 0 to below 1")
    if not 0 <= dropout < 1:
        raise TrainError(f"the dropout is {dropout}, expected a share from 0 to below 1")


class _Layers:
    """Building blocks of the nets. Tensors are (N, H, W, C)."""

    def __init__(self, width: float, multiple: int, momentum: float) -> None:
        self.keras = import_keras()
        self.width = width
        self.multiple = multiple
        self.momentum = momentum

    def images(self, size: int | None) -> Tensor:
        """Create the input."""
        return self.keras.Input((size, size, 3), name="input")

    def scaled(self, channels: int) -> int:
        """Scale and round a number of channels."""
        return self.multiple * max(1, round(channels * self.width / self.multiple))

    def model(self, images: Tensor, x: Tensor, name: str) -> Model:
        """Scale the output to unit length and create the model."""
        unit = self.keras.layers.UnitNormalization(axis=-1, name="embeddings", dtype="float32")(x)
        return self.keras.Model(images, unit, name=name)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Add FaceNet's batch normalisation, which has no gamma."""
        options = {"scale": False, "epsilon": EPSILON, "momentum": self.momentum}
        return batch_normalization()(name=f"{name}_BatchNorm", **options)(x)

    def convolution(self, x: Tensor, name: str, outputs: int, window: Sequence[int], **options: Any) -> Tensor:
        """Add a convolution, by default without a bias."""
        options = {"use_bias": False, "kernel_initializer": "he_normal"} | options
        return self.keras.layers.Conv2D(outputs, tuple(window), name=name, **options)(x)

    def rectified(self, x: Tensor, name: str) -> Tensor:
        """Add a ReLU."""
        return self.keras.layers.Activation("relu", name=f"{name}_Activation")(x)

    def unit(self, x: Tensor, name: str, outputs: int, stride: int = 1, padding: str = "same") -> Tensor:
        """Add a convolution with normalisation and ReLU, or a pooling layer, depending on the name."""
        rows, columns = map(int, re.findall(r"(\d)x(\d)$", name)[0])
        if "MaxPool" in name:
            return self.keras.layers.MaxPooling2D((rows, columns), stride, padding, name=name)(x)
        x = self.convolution(x, name, self.scaled(outputs), (rows, columns), strides=stride, padding=padding)
        return self.rectified(self.norm(x, name), name)

    def branches(self, x: Tensor, name: str, rows: Branches) -> Tensor:
        """Add parallel chains of layers; a layer called `_1a_` halves the resolution."""
        ends = []
        for number, chain in enumerate(rows):
            y = x
            for layer, outputs in chain:
                halves = (2, "valid") if "_1a_" in layer else (1, "same")
                y = self.unit(y, f"{name}_Branch_{number}_{layer}", outputs, *halves)
            ends.append(y)
        return self.keras.layers.Concatenate(name=f"{name}_Concatenate")(ends)

    def residual(self, x: Tensor, name: str, rows: Branches, scale: float, *, rectified: bool = True) -> Tensor:
        """Add a residual block: x + scale * branches."""
        up = self.branches(x, name, rows)
        up = self.convolution(up, f"{name}_Conv2d_1x1", x.shape[-1], (1, 1), use_bias=True)
        if scale != 1:
            up = self.keras.layers.Rescaling(scale, name=f"{name}_Scale")(up)
        x = self.keras.layers.Add(name=f"{name}_ScaleSum")([x, up])
        return self.rectified(x, name) if rectified else x

    def depth_unit(
        self,
        x: Tensor,
        name: str,
        outputs: int | None,
        window: int,
        *,
        stride: int = 1,
        linear: bool = False,
        whole: bool = False,
    ) -> Tensor:
        """Add a convolution with normalisation, and PReLU unless `linear`.

        Without `outputs` it is depthwise, which keeps the channels. With `whole` the window covers the input, without
        padding.
        """
        layers = self.keras.layers
        if window == 3 and not whole:  # symmetric padding at any stride, unlike "same"
            x = layers.ZeroPadding2D(1, name=f"{name}_Pad")(x)
        if outputs is None:
            options = {"use_bias": False, "depthwise_initializer": "he_normal", "name": name}
            x = layers.DepthwiseConv2D(window, stride, **options)(x)
        else:
            x = self.convolution(x, name, outputs, (window, window), strides=stride)
        x = self.norm(x, name)
        if linear:
            return x
        slope = self.keras.initializers.Constant(0.25)
        return layers.PReLU(alpha_initializer=slope, shared_axes=[1, 2], name=f"{name}_PReLU")(x)

    def bottleneck(self, x: Tensor, name: str, expansion: int, outputs: int, stride: int) -> Tensor:
        """Add an inverted bottleneck: expand, depthwise, project; with a shortcut if the shape allows."""
        y = self.depth_unit(x, f"{name}_Expand", x.shape[-1] * expansion, 1)
        y = self.depth_unit(y, f"{name}_Depthwise", None, 3, stride=stride)
        y = self.depth_unit(y, f"{name}_Project", outputs, 1, linear=True)
        if stride != 1 or x.shape[-1] != y.shape[-1]:
            return y
        return self.keras.layers.Add(name=f"{name}_Sum")([x, y])


ARCHITECTURES: dict[str, Callable[..., Model]] = {
    "inception_resnet_v1": inception_resnet_v1,
    "mobile_facenet": mobile_facenet,
}
"""Function that creates the untrained model, by name."""


def check_side(architecture: str, image_size: int) -> None:
    """Check that a net of an architecture accepts images of a size.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`.
    image_size : int
        Side in pixels.

    Raises
    ------
    TrainError
        If it does not.
    """
    if architecture == "inception_resnet_v1" and image_size < 75:
        raise TrainError(f"Inception-ResNet-v1 needs images of at least 75 pixels, got {image_size}")
    if architecture == "mobile_facenet" and (image_size < 32 or image_size % 16):
        raise TrainError(f"MobileFaceNet needs images whose side is a multiple of 16, at least 32, got {image_size}")

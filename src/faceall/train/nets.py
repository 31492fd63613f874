"""The nets that can be trained, as Keras models whose layers bear the names that the converter knows.

Keras is imported by the functions alone: the rest of faceall, and its import, go without it.
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
EPSILON = 1e-3
"""What batch normalisation adds to the variance, as in FaceNet; and how much of its running statistics stays."""


def inception_resnet_v1(
    *,
    width: float = 1.0,
    multiple: int = 1,
    embedding_size: int = 512,
    image_size: int | None = 160,
    dropout: float = 0.0,
    momentum: float = MOMENTUM,
) -> Model:
    """Inception-ResNet-v1 (Szegedy et al. 2016, as FaceNet has it), untrained.

    width       the number of channels everywhere, in proportion to FaceNet's
    multiple    what these numbers are rounded to a multiple of: processors are faster with multiples of 4 or 8
    image_size  rows and columns of the pictures; None leaves them open, for training at several resolutions
    dropout     the share of numbers that is dropped before the bottleneck, while training
    momentum    how much of the running statistics stays at each step; short trainings need less
    returns     a Keras model: (N, image_size, image_size, 3) float32 -> (N, embedding_size) float32 of unit length

    Raises TrainError for a width, size or share that makes no net, MissingDependencyError without Keras.
    """
    _check(width, multiple, embedding_size, dropout, momentum)
    if image_size is not None:
        check_side("inception_resnet_v1", image_size)
    layer = _Layers(width, multiple, momentum)
    picture = layer.picture(image_size)
    x = picture
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
    return layer.model(picture, layer.norm(x, "Bottleneck"), "inception_resnet_v1")


def mobile_facenet(
    *,
    width: float = 1.0,
    multiple: int = 1,
    embedding_size: int = 128,
    image_size: int = 112,
    dropout: float = 0.0,
    momentum: float = MOMENTUM,
) -> Model:
    """MobileFaceNet (Chen et al. 2018), untrained; as `inception_resnet_v1` otherwise. Its picture has a fixed size."""
    _check(width, multiple, embedding_size, dropout, momentum)
    check_side("mobile_facenet", image_size)
    layer = _Layers(width, multiple, momentum)
    picture = layer.picture(image_size)
    x = layer.depth_unit(picture, "Conv_1", layer.scaled(64), 3, stride=2)
    x = layer.depth_unit(x, "Conv_2_Depthwise", 0, 3, depthwise=True)
    number = 0
    for expansion, outputs, count, first_stride in MOBILE_STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            number += 1
            x = layer.bottleneck(x, f"Block_{number}", expansion, layer.scaled(outputs), stride)
    x = layer.depth_unit(x, "Conv_3", layer.scaled(512), 1)
    x = layer.depth_unit(x, "Global_Depthwise", 0, image_size // 16, depthwise=True, linear=True, whole=True)
    if dropout:
        x = layer.keras.layers.Dropout(dropout, name="Dropout")(x)
    x = layer.depth_unit(x, "Bottleneck", embedding_size, 1, linear=True)
    return layer.model(picture, layer.keras.layers.Flatten(name="Flatten")(x), "mobile_facenet")


def _check(width: float, multiple: int, embedding_size: int, dropout: float, momentum: float) -> None:
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
    """What the layers of a net have in common. Tensors are (N, H, W, C)."""

    def __init__(self, width: float, multiple: int, momentum: float) -> None:
        self.keras = import_keras()
        self.width = width
        self.multiple = multiple
        self.momentum = momentum

    def picture(self, size: int | None) -> Tensor:
        return self.keras.Input((size, size, 3), name="input")

    def scaled(self, channels: int) -> int:
        return self.multiple * max(1, round(channels * self.width / self.multiple))

    def model(self, picture: Tensor, x: Tensor, name: str) -> Model:
        unit = self.keras.layers.UnitNormalization(axis=-1, name="embeddings", dtype="float32")(x)
        return self.keras.Model(picture, unit, name=name)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """FaceNet's batch normalisation, which has no gamma."""
        options = {"scale": False, "epsilon": EPSILON, "momentum": self.momentum}
        return batch_normalization()(name=f"{name}_BatchNorm", **options)(x)

    def convolution(self, x: Tensor, name: str, outputs: int, window: Sequence[int], **options: Any) -> Tensor:
        options = {"use_bias": False, "kernel_initializer": "he_normal"} | options
        return self.keras.layers.Conv2D(outputs, tuple(window), name=name, **options)(x)

    def rectified(self, x: Tensor, name: str) -> Tensor:
        return self.keras.layers.Activation("relu", name=f"{name}_Activation")(x)

    def unit(self, x: Tensor, name: str, outputs: int, stride: int = 1, padding: str = "same") -> Tensor:
        """Convolution, normalisation, rectifier; or a pool where the name says so."""
        rows, columns = map(int, re.findall(r"(\d)x(\d)$", name)[0])
        if "MaxPool" in name:
            return self.keras.layers.MaxPooling2D((rows, columns), stride, padding, name=name)(x)
        x = self.convolution(x, name, self.scaled(outputs), (rows, columns), strides=stride, padding=padding)
        return self.rectified(self.norm(x, name), name)

    def branches(self, x: Tensor, name: str, rows: Branches) -> Tensor:
        """Chains side by side; a layer called `_1a_` halves the picture, as the reductions have it."""
        ends = []
        for number, chain in enumerate(rows):
            y = x
            for layer, outputs in chain:
                halves = (2, "valid") if "_1a_" in layer else (1, "same")
                y = self.unit(y, f"{name}_Branch_{number}_{layer}", outputs, *halves)
            ends.append(y)
        return self.keras.layers.Concatenate(name=f"{name}_Concatenate")(ends)

    def residual(self, x: Tensor, name: str, rows: Branches, scale: float, *, rectified: bool = True) -> Tensor:
        """x + scale * (the branches, brought to x's channels)."""
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
        outputs: int,
        window: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        linear: bool = False,
        whole: bool = False,
    ) -> Tensor:
        """Convolution, normalisation, PReLU unless `linear`; `depthwise` ones keep the channels.

        `whole`: the window covers the picture, without any padding.
        """
        layers = self.keras.layers
        if window == 3 and not whole:  # padded evenly at any stride, which "same" is not
            x = layers.ZeroPadding2D(1, name=f"{name}_Pad")(x)
        if depthwise:
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
        """Widen, look around in each channel, narrow; added to where it came from if the shape allows."""
        y = self.depth_unit(x, f"{name}_Expand", x.shape[-1] * expansion, 1)
        y = self.depth_unit(y, f"{name}_Depthwise", 0, 3, depthwise=True, stride=stride)
        y = self.depth_unit(y, f"{name}_Project", outputs, 1, linear=True)
        if stride != 1 or x.shape[-1] != y.shape[-1]:
            return y
        return self.keras.layers.Add(name=f"{name}_Sum")([x, y])


ARCHITECTURES: dict[str, Callable[..., Model]] = {
    "inception_resnet_v1": inception_resnet_v1,
    "mobile_facenet": mobile_facenet,
}
"""Name -> what makes the untrained model."""


def check_side(architecture: str, image_size: int) -> None:
    """Raise TrainError where a net of that architecture cannot take pictures with so many rows and columns."""
    if architecture == "inception_resnet_v1" and image_size < 75:
        raise TrainError(f"Inception-ResNet-v1 needs pictures of at least 75 pixels, got {image_size}")
    if architecture == "mobile_facenet" and (image_size < 32 or image_size % 16):
        raise TrainError(f"MobileFaceNet needs pictures whose side is a multiple of 16 from 32 on, got {image_size}")

"""The student in PyTorch: Inception-ResNet-v1 at 0.34 of FaceNet's width, and its weights in Caffe's form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from faceall.convert.architectures.definitions import BLOCK8, BLOCK17, BLOCK35, MIXED_6A, MIXED_7A, STEM
from faceall.convert.architectures.definitions import Branches as Rows

EPSILON = 1e-3
MOMENTUM = 0.05
Weights = dict[str, npt.NDArray[np.float32]]


class Operations:
    """What follows a convolution; `fused.FusedOperations` does it in fewer passes."""

    def normalise(self, norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
        """Normalise, then ReLU."""
        return functional.relu_(norm(x))

    def add(self, x: torch.Tensor, update: torch.Tensor, weight: float, *, relu: bool) -> torch.Tensor:
        """Return x + weight * update, with ReLU if asked for."""
        x = x + weight * update
        return functional.relu_(x) if relu else x


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    operations = Operations()

    def __init__(self, name: str, inputs: int, outputs: int, stride: int = 1, *, padded: bool = True) -> None:
        super().__init__()
        self.name = name
        rows, columns = map(int, name.rsplit("_", 1)[1].split("x"))
        padding = (rows // 2, columns // 2) if padded else 0
        self.convolution = nn.Conv2d(inputs, outputs, (rows, columns), stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=MOMENTUM)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, H, W) to (n, outputs, h, w)."""
        return self.operations.normalise(self.norm, self.convolution(x))


class Branches(nn.Module):
    """Chains of units side by side, concatenated. Layers called `_1a_` halve the image."""

    def __init__(self, name: str, inputs: int, rows: Rows, scale: _Scale) -> None:
        super().__init__()
        chains, self.outputs = [], 0
        for number, row in enumerate(rows):
            channels, layers = inputs, []
            for layer, outputs in row:
                halves = "_1a_" in layer
                if "MaxPool" in layer:
                    layers.append(nn.MaxPool2d(3, 2))
                    continue
                unit = f"{name}_Branch_{number}_{layer}"
                layers.append(Unit(unit, channels, scale(outputs), 2 if halves else 1, padded=not halves))
                channels = scale(outputs)
            chains.append(nn.Sequential(*layers))
            self.outputs += channels
        self.chains = nn.ModuleList(chains)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Concatenate the ends of all chains."""
        return torch.cat([chain(x) for chain in self.chains], 1)


class Residual(nn.Module):
    """x + scale * (branches, brought to the channels of x), then ReLU."""

    operations = Operations()

    def __init__(
        self, name: str, channels: int, rows: Rows, scale: _Scale, weight: float, *, relu: bool = True
    ) -> None:
        super().__init__()
        self.name, self.weight, self.relu = name, weight, relu
        self.branches = Branches(name, channels, rows, scale)
        self.up = nn.Conv2d(self.branches.outputs, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, H, W) to the same shape."""
        return self.operations.add(x, self.up(self.branches(x)), self.weight, relu=self.relu)


class _Scale:
    """Round channels in proportion to FaceNet's to a multiple of 8."""

    def __init__(self, width: float) -> None:
        self._width = width

    def __call__(self, channels: int) -> int:
        return 8 * max(1, round(channels * self._width / 8))


class Student(nn.Module):
    """(n, 3, 112, 112) standardised RGB to (n, size), not yet of unit length."""

    def __init__(self, *, width: float = 0.34, size: int = 128, operations: Operations | None = None) -> None:
        super().__init__()
        scale, channels, layers = _Scale(width), 3, []
        for name, outputs, stride, padding in STEM:
            if "MaxPool" in name:
                layers.append(nn.MaxPool2d(3, stride))
                continue
            layers.append(Unit(name, channels, scale(outputs), stride, padded=padding == "SAME"))
            channels = scale(outputs)
        layers += [Residual(f"Block35_{n}", channels, BLOCK35, scale, 0.17) for n in range(1, 6)]
        layers.append(Branches("Mixed_6a", channels, MIXED_6A, scale))
        channels = layers[-1].outputs
        layers += [Residual(f"Block17_{n}", channels, BLOCK17, scale, 0.10) for n in range(1, 11)]
        layers.append(Branches("Mixed_7a", channels, MIXED_7A, scale))
        channels = layers[-1].outputs
        layers += [Residual(f"Block8_{n}", channels, BLOCK8, scale, 0.20) for n in range(1, 6)]
        layers.append(Residual("Block8_6", channels, BLOCK8, scale, 1.0, relu=False))
        self.layers = nn.Sequential(*layers)
        self.bottleneck = nn.Linear(channels, size)
        if operations:
            for module in [*self.units(), *self.residuals()]:
                module.operations = operations

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the averages over places, (n, channels)."""
        return self.layers(x).mean((2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embed a batch."""
        return self.bottleneck(self.features(x))

    def units(self) -> Iterator[Unit]:
        """Yield all units."""
        return (module for module in self.modules() if isinstance(module, Unit))

    def residuals(self) -> Iterator[Residual]:
        """Yield all residual blocks."""
        return (module for module in self.modules() if isinstance(module, Residual))


def as_input(views: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Standardise views: (n, 112, 112, 3) uint8 RGB to (n, 3, 112, 112) float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(views)).permute(0, 3, 1, 2).float()
    return ((tensor - 127.5) / 128).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def folded(student: Student) -> Weights:
    """Fold batch normalisation: 'LAYER/0' kernels and 'LAYER/1' biases by the names of the Caffe file."""
    weights = {}
    for unit in student.units():
        factor = unit.norm.weight / (unit.norm.running_var + EPSILON).sqrt()
        weights[f"{unit.name}/0"] = unit.convolution.weight * factor[:, None, None, None]
        weights[f"{unit.name}/1"] = unit.norm.bias - unit.norm.running_mean * factor
    for block in student.residuals():
        weights[f"{block.name}_Conv2d_1x1/0"] = block.up.weight
        weights[f"{block.name}_Conv2d_1x1/1"] = block.up.bias
    weights["Bottleneck/0"], weights["Bottleneck/1"] = student.bottleneck.weight, student.bottleneck.bias
    return {name: value.contiguous().numpy().astype(np.float32) for name, value in weights.items()}


@torch.no_grad()
def unfold(student: Student, weights: Weights, views: torch.Tensor) -> None:
    """Load folded weights, and restore batch normalisation so that the vectors of `views` stay the same.

    Kernels are scaled to a norm of sqrt(2) per output channel, which normalisation undoes.
    """
    for block in student.residuals():
        block.up.weight.copy_(torch.from_numpy(weights[f"{block.name}_Conv2d_1x1/0"]))
        block.up.bias.copy_(torch.from_numpy(weights[f"{block.name}_Conv2d_1x1/1"]))
    student.bottleneck.weight.copy_(torch.from_numpy(weights["Bottleneck/0"]))
    student.bottleneck.bias.copy_(torch.from_numpy(weights["Bottleneck/1"]))

    def restore(unit: Unit, inputs: tuple[torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        kernel, bias = (torch.from_numpy(weights[f"{unit.name}/{number}"]) for number in (0, 1))
        norm = kernel.flatten(1).norm(dim=1).clamp_min(1e-12) / 2**0.5
        unit.convolution.weight.copy_(kernel / norm[:, None, None, None])
        y = unit.convolution(inputs[0])
        mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False)
        unit.norm.running_mean.copy_(mean)
        unit.norm.running_var.copy_(variance)
        unit.norm.weight.copy_((variance + EPSILON).sqrt() * norm)
        unit.norm.bias.copy_(bias + mean * norm)
        return functional.relu_(unit.norm(y))

    handles = [unit.register_forward_hook(restore) for unit in student.units()]
    student.eval()(views)
    for handle in handles:
        handle.remove()


@torch.no_grad()
def recalibrate(student: Student, batches: Iterator[torch.Tensor]) -> None:
    """Replace the running statistics by the means over some batches: averaged weights have statistics of their own."""
    for unit in student.units():
        unit.norm.reset_running_stats()
        unit.norm.momentum = None
    student.train()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16):
            student(batch)
    for unit in student.units():
        unit.norm.momentum = MOMENTUM
    student.eval()

"""Export face nets with random weights from PyTorch: python make_torch_files.py FOLDER.

Every net is written by both exporters (TorchScript and dynamo), with a free and with a fixed batch size, as
NET-EXPORTER-BATCH.onnx. Needs torch, onnx and onnxscript.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 112


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    """Convolution, normalisation and, with `act`, PReLU."""
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*parts, *([nn.PReLU(outputs)] if act else []))


class IrBlock(nn.Module):
    """Normalisation first, PReLU, a strided shortcut with normalisation; optionally squeeze-and-excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int, squeeze: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.squeeze = Squeeze(outputs, nn.Sigmoid()) if squeeze else None
        self.shortcut = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return (y if self.squeeze is None else self.squeeze(y)) + self.shortcut(x)


class Squeeze(nn.Module):
    """Squeeze-and-excitation with convolutions."""

    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.up(functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1)))))


class LinearSqueeze(nn.Module):
    """Squeeze-and-excitation with fully connected layers and a view."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 4), nn.ReLU(), nn.Linear(channels // 4, channels), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
        return x * self.fc(y).view(x.size(0), -1, 1, 1).expand_as(x)


class IResNet(nn.Module):
    """An ArcFace net: blocks, BatchNorm, dropout, flatten, fully connected, BatchNorm1d."""

    def __init__(self, widths: tuple[int, ...] = (8, 8, 16, 24, 32), blocks: tuple[int, ...] = (1, 2, 2, 1),
                 size: int = 64, squeeze: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.stem = conv_bn(3, widths[0], 3)
        layers, inputs = [], widths[0]
        for width, count in zip(widths[1:], blocks, strict=True):
            for number in range(count):
                layers.append(IrBlock(inputs, width, 2 if number == 0 else 1, squeeze))
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.bn2, self.dropout = nn.BatchNorm2d(inputs), nn.Dropout(0.4)
        self.fc, self.features = nn.Linear(inputs * 7 * 7, size), nn.BatchNorm1d(size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.bn2(self.layers(self.stem(x))))
        return self.features(self.fc(torch.flatten(x, 1)))


class MobileFaceNet(nn.Module):
    """Linear bottlenecks, a global depthwise convolution, a view, unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 16, 3, 2), conv_bn(16, 16, 3, 1, 16))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                conv_bn(16, 32, 1), conv_bn(32, 32, 3, stride, 32), nn.Conv2d(32, 16, 1, bias=False), nn.BatchNorm2d(16)
            )
            for stride in (2, 1, 2, 1, 2)
        )
        self.last = conv_bn(16, 64, 1)
        self.whole = nn.Sequential(nn.Conv2d(64, 64, 7, groups=64, bias=False), nn.BatchNorm2d(64))
        self.linear = nn.Sequential(nn.Conv2d(64, 32, 1, bias=False), nn.BatchNorm2d(32))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            y = block(x)
            x = x + y if y.shape == x.shape else y
        x = self.linear(self.whole(self.last(x)))
        return functional.normalize(x.view(x.size(0), -1))


class SFace(nn.Module):
    """Scaling of pixels in the net, depthwise convolutions, a last normalisation."""

    def __init__(self) -> None:
        super().__init__()
        parts = [conv_bn(3, 16, 3, 2)]
        for inputs, outputs, stride in ((16, 24, 2), (24, 32, 2), (32, 48, 2)):
            parts += [conv_bn(inputs, inputs, 3, stride, inputs), conv_bn(inputs, outputs, 1)]
        self.body = nn.Sequential(*parts)
        self.fc, self.last = nn.Linear(48 * 7 * 7, 128), nn.BatchNorm1d(128)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body((x - 127.5) * 0.0078125)
        return self.last(self.fc(x.reshape(x.shape[0], -1)))


class EdgeFace(nn.Module):
    """Convolutional blocks of EdgeFace: a split, depthwise cascades, layer scale, low-rank linear layers, GELU-free."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 4, 4), nn.BatchNorm2d(24))
        self.depthwise = nn.ModuleList(nn.Conv2d(12, 12, 3, padding=1, groups=12) for _ in range(2))
        self.expand, self.down, self.up = nn.Conv2d(24, 48, 1), nn.Linear(48, 8, bias=False), nn.Linear(8, 24)
        self.gamma = nn.Parameter(torch.rand(24) + 0.5)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 8, bias=False), nn.Linear(8, 64))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        first, second = torch.chunk(x, 2, dim=1)
        first = self.depthwise[0](first)
        second = self.depthwise[1](second + first)
        y = functional.hardswish(self.expand(torch.cat([first, second], dim=1)))
        y = self.up(self.down(y.permute(0, 2, 3, 1))) * self.gamma
        return self.head(x + y.permute(0, 3, 1, 2))


class MobileNetV3(nn.Module):
    """HardSwish, SE by fully connected layers, SiLU, ReLU6, ELU, max and average pools."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.Hardswish(), nn.MaxPool2d(3, 2, 1))
        self.block = nn.Sequential(
            nn.Conv2d(16, 32, 1), nn.ReLU6(), nn.Conv2d(32, 32, 5, 2, 2, groups=32), nn.BatchNorm2d(32)
        )
        self.squeeze = LinearSqueeze(32)
        self.tail = nn.Sequential(
            nn.SiLU(), nn.Conv2d(32, 48, 1), nn.ELU(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d((1, 1))
        )
        self.head = nn.Sequential(nn.Linear(48, 64), nn.Tanh(), nn.Linear(64, 64))

    def forward(self, x: Tensor) -> Tensor:
        x = self.tail(self.squeeze(self.block(self.stem(x))))
        x = self.head(x.squeeze(-1).squeeze(-1))
        return x / torch.norm(x, 2, 1, True)


NETS = {
    "iresnet": IResNet,
    "iresnet_se": lambda: IResNet(squeeze=True),
    "mobilefacenet": MobileFaceNet,
    "sface": SFace,
    "edgeface": EdgeFace,
    "mobilenetv3": MobileNetV3,
}


def randomised(net: nn.Module) -> nn.Module:
    """Give normalisations and slopes values as after training."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
        elif isinstance(module, nn.PReLU):
            nn.init.normal_(module.weight, 0.25, 0.1)
    return net.eval()


def export(net: nn.Module, path: Path, *, dynamo: bool, free: bool) -> None:
    """Write one file."""
    example = torch.randn(2 if dynamo and free else 1, 3, SIDE, SIDE)
    names = {"input_names": ["input"], "output_names": ["embedding"]}
    if dynamo:
        shapes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if free else {}
        torch.onnx.export(net, (example,), path, dynamo=True, external_data=False, verbose=False, **names, **shapes)
    else:
        axes = {"dynamic_axes": {"input": {0: "batch"}, "embedding": {0: "batch"}}} if free else {}
        torch.onnx.export(net, (example,), path, dynamo=False, opset_version=13, **names, **axes)


def main(folder: Path) -> None:
    """Write all files."""
    warnings.simplefilter("ignore")
    for name, make in NETS.items():
        torch.manual_seed(0)
        net = randomised(make())
        for dynamo in (False, True):
            for free in (False, True):
                kind = f"{name}-{'dynamo' if dynamo else 'torchscript'}-{'free' if free else 'fixed'}"
                export(net, folder / f"{kind}.onnx", dynamo=dynamo, free=free)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Make other libraries importable if a dependency that they barely use is missing, without slowing them down."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def offer_torchvision() -> None:
    """Provide the two functions of torchvision that facenet-pytorch calls, if torchvision is not installed.

    `batched_nms` moves the boxes of different groups apart and suppresses them together, in C++ as torchvision does;
    `to_tensor` turns (H, W, 3) uint8 into (3, H, W) float 0..1.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        _install_stand_in()


def _install_stand_in() -> None:
    names = ("torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms")
    modules: dict[str, Any] = {name: ModuleType(name) for name in (*names, "torchvision.transforms.functional")}
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    modules["torchvision.ops.boxes"].batched_nms = _batched_nms
    modules["torchvision.transforms.functional"].to_tensor = _to_tensor
    sys.modules.update(modules)


def _batched_nms(boxes: Any, scores: Any, groups: Any, limit: float) -> Any:
    """Run greedy suppression within each group with OpenCV; returns indices of the kept boxes, best first."""
    import cv2
    import torch

    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    apart = boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]
    corners = torch.cat([apart[:, :2], apart[:, 2:] - apart[:, :2]], dim=1).double().numpy()
    kept = cv2.dnn.NMSBoxes(corners, scores.float().numpy(), 0.0, limit)
    return torch.as_tensor(kept, dtype=torch.int64)


def _to_tensor(image: Any) -> Any:
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()).float().div(255)

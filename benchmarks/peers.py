"""Make peers importable where a part that they barely use is absent, without slowing them down."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def offer_torchvision() -> None:
    """Provide the two functions of torchvision that facenet-pytorch calls, where torchvision has no build.

    `batched_nms` is the usual trick in plain torch: boxes of different groups are moved apart, then suppressed
    together; `to_tensor` turns (H, W, 3) uint8 into (3, H, W) float 0..1.
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
    """Greedy suppression within each group: indices of the kept boxes, best first."""
    import numpy as np
    import torch

    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    shift = groups.to(boxes) * (boxes.max() + 1)
    order = scores.argsort(descending=True)
    x0, y0, x1, y1 = (boxes + shift[:, None])[order].numpy().T
    areas = (x1 - x0) * (y1 - y0)
    alive = np.ones(len(order), bool)
    kept = []
    for number in range(len(order)):
        if not alive[number]:
            continue
        kept.append(number)
        width = np.minimum(x1[number], x1[number + 1 :]) - np.maximum(x0[number], x0[number + 1 :])
        height = np.minimum(y1[number], y1[number + 1 :]) - np.maximum(y0[number], y0[number + 1 :])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        alive[number + 1 :] &= common <= limit * (areas[number] + areas[number + 1 :] - common)
    return order[torch.as_tensor(kept)]


def _to_tensor(picture: Any) -> Any:
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy()).float().div(255)

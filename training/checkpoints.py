"""Checkpoints: the whole state of a run (`last.pt`), and small ones that are kept (`.npz`, 16 bits)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass
class State:
    """A run at one step.

    Attributes
    ----------
    weights, averages : dict of str to Tensor
        The student's state and its running averages.
    optimiser : dict
        State of AdamW.
    momentum : list of Tensor
        State of Muon; empty after a small checkpoint.
    step, images : int
        Steps done, images seen.
    hours : float
        Time spent.
    """

    weights: dict[str, torch.Tensor]
    averages: dict[str, torch.Tensor]
    optimiser: dict[str, Any] = field(default_factory=dict)
    momentum: list[torch.Tensor] = field(default_factory=list)
    step: int = 0
    images: int = 0
    hours: float = 0.0


def save(state: State, path: Path) -> None:
    """Write a checkpoint, by its suffix whole (.pt) or small (.npz); averages that are the weights only once."""
    draft = path.with_name(f".{path.name}")
    if path.suffix == ".npz":
        arrays = {f"averages/{name}": _halved(value) for name, value in state.averages.items()}
        if state.weights is not state.averages:
            arrays |= {f"weights/{name}": _halved(value) for name, value in state.weights.items()}
        np.savez(draft, step=state.step, images=state.images, hours=state.hours, **arrays)
        draft = draft if draft.exists() else draft.with_name(f"{draft.name}.npz")
    else:
        torch.save(vars(state), draft)
    os.replace(draft, path)


def load(path: Path) -> State:
    """Read a checkpoint of either kind."""
    if path.suffix != ".npz":
        return State(**torch.load(path, map_location="cpu", weights_only=True))
    with np.load(path) as file:
        parts: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "averages": {}}
        for name in file.files:
            part, _, key = name.partition("/")
            if key:
                value = torch.from_numpy(file[name])
                parts[part][key] = value.float() if value.is_floating_point() else value
        figures = {name: file[name].item() for name in ("step", "images", "hours")}
    return State(parts["weights"] or parts["averages"], parts["averages"], **figures)


def _halved(value: torch.Tensor) -> np.ndarray:
    return value.half().numpy() if value.is_floating_point() else value.numpy()

"""Muon: updates whose singular values are all equal, shared between worker processes.

References
----------
Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.distributed as dist

_STEPS = 4
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@torch.no_grad()
def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Bring the singular values of (n, rows, columns), rows <= columns, near one by Newton-Schulz iterations."""
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-8)
    for _ in range(_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x


class Muon:
    """Change every kernel by `rate` times its own norm per step, in the orthogonalised direction of the momentum.

    Each worker orthogonalises a part of the kernels; the updates are summed over the workers.
    """

    def __init__(self, kernels: Iterable[torch.nn.Parameter], *, momentum: float = 0.95) -> None:
        self._kernels = list(kernels)
        self.state = [torch.zeros_like(kernel) for kernel in self._kernels]
        self._momentum = momentum
        self._starts = np.cumsum([0] + [kernel.numel() for kernel in self._kernels])
        self._own = self._share(dist.get_rank(), dist.get_world_size())

    def _share(self, rank: int, workers: int) -> list[list[int]]:
        """Group kernels of equal shape, and return the groups of this worker."""
        groups: dict[tuple[int, int], list[int]] = {}
        for number, kernel in enumerate(self._kernels):
            rows, columns = kernel.shape[0], kernel.numel() // kernel.shape[0]
            groups.setdefault((min(rows, columns), max(rows, columns)), []).append(number)
        loads, own = [0] * workers, []
        for (rows, columns), numbers in sorted(groups.items(), key=lambda item: -(item[0][0] ** 2) * item[0][1]):
            worker = int(np.argmin(loads))
            loads[worker] += rows * rows * columns * len(numbers)
            if worker == rank:
                own.append(numbers)
        return own

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update the kernels from their gradients, which have to be equal on all workers."""
        updates = torch.zeros(int(self._starts[-1]))
        for momentum, kernel in zip(self.state, self._kernels, strict=True):
            momentum.lerp_(kernel.grad, 1 - self._momentum)
        for numbers in self._own:
            matrices = [self._matrix(number) for number in numbers]
            for number, update in zip(numbers, orthogonalise(torch.stack(matrices)), strict=True):
                whole = update.mT if self._is_tall(number) else update
                updates[self._starts[number] : self._starts[number + 1]] = (whole / whole.norm()).reshape(-1)
        dist.all_reduce(updates)
        for number, kernel in enumerate(self._kernels):
            update = updates[self._starts[number] : self._starts[number + 1]].view(kernel.shape)
            norm = float(kernel.norm())
            kernel.mul_(1 - rate * rate / 2).add_(update, alpha=-rate * norm)  # keeps the norm

    def _matrix(self, number: int) -> torch.Tensor:
        kernel = self._kernels[number]
        nesterov = kernel.grad.lerp(self.state[number], self._momentum).reshape(kernel.shape[0], -1)
        return nesterov.mT if self._is_tall(number) else nesterov

    def _is_tall(self, number: int) -> bool:
        kernel = self._kernels[number]
        return kernel.shape[0] ** 2 > kernel.numel()

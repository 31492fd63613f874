"""Batches of views: random ones, or ones that resemble each other to the teacher."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from student import as_input
from torch.nn import functional

_GROUPS = 8
_NEIGHBOURS = 24
_SECONDS_BETWEEN_LOOKS = 30.0


@dataclass(frozen=True)
class Shard:
    """A file of views.

    Attributes
    ----------
    views : ndarray (n, 112, 112, 3) uint8
        RGB, memory-mapped.
    targets : Tensor (n, 128) float32
        The teacher's projected vectors, of unit length.
    neighbours : ndarray (n, 24) int16
        Rows of the views with the highest cosines of a view, itself first.
    """

    views: npt.NDArray[np.uint8]
    targets: torch.Tensor
    neighbours: npt.NDArray[np.int16]

    @classmethod
    def open(cls, path: Path, projection: npt.NDArray[np.float32]) -> Shard:
        """Open NUMBER.x.npy and NUMBER.v.npy beside it."""
        vectors = np.load(path.with_name(path.name.replace(".x.", ".v."))).astype(np.float32) @ projection
        targets = functional.normalize(torch.from_numpy(vectors))
        neighbours = torch.topk(targets @ targets.T, _NEIGHBOURS, dim=1).indices.numpy().astype(np.int16)
        return cls(np.load(path, mmap_mode="r"), targets, neighbours)


@dataclass
class Shards:
    """The shards of a folder; those that are written later are taken up."""

    folder: Path
    projection: npt.NDArray[np.float32]
    found: dict[str, Shard] = field(default_factory=dict)
    looked: float = -_SECONDS_BETWEEN_LOOKS

    def draw(self, random: np.random.Generator) -> Shard:
        """Return one of the shards."""
        if time.monotonic() - self.looked > _SECONDS_BETWEEN_LOOKS:
            self.looked = time.monotonic()
            for path in sorted(self.folder.glob("*.x.npy")):
                if path.name not in self.found:
                    self.found[path.name] = Shard.open(path, self.projection)
        return list(self.found.values())[random.integers(len(self.found))]


class Views:
    """Draw batches from one or two folders of shards.

    Parameters
    ----------
    folder : Path
        Views as `make_views.py` writes them.
    projection : ndarray (256, 128) float32
        Of the teacher's vectors.
    random : Generator
        Source of all choices.
    mild : Path, optional
        Views with little change (`make_views.py --mild`).
    near : float
        The share of groups, an eighth of a batch each, that are a view and some of its 23 nearest in the same shard.
        Among random views hardly any two people resemble each other, and those are the ones that a search confuses.

    Attributes
    ----------
    mild_share : float
        The share of groups that come from `mild`.
    """

    def __init__(
        self,
        folder: Path,
        projection: npt.NDArray[np.float32],
        random: np.random.Generator,
        *,
        mild: Path | None = None,
        near: float = 0.0,
    ) -> None:
        self.projection, self.near, self.mild_share = projection, near, 0.0
        self._random, self._shards = random, Shards(folder, projection)
        self._mild = Shards(mild, projection) if mild else None

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw inputs (size, 3, 112, 112) and their targets (size, 128) of unit length.

        Half of the views are mirrored: the teacher gives a view and its mirror image one vector.
        """
        parts, targets = [], []
        for _ in range(_GROUPS):
            source = self._shards
            if self._mild and self._random.random() < self.mild_share:
                source = self._mild
            shard = source.draw(self._random)
            rows = self._rows(shard, size // _GROUPS)
            parts.append(shard.views[rows])
            targets.append(shard.targets[rows])
        images = np.concatenate(parts)
        mirrored = self._random.random(len(images)) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        return as_input(images), torch.cat(targets)

    def random_batch(self, size: int) -> torch.Tensor:
        """Draw inputs without a choice of similar ones, as the statistics of normalisation need them."""
        shard = self._shards.draw(self._random)
        return as_input(shard.views[np.sort(self._random.choice(len(shard.views), size, replace=False))])

    def _rows(self, shard: Shard, count: int) -> npt.NDArray[np.int64]:
        if self._random.random() >= self.near:
            return self._random.integers(0, len(shard.views), count)
        anchor, *others = shard.neighbours[self._random.integers(len(shard.views))].astype(np.int64)
        return np.array([anchor, *self._random.choice(others, count - 1, replace=False)])

"""Average the running averages of checkpoints that one course of training has passed: better than each of them.

    python average.py MEAN.npz FIRST.npz SECOND.pt ...

Steps, images and hours are those of the last checkpoint. The statistics of batch normalisation belong to none of them;
export.py measures them again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import checkpoints
import torch


def mean(states: list[checkpoints.State]) -> dict[str, torch.Tensor]:
    """Return the mean of the running averages; counters are those of the last state."""
    return {
        name: torch.stack([state.averages[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[-1].averages.items()
    }


def main() -> None:
    """Write the mean as weights and averages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mean", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    options = parser.parse_args()
    states = [checkpoints.load(path) for path in options.checkpoints]
    averages, last = mean(states), states[-1]
    state = checkpoints.State(averages, averages, step=last.step, images=last.images, hours=last.hours)
    checkpoints.save(state, options.mean)


if __name__ == "__main__":
    main()

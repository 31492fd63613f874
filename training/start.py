"""Initialise the student from a Caffe model of the same shape.

    python start.py MODEL VIEWS projection.npy start.npz

The weights of MODEL, a model folder, are taken over with batch normalisation restored, and the last layer is fitted to
the teacher's vectors by ridge regression. Even an embedder of other vectors, of faces that were not aligned, is a far
better start than random weights: the first faceall-128 began at a cosine of 0.59 to the teacher, before any step.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import checkpoints
import numpy as np
import torch
from student import Student, as_input, unfold
from torch.nn import functional

from faceall.caffe.files import read_net
from faceall.models import ModelFolder


@torch.no_grad()
def fit_bottleneck(student: Student, views: np.ndarray, targets: torch.Tensor, ridge: float = 0.02) -> None:
    """Fit the last layer to the targets by ridge regression on the features of some views."""
    student.eval()
    parts = []
    for start in range(0, len(views), 128):
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(student.features(as_input(views[start : start + 128])).float())
    features = torch.cat(parts)
    mean, target_mean = features.mean(0), targets.mean(0)
    centred = features - mean
    square = centred.T @ centred
    square += torch.eye(len(square)) * square.diag().mean() * ridge
    matrix = torch.linalg.solve(square, centred.T @ (targets - target_mean))
    student.bottleneck.weight.copy_(matrix.T)
    student.bottleneck.bias.copy_(target_mean - mean @ matrix)


def main() -> None:
    """Write the first checkpoint of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("views", type=Path)
    parser.add_argument("projection", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--keep-last", action="store_true", help="MODEL gives vectors of this projection: fit nothing")
    options = parser.parse_args()
    model = ModelFolder.open(options.model)
    views = np.load(options.views / "0000.x.npy", mmap_mode="r")
    vectors = np.load(options.views / "0000.v.npy").astype(np.float32)
    targets = functional.normalize(torch.from_numpy(vectors @ np.load(options.projection)))
    student = Student().to(memory_format=torch.channels_last)
    unfold(student, read_net(model.prototxt, model.caffemodel).weights, as_input(views[:384]))
    if not options.keep_last:
        fit_bottleneck(student, views, targets)
    state = {name: value.clone() for name, value in student.state_dict().items()}
    checkpoints.save(checkpoints.State(state, dict(state)), options.checkpoint)


if __name__ == "__main__":
    main()

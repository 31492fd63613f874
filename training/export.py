"""Write a checkpoint's averaged weights as a model folder.

    python export.py CHECKPOINT VIEWS FOLDER --like MODEL --name NAME

MODEL is a model folder with the same layers, as the bundled faceall-128; its prototxt is kept. The vectors of the
folder are compared with PyTorch's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import checkpoints
import numpy as np
import torch
from student import Student, as_input, folded, recalibrate
from torch.nn import functional

from faceall.caffe import write_caffemodel
from faceall.caffe.files import read_net
from faceall.embed import Embedder
from faceall.models import CAFFEMODEL, PROTOTXT, Alignment, ModelFolder, write_model_folder

LEAST_COSINE = 0.9999


def main() -> None:
    """Write the folder, or stop with the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("views", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--like", type=Path, required=True)
    parser.add_argument("--name", default="faceall-128")
    parser.add_argument("--batches", type=int, default=40, help="of 128 views, for the statistics of normalisation")
    options = parser.parse_args()
    student = Student().to(memory_format=torch.channels_last)
    student.load_state_dict(checkpoints.load(options.checkpoint).averages)
    shards = [np.load(path, mmap_mode="r") for path in sorted(options.views.glob("*.x.npy"))]
    random = np.random.default_rng(0)
    rows = lambda shard: shard[np.sort(random.choice(len(shard), 128))]  # noqa: E731
    recalibrate(student, (as_input(rows(shards[random.integers(len(shards))])) for _ in range(options.batches)))
    model = ModelFolder.open(options.like)
    net = read_net(model.prototxt, model.caffemodel)
    net = replace(net, weights={**net.weights, **folded(student)})
    manifest = replace(
        model.manifest,
        name=options.name,
        crop=None,
        alignment=Alignment("openvino-0095"),
        match_threshold=None,
        match_threshold_false_accept_rate=None,
        accuracy={},
        files={},
    )
    files = {PROTOTXT: model.prototxt.read_bytes(), CAFFEMODEL: write_caffemodel(net, half=True)}
    write_model_folder(options.folder, manifest, files, replace_existing=True)
    views = np.ascontiguousarray(shards[0][:32])
    with torch.no_grad():
        expected = functional.normalize(student(as_input(views))).numpy()
    cosine = float((Embedder(options.folder, precision="float32").embed_crops(views) * expected).sum(axis=1).min())
    if cosine < LEAST_COSINE:
        raise SystemExit(f"{options.folder}: the smallest cosine to PyTorch is {cosine:.6f}, expected {LEAST_COSINE}")
    print(f"{options.folder}: smallest cosine to PyTorch {cosine:.6f}")


if __name__ == "__main__":
    main()

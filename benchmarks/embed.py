"""Measure images per second of the embedder, compared with facenet-pytorch, onnxruntime and OpenVINO.

Needs an environment with these libraries (see README.md). The net of facenet-pytorch has random weights: its speed
does not depend on them. Usage: python benchmarks/embed.py [--json FILE] [--rounds N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from apart import Run, alternate_apart
from measure import print_table, write_json
from peers import facenet_pytorch_embedder

from faceall import Embedder
from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net


def own(crops: np.ndarray[Any, Any], precision: str) -> Run:
    """Return a run of faceall."""
    return partial(Embedder(precision=precision).embed_crops, crops)


def raw(crops: np.ndarray[Any, Any], engine: str) -> Run:
    """Return a run of an engine alone, on a batch that is ready."""
    model = Embedder().model
    net = get_engine(engine).compile(read_net(model.prototxt, model.caffemodel))
    batch = {model.manifest.input_blob: model.manifest.standardisation.apply(crops).transpose(0, 3, 1, 2).copy()}
    return partial(net, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    automatic = Embedder()
    width, height = automatic.model.manifest.input_size
    rows = []
    for size in (1, 16):
        crops = np.random.default_rng(0).integers(0, 256, (size, height, width, 3)).astype(np.uint8)
        candidates: dict[str, Callable[[], Run]] = {
            "facenet-pytorch": partial(facenet_pytorch_embedder, crops),
            f"faceall ({automatic.precision})": partial(own, crops, "auto"),
            "faceall (float32 asked)": partial(own, crops, "float32"),
            "onnxruntime raw": partial(raw, crops, "onnxruntime"),
            "OpenVINO raw, float32": partial(raw, crops, "openvino"),
        }
        seconds = alternate_apart(candidates, options.rounds)
        reference = next(iter(seconds))
        rows += [
            {"batch": size, "who": name, "images/s": size / value, f"against {reference}": seconds[reference] / value}
            for name, value in seconds.items()
        ]
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

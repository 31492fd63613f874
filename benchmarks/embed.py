"""Measure images per second of the embedder, compared with facenet-pytorch, onnxruntime and OpenVINO.

Needs an environment with these libraries (see README.md). The net of facenet-pytorch has random weights: its speed
does not depend on them. Usage: python benchmarks/embed.py [--json FILE] [--rounds N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import alternate, print_table, write_json
from peers import facenet_pytorch_embedder

from faceall import Embedder
from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net


def raw(engine: str, embedder: Embedder, crops: np.ndarray[Any, Any]) -> Callable[[], Any]:
    manifest = embedder.model.manifest
    net = get_engine(engine).compile(read_net(embedder.model.prototxt, embedder.model.caffemodel))
    batch = {manifest.input_blob: manifest.standardisation.apply(crops).transpose(0, 3, 1, 2).copy()}
    return lambda: net(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    automatic, exact = Embedder(), Embedder(precision="float32")
    width, height = automatic.model.manifest.input_size
    rows = []
    for size in (1, 16):
        crops = np.random.default_rng(0).integers(0, 256, (size, height, width, 3)).astype(np.uint8)
        seconds = alternate(
            {
                "facenet-pytorch": facenet_pytorch_embedder(crops),
                f"faceall ({automatic.precision})": lambda crops=crops: automatic.embed_crops(crops),
                "faceall (float32 asked)": lambda crops=crops: exact.embed_crops(crops),
                "onnxruntime raw": raw("onnxruntime", automatic, crops),
                "OpenVINO raw, float32": raw("openvino", automatic, crops),
            },
            options.rounds,
        )
        for name, value in seconds.items():
            rate = size / value
            rows.append({"batch": size, "who": name, "images/s": rate, "ratio": seconds["facenet-pytorch"] / value})
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()

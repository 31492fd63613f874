"""A very small embedder in Caffe format with random weights: real files, real engine, no meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceall.caffe.caffemodel import write_caffemodel
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.prototxt import write_prototxt
from faceall.models import CAFFEMODEL, PROTOTXT, Manifest, ModelFolder, write_model_folder

CHANNELS = 8
GRID = 5


def tiny_net(size: int = 128, seed: int = 0) -> Net:
    """160 x 160 pixels -> convolution of stride 8 -> average over 4 x 4 -> `size` numbers."""
    random = np.random.default_rng(seed)
    kernel = random.normal(0, 0.1, (CHANNELS, 3, 8, 8)).astype(np.float32)
    matrix = random.normal(0, 0.1, (size, CHANNELS * GRID * GRID)).astype(np.float32)
    pooling = {"pool": "AVE", "kernel_size": 4, "stride": 4}
    layers = (
        input_layer("data", (1, 3, 160, 160)),
        Layer(
            "conv",
            "Convolution",
            ("data",),
            ("conv",),
            {"convolution_param": {"num_output": CHANNELS, "kernel_size": [8], "stride": [8], "bias_term": False}},
        ),
        Layer("pool", "Pooling", ("conv",), ("pool",), {"pooling_param": pooling}),
        Layer(
            "vector",
            "InnerProduct",
            ("pool",),
            ("vector",),
            {"inner_product_param": {"num_output": size, "bias_term": False}},
        ),
    )
    return Net(f"tiny-{size}", layers, {**weight_keys("conv", [kernel]), **weight_keys("vector", [matrix])})


def write_tiny_model(directory: Path, name: str = "tiny", size: int = 128, seed: int = 0) -> ModelFolder:
    """Write the net as the model folder `directory / name`."""
    net = tiny_net(size, seed)
    manifest = Manifest(
        name=name,
        embedding_size=size,
        input_size=(160, 160),
        input_blob="data",
        output_blob="vector",
        source="random numbers",
    )
    files = {PROTOTXT: write_prototxt(net).encode(), CAFFEMODEL: write_caffemodel(net)}
    return write_model_folder(directory / name, manifest, files)

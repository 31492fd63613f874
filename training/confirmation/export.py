"""Write the trained confirmation net in Caffe format.

    python export.py WEIGHTS.npz [FOLDER]

FOLDER is by default that of `faceall.detect`. Weights are stored in 16 bits.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import faceall.detect
from faceall.caffe import Layer, Net, input_layer, write_caffemodel, write_prototxt
from faceall.detect.confirmation import CAFFEMODEL, PROTOTXT, SIDE
from faceall.detect.weights import OUTPUT

STRIDES = (2, 1, 2, 1, 2, 1, 2)


def confirmation_net(weights: dict[str, Any]) -> Net:
    """Build the net: 3 x 48 x 48 pixels, RGB 0 to 255 -> logit, box (4), landmarks (10)."""
    layers = [input_layer("data", (1, 3, SIDE, SIDE))]
    bottom = "data"
    for number, stride in enumerate(STRIDES, 1):
        name, outputs = f"conv{number}", len(weights[f"conv{number}/0"])
        options = {"num_output": outputs, "kernel_size": [3], "stride": [stride], "pad": [int(number > 1)]}
        layers.append(Layer(name, "Convolution", (bottom,), (name,), {"convolution_param": options}))
        layers.append(Layer(f"relu{number}", "ReLU", (name,), (name,)))
        bottom = name
    for name in ("hidden", OUTPUT):
        options = {"num_output": len(weights[f"{name}/0"])}
        layers.append(Layer(name, "InnerProduct", (bottom,), (name,), {"inner_product_param": options}))
        bottom = name
        if name != OUTPUT:
            layers.append(Layer("relu_hidden", "ReLU", (name,), (name,)))
    return Net("confirmation", tuple(layers), {key: np.asarray(value, np.float32) for key, value in weights.items()})


def main() -> None:
    """Write the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(faceall.detect.__file__).parent)
    options = parser.parse_args()
    net = confirmation_net(dict(np.load(options.weights)))
    (options.folder / PROTOTXT).write_text(write_prototxt(net))
    (options.folder / CAFFEMODEL).write_bytes(write_caffemodel(net, half=True))


if __name__ == "__main__":
    main()

"""Read a Caffe net, print the shapes of its blobs and run it, without Caffe.

Usage: python examples/run_a_caffe_net.py [NET.prototxt NET.caffemodel]
"""

import sys

import numpy as np

from faceall.caffe import Net, get_engine, infer_shapes, input_layer, read_net
from faceall.caffe.net import Layer

if len(sys.argv) > 2:
    net = read_net(sys.argv[1], sys.argv[2])
else:  # a net can also be defined in code
    convolution = {"convolution_param": {"num_output": 2, "kernel_size": [3]}}
    layers = (input_layer("data", (1, 3, 8, 8)), Layer("edges", "Convolution", ("data",), ("edges",), convolution))
    kernel = np.zeros((2, 3, 3, 3), np.float32)
    kernel[0, :, :, 0], kernel[0, :, :, 2] = -1, 1  # left to right
    kernel[1, :, 0, :], kernel[1, :, 2, :] = -1, 1  # top to bottom
    net = Net("edges", layers, {"edges/0": kernel, "edges/1": np.zeros(2, np.float32)})

for blob, shape in infer_shapes(net).items():
    print(f"{blob:20} {shape}")
inputs = {name: np.random.default_rng(0).random(shape, np.float32) for name, shape in net.inputs.items()}
for blob, array in get_engine().compile(net)(inputs).items():
    print(f"{blob}: values from {array.min():.3f} to {array.max():.3f}")

"""Read, write, check and run Caffe nets without Caffe."""

from faceall.caffe.caffemodel import read_caffemodel, read_caffemodel_net, rounded_to_half, write_caffemodel
from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net, write_net
from faceall.caffe.net import Layer, Net, input_layer
from faceall.caffe.onnx import to_onnx
from faceall.caffe.prototxt import read_prototxt, write_prototxt
from faceall.caffe.shapes import infer_shapes

__all__ = [
    "Layer",
    "Net",
    "get_engine",
    "infer_shapes",
    "input_layer",
    "read_caffemodel",
    "read_caffemodel_net",
    "read_net",
    "read_prototxt",
    "rounded_to_half",
    "to_onnx",
    "write_caffemodel",
    "write_net",
    "write_prototxt",
]

"""The target `caffe`: the two files of a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from faceall.caffe.caffemodel import read_caffemodel, write_caffemodel
from faceall.caffe.net import Net
from faceall.caffe.prototxt import read_prototxt, write_prototxt
from faceall.convert.passes.head import BottleneckStyle, bottleneck_as
from faceall.convert.passes.pools import FloorPool, write_floor_pools
from faceall.models import CAFFEMODEL, PROTOTXT


def for_caffe(
    net: Net, output: str, *, floor_pool: FloorPool = "crop", bottleneck: BottleneckStyle | None = None
) -> Net:
    """The same net with layers as a Caffe of choice knows them; blobs keep their names.

    Parameters
    ----------
    output : str
        The blob of the embedding.
    floor_pool : FloorPool
        How a pool that rounds down is spelled.
    bottleneck : BottleneckStyle | None
        What makes the vector; None: what makes it already.
    """
    if bottleneck is not None:
        net = bottleneck_as(net, output, bottleneck)
    return write_floor_pools(net, floor_pool)  # last: it needs final shapes


def caffe_files(net: Net) -> dict[str, bytes]:
    """The contents of model.prototxt and model.caffemodel."""
    return {PROTOTXT: write_prototxt(net).encode(), CAFFEMODEL: write_caffemodel(net)}


def read_caffe_files(files: Mapping[str, bytes]) -> Net:
    """The net in the bytes that are about to be written: what is compared is what a reader will get."""
    net = read_prototxt(files[PROTOTXT].decode())
    return replace(net, weights=read_caffemodel(files[CAFFEMODEL]))

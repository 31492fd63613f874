"""Write Caffe's format: the two files of a model folder."""

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
    """Express a net in the layers of a chosen Caffe; blobs keep their names.

    Parameters
    ----------
    output : str
        The blob of the embedding.
    floor_pool : FloorPool
        How a pool that rounds down is expressed.
    bottleneck : BottleneckStyle | None
        The layer that makes the vector. Default: the present one.
    """
    if bottleneck is not None:
        net = bottleneck_as(net, output, bottleneck)
    return write_floor_pools(net, floor_pool)  # last: it needs final shapes


def caffe_files(net: Net) -> dict[str, bytes]:
    """Return the contents of model.prototxt and model.caffemodel."""
    return {PROTOTXT: write_prototxt(net).encode(), CAFFEMODEL: write_caffemodel(net)}


def read_caffe_files(files: Mapping[str, bytes]) -> Net:
    """Read the net in the bytes that will be written, so that these are compared."""
    net = read_prototxt(files[PROTOTXT].decode())
    return replace(net, weights=read_caffemodel(files[CAFFEMODEL]))

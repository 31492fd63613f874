"""Read Caffe's two files: a folder with both, or one beside the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from faceall.caffe.caffemodel import read_caffemodel_net
from faceall.caffe.files import read_net
from faceall.caffe.net import Net
from faceall.convert.sources.source import Source, digests
from faceall.convert.sources.tensorflow.tensor_bundle import read_bytes
from faceall.errors import NetError, NetFormatError


def caffe_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the prototxts, without those for training if there are others, and the caffemodels in `folder`."""
    named = [file for file in sorted(folder.glob("*.prototxt")) if "solver" not in file.name]
    prototxts = [file for file in named if "train" not in file.name] or named
    return prototxts, sorted(folder.glob("*.caffemodel"))


def open_caffe_folder(folder: Path, image_size: int | None = None) -> Source:
    """Read the only net in `folder`; `image_size` as in `open_prototxt`.

    Raises
    ------
    NetFormatError
        If there is none or there are several.
    """
    prototxts, caffemodels = caffe_files(folder)
    if len(prototxts) == 1 and len(caffemodels) == 1:
        return _source(folder, folder.name, prototxts[0], caffemodels[0], image_size)
    names = ", ".join(file.name for file in [*prototxts, *caffemodels][:6])
    raise NetFormatError(
        f"{folder}: expected one prototxt and one caffemodel, found {names or 'neither'}; give the path of one file"
    )


def open_prototxt(path: Path, image_size: int | None = None) -> Source:
    """Read a net from its prototxt; the caffemodel of the same name, or the only one beside it, has the weights.

    `image_size` is the side of the images, for a net for training whose data layer does not state it.

    Raises
    ------
    NetFormatError
        If there is no caffemodel, or a file is damaged.
    """
    beside = path.with_suffix(".caffemodel")
    others = caffe_files(path.parent)[1]
    if not beside.is_file() and len(others) != 1:
        raise NetFormatError(f"{path}: the weights are absent: there is no {beside.name} beside it")
    return _source(path, path.stem, path, beside if beside.is_file() else others[0], image_size)


def open_caffemodel(path: Path, image_size: int | None = None) -> Source:
    """Read a net from its caffemodel; the prototxt of the same name beside it wins over the layers in the file."""
    beside = path.with_suffix(".prototxt")
    return _source(path, path.stem, beside if beside.is_file() else None, path, image_size)


def _source(path: Path, name: str, prototxt: Path | None, caffemodel: Path, image_size: int | None = None) -> Source:
    if prototxt is not None:
        net = read_net(prototxt, caffemodel, image_size=image_size)
        _refuse_lack(prototxt, net)
        return Source("caffe", path, name, net=net, files_sha256=digests([prototxt, caffemodel]))
    try:
        net = read_caffemodel_net(read_bytes(caffemodel))
    except NetError as error:
        raise type(error)(f"{caffemodel}: {error}") from error
    if not net.inputs:
        raise NetFormatError(
            f"{caffemodel}: it does not declare the size of its images; put {caffemodel.stem}.prototxt beside it"
        )
    _refuse_lack(caffemodel, net)
    return Source("caffe", path, name, net=replace(net, name=net.name or name), files_sha256=digests([caffemodel]))


def _refuse_lack(path: Path, net: Net) -> None:
    """Refuse a net in which a layer lacks its weights."""
    lacking = [
        layer.name
        for layer in net.layers
        if layer.type in ("Convolution", "ConvolutionDepthwise", "InnerProduct", "BatchNorm", "PReLU")
        and not net.blobs(layer.name)
    ]
    if lacking:
        raise NetFormatError(
            f"{path}: the caffemodel holds no weights for {len(lacking)} layers, as '{lacking[0]}': not its caffemodel"
        )

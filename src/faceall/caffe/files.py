"""Read a net from its two files and write it back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from faceall.arguments import checked
from faceall.caffe.caffemodel import read_caffemodel, write_caffemodel
from faceall.caffe.net import Net
from faceall.caffe.prototxt import read_prototxt, write_prototxt
from faceall.errors import NetError, NetFormatError


@checked
def read_net(prototxt: str | Path, caffemodel: str | Path | None = None, *, image_size: int | None = None) -> Net:
    """Read the layers from `prototxt` and the weights, by the layers' names, from `caffemodel`.

    Weights of layers that the prototxt does not have are left out, as Caffe does. A net for training is reduced to the
    one that Caffe runs in its test phase; `image_size` is the side of its images, if its data layer does not state it.

    Raises
    ------
    NetFormatError
        If one is missing or damaged. The message names the file.
    """
    try:
        net = read_prototxt(Path(prototxt).read_text(encoding="utf-8"), image_size)
    except UnicodeDecodeError as error:
        raise NetFormatError(f"{prototxt}: not a readable prototxt: it is not text") from error
    except OSError as error:
        raise NetFormatError(f"{prototxt}: cannot be read: {error.strerror}") from error
    except NetError as error:
        raise type(error)(f"{prototxt}: {error}") from error
    if caffemodel is None:
        return net
    try:
        weights = read_caffemodel(Path(caffemodel).read_bytes())
    except OSError as error:
        raise NetFormatError(f"{caffemodel}: cannot be read: {error.strerror}") from error
    except NetError as error:
        raise type(error)(f"{caffemodel}: {error}") from error
    names = {layer.name for layer in net.layers}
    return replace(net, weights={key: array for key, array in weights.items() if key.rpartition("/")[0] in names})


@checked
def write_net(net: Net, prototxt: str | Path, caffemodel: str | Path) -> None:
    """Write both files of `net`."""
    Path(prototxt).write_text(write_prototxt(net), encoding="utf-8")
    Path(caffemodel).write_bytes(write_caffemodel(net))

"""Caffe's text format: the layers of a net, without weights."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format

from faceall.arguments import checked
from faceall.caffe.net import Layer, Net, input_layer
from faceall.caffe.schema import V1_TYPES, messages
from faceall.caffe.training import data_inputs, layers_for_test, parse_prototxt
from faceall.errors import NetFormatError, UnsupportedLayerError
from faceall.protobuf import Message, from_dict, to_dict

_LONGEST_COMPLAINT = 300
_OWN_FIELDS = ("name", "type", "bottom", "top", "blobs")
_OLD_SOLVER_FIELDS = ("blobs_lr", "weight_decay", "param")


@checked
def read_prototxt(text: str, image_size: int | None = None) -> Net:
    """Read a net from prototxt text; inputs given at the top of the file become Input layers.

    A net for training is reduced to the one that Caffe runs in its test phase, without data and loss layers.

    Parameters
    ----------
    text : str
        The content of the file.
    image_size : int, optional
        Side of the images in pixels, for a data layer that does not state it.

    Raises
    ------
    NetFormatError
        If the text is not a prototxt. The message has line and column.
    """
    try:
        message = parse_prototxt(text)
    except text_format.ParseError as error:
        raise NetFormatError(f"not a readable prototxt: {_shortened(error)}") from error
    except RecursionError as error:  # protobuf's parser of unknown fields recurses without a limit
        raise NetFormatError("not a readable prototxt: its fields are nested too deeply") from error
    return net_of(message, image_size)


def _shortened(error: Exception) -> str:
    """Return the parser's message, shortened; it may quote a very long line."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_COMPLAINT else f"{text[:_LONGEST_COMPLAINT]}..."


@checked
def write_prototxt(net: Net) -> str:
    """Return the prototxt text of `net`."""
    return str(text_format.MessageToString(message_of(net)))


def net_of(message: Message, image_size: int | None = None) -> Net:
    """Return the layers of a NetParameter message (V1 or V2) as a net without weights."""
    check_names(message)
    layers = _top_level_inputs(message)
    layers += [input_layer(blob, shape) for blob, shape in data_inputs(message, image_size).items()]
    layers += [_layer(item) if isinstance(item.type, str) else _old_layer(item) for item in layers_for_test(message)]
    return Net(message.name, tuple(layers))


def message_of(net: Net) -> Message:
    """Return a NetParameter message (V2) of the layers of `net`, without weights.

    Raises
    ------
    NetFormatError
        If an option does not fit Caffe's format.
    """
    message = messages()["NetParameter"](name=net.name)
    for layer in net.layers:
        item = message.layer.add(name=layer.name, type=layer.type, bottom=layer.bottoms, top=layer.tops)
        try:
            from_dict(item, layer.parameters)
        except (ValueError, TypeError, KeyError) as error:
            raise NetFormatError(f"layer '{layer.name}' ({layer.type}): {error}") from error
    return message


def _top_level_inputs(message: Message) -> list[Layer]:
    names = list(message.input)
    if message.input_shape:
        shapes = [tuple(shape.dim) for shape in message.input_shape]
    else:
        dims = list(message.input_dim)
        shapes = [tuple(dims[start : start + 4]) for start in range(0, len(dims), 4)]
    if len(shapes) != len(names):
        raise NetFormatError(f"net '{message.name}' names {len(names)} inputs but gives {len(shapes)} input shapes")
    return [input_layer(name, shape) for name, shape in zip(names, shapes, strict=True)]


def _layer(item: Message) -> Layer:
    parameters = {name: value for name, value in _fields(item).items() if name not in _OWN_FIELDS}
    return Layer(item.name, item.type, tuple(item.bottom), tuple(item.top), parameters)


def _old_layer(item: Message) -> Layer:
    values = _fields(item)
    kind = values.get("type", "NONE")
    if kind not in V1_TYPES:
        known = ", ".join(sorted(V1_TYPES))
        raise UnsupportedLayerError(f"layer '{item.name}' has the type {kind} of the old format; known types: {known}")
    parameters = {
        name: value for name, value in values.items() if name not in _OWN_FIELDS and name not in _OLD_SOLVER_FIELDS
    }
    return Layer(item.name, V1_TYPES[kind], tuple(item.bottom), tuple(item.top), parameters)


def check_names(message: Message) -> None:
    """Refuse names that are not text, which protobuf gives as bytes.

    Raises
    ------
    NetFormatError
        If a name is not UTF-8 text.
    """
    names = [message.name, *message.input, *(item.type for item in message.layer)]
    names += [name for item in (*message.layer, *message.layers) for name in (item.name, *item.bottom, *item.top)]
    for name in names:
        if not isinstance(name, str):
            raise NetFormatError(f"the name {name!r} is not UTF-8 text: the file is damaged")


def _fields(item: Message) -> dict[str, Any]:
    """Return the message as plain values, its weights left out, as these would be millions of Python numbers."""
    if item.blobs:
        bare = type(item)()
        bare.CopyFrom(item)
        bare.ClearField("blobs")
        item = bare
    return to_dict(item)

"""Reduce a net for training to the net that Caffe runs in its test phase, without data and loss layers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf import text_format

from faceall.caffe.schema import messages
from faceall.errors import NetFormatError
from faceall.protobuf import Message

_DATA = re.compile(r"\w*Data|(\w+_)?DATA|Python(Data)?Layer")
"""The types of layers that read images and labels, in V2 and V1 files."""

_JUDGES = re.compile(r"\w*Loss|\w+_LOSS|(?i:accuracy)|\w*LossLayer")
"""The types of layers that compare a result with labels."""

_TOKEN = re.compile(r"""(?P<skip>\#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<open>[{<])|(?P<close>[}>])""")
_FIELD = re.compile(r"\b(layers?)\s*:?\s*$")


def parse_prototxt(text: str) -> Message:
    """Parse prototxt text; fields of other programs are accepted in layers of training only.

    Raises
    ------
    ParseError
        If the text is not a prototxt. The message has line and column.
    """
    message = messages()["NetParameter"]()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError:
        lenient = messages()["NetParameter"]()
        text_format.Parse(text, lenient, allow_unknown_field=True)
        spans = list(_blocks(text))
        layers = [*lenient.layer, *lenient.layers]
        kept = {id(item) for item in layers_for_test(lenient)} | {id(item) for item in layers if _is_data(item)}
        if (lenient.layer and lenient.layers) or len(spans) != len(layers) or len(kept) == len(layers):
            raise
        strict, whole = text, messages()["NetParameter"]()
        for item, (start, end) in zip(layers, spans, strict=True):
            if id(item) not in kept or _is_data(item):
                strict = strict[:start] + re.sub(r"[^\n]", " ", strict[start:end]) + strict[end:]
        text_format.Parse(strict, whole)  # what is kept has no unknown field
        return lenient
    return message


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of every block `layer { ... }` or `layers { ... }` at the top of a prototxt."""
    depth, start = 0, -1
    for token in _TOKEN.finditer(text):
        if token["open"]:
            field = _FIELD.search(text, max(0, token.start() - 100), token.start()) if depth == 0 else None
            start = field.start() if field else start
            depth += 1
        elif token["close"]:
            depth -= 1
            if depth == 0 and start >= 0:
                yield start, token.end()
                start = -1


def layers_for_test(message: Message) -> list[Message]:
    """Return the layers of a NetParameter that Caffe runs in its test phase, without those of training.

    Layers whose rules exclude the test phase, the level or the stages of the net's state are left out, as Caffe leaves
    them out; then data and loss layers, and layers that read labels or other blobs that no layer makes any more.

    Raises
    ------
    NetFormatError
        If a layer has both rules to include and rules to exclude it.
    """
    layers = [item for item in (*message.layer, *message.layers) if _runs_in_test(item, message.state)]
    made = {*message.input}
    gone: set[str] = set()
    kept = []
    for item in layers:
        if _is_data(item):
            made.update(item.top[:1])
            gone.update(item.top[1:])
        elif _JUDGES.fullmatch(kind_of(item)) or gone & set(item.bottom) - made:
            gone.update(top for top in item.top if top not in item.bottom)
        else:
            made.update(item.top)
            kept.append(item)
    return kept


def data_inputs(message: Message, image_size: int | None) -> dict[str, tuple[int, ...]]:
    """Return the images that the data layers of the test phase read: blob -> shape.

    Parameters
    ----------
    message : Message
        A NetParameter.
    image_size : int or None
        Side of the images in pixels, for a data layer that does not crop them to a size.

    Raises
    ------
    NetFormatError
        If the size is not known.
    """
    found: dict[str, tuple[int, ...]] = {}
    for item in (*message.layer, *message.layers):
        if not _is_data(item) or not item.top or not _runs_in_test(item, message.state):
            continue
        crop = item.transform_param.crop_size if "transform_param" in item.DESCRIPTOR.fields_by_name else 0
        side = image_size or crop
        if not side:
            raise NetFormatError(
                f"the data layer '{item.name}' does not state the size of its images: give it with --image-size N, or "
                "replace the layer by an Input layer"
            )
        found[item.top[0]] = (1, 3, side, side)
    return found


def kind_of(item: Message) -> str:
    """Return a layer's type as the file has it; V1 files have a number."""
    if isinstance(item.type, str):
        return item.type
    values = item.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number
    return str(values[item.type].name) if item.type in values else ""


def _is_data(item: Message) -> bool:
    return not item.bottom and _DATA.fullmatch(kind_of(item)) is not None


def _runs_in_test(item: Message, state: Message) -> bool:
    """Return whether Caffe keeps a layer in its test phase, at the level and with the stages of the net's state."""
    if item.include and item.exclude:
        raise NetFormatError(f"layer '{item.name}' has rules to include and to exclude it; Caffe allows one kind")
    if item.include:
        return any(_meets(rule, state) for rule in item.include)
    return not any(_meets(rule, state) for rule in item.exclude)


def _meets(rule: Message, state: Message) -> bool:
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == messages()["NetState"]().phase)  # TEST by default
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and not stages.intersection(rule.not_stage)
    )

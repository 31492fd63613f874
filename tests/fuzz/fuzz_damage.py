"""Seeded damage: files that are cut, flipped, overwritten and spliced, and messages that are whole but hostile."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

Message = Any

NUMBERS = (-1, 0, 1, 2, 3, 7, 255, 1 << 16, (1 << 31) - 1, -(1 << 31), 1 << 40, (1 << 63) - 1, -(1 << 63))
REALS = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e-45, 3e38)
TEXTS = ("", "?", "../../etc/passwd", "a\nb\x1b[31m\tc", "x" * 100_000, "name\u202etxt", "{}{0}%s", "-1")
COPIES = (2, 30, 3000)
"""How often a part is repeated."""


def damaged(data: bytes, chance: random.Random) -> bytes:
    """`data` cut short, with flipped bits, with a run of other bytes, or with a part gone or repeated."""
    kind = chance.randrange(4)
    if kind == 0:
        return data[: chance.randrange(len(data))]
    changed = bytearray(data)
    start = chance.randrange(len(data))
    if kind == 1:
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        length = chance.randint(1, 64)
        changed[start : start + length] = bytes(chance.choices((0, 0x7F, 0x80, 0xFF, 1, 0x20), k=length))
    else:
        part = data[start : start + chance.randint(1, 400)]
        changed[start : start + len(part)] = part * chance.choice((0, 2, 50))
    return bytes(changed)


def twisted(message: Message, chance: random.Random) -> Message:
    """A copy of `message` that is whole, with one to three fields set to what no honest file has."""
    copy = type(message)()
    copy.CopyFrom(message)
    for _ in range(chance.randint(1, 3)):
        _twist(chance.choice(list(_parts(copy))), chance)
    return copy


def twisted_json(text: str, chance: random.Random) -> str:
    """JSON with one value replaced, or nested beyond measure."""
    if not chance.randrange(8):
        return "[" * 100_000
    values = json.loads(text)
    places = list(_json_places(values))
    holder, key = chance.choice(places)
    holder[key] = chance.choice([None, [], {}, True, -1, 1e308, *TEXTS])
    return json.dumps(values)


def _json_places(values: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield values, key
            yield from _json_places(value)


def _parts(message: Message) -> Iterator[Message]:
    """The message and all messages in it."""
    yield message
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        entries = [value[key] for key in value] if _is_map(field) else None
        for part in entries or (value if field.is_repeated else [value]):
            if hasattr(part, "DESCRIPTOR"):
                yield from _parts(part)


def _is_map(field: Any) -> bool:
    return field.type == field.TYPE_MESSAGE and bool(field.message_type.GetOptions().map_entry)


def _twist(message: Message, chance: random.Random) -> None:
    """Change one field, mostly one that is set."""
    held = [field for field, _ in message.ListFields()]
    fields = held if held and chance.random() < 0.8 else list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = chance.choice(fields)
    if _is_map(field):
        _twist_map(getattr(message, field.name), chance)
    elif field.is_repeated:
        _twist_several(message, field, chance)
    elif field.type == field.TYPE_MESSAGE:
        message.ClearField(field.name)
        if chance.random() < 0.5:
            getattr(message, field.name).SetInParent()
    else:
        _set(lambda value: setattr(message, field.name, value), field, chance)


def _twist_map(entries: Any, chance: random.Random) -> None:
    if entries:
        del entries[chance.choice(sorted(entries))]


def _twist_several(message: Message, field: Any, chance: random.Random) -> None:
    items = getattr(message, field.name)
    kind = chance.randrange(5)
    if not len(items) or kind == 0:
        message.ClearField(field.name)
    elif kind == 1:
        del items[chance.randrange(len(items))]
    elif kind == 2:
        copies = min(chance.choice(COPIES), 200_000 // max(len(items), 1) + 1)
        items.extend([items[chance.randrange(len(items))]] * copies)
    elif kind == 3:
        part = items[chance.randrange(len(items))]
        del items[:]
        items.extend([part])
    elif field.type == field.TYPE_MESSAGE:
        items.add()
    else:
        place = chance.randrange(len(items))
        _set(lambda value: items.__setitem__(place, value), field, chance)


def _set(put: Any, field: Any, chance: random.Random) -> None:
    """Give the field a hostile value of its type; a value that the type cannot hold is replaced by another."""
    for _ in range(20):
        try:
            put(_value(field, chance))
        except (ValueError, TypeError):
            continue
        return


def _value(field: Any, chance: random.Random) -> Any:
    if field.type == field.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == field.TYPE_BYTES:
        return bytes(chance.choices(range(256), k=chance.choice((0, 1, 7, 4096))))
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return chance.choice(REALS)
    if field.type == field.TYPE_ENUM:
        return chance.choice(field.enum_type.values).number
    return chance.choice(NUMBERS)

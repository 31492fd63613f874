"""Protocol-buffer messages built at run time, in a descriptor pool of their own.

A schema is a dict: the message's name -> its fields, one per line, as `label type name = number`, where label is
`optional`, `repeated`, `packed` or `map`. A line `enum Name = A 0, B 1` inside a message declares an enumeration.
An optional default follows the number. Nothing is generated, and another copy of the same schema in the
process does not conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MessageClass: TypeAlias = Any
Message: TypeAlias = Any

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "int32": _Field.TYPE_INT32,
    "uint32": _Field.TYPE_UINT32,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "fixed32": _Field.TYPE_FIXED32,
}


def build_messages(package: str, schema: Mapping[str, str]) -> dict[str, MessageClass]:
    """Return the message classes of `schema`, by name, in a private descriptor pool."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    enums = {
        line.split()[1] for text in schema.values() for line in text.strip().splitlines() if line.split()[0] == "enum"
    }
    for name, text in schema.items():
        message = file.message_type.add(name=name)
        for line in text.strip().splitlines():
            if line.split()[0] == "enum":
                _add_enum(file, line)
            else:
                _add_field(message, package, enums, line)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in schema}


def _add_enum(file: Any, line: str) -> None:
    """Declare `enum Name = A 0, B 1`, its values scoped by the name, as two enumerations may share a value's name."""
    head, values = line.split("=")
    name = head.split()[1]
    holder = file.message_type.add(name=f"{name}Scope")
    enum = holder.enum_type.add(name=name)
    for value in values.split(","):
        label, number = value.split()
        enum.value.add(name=label, number=int(number))


def _add_field(message: Any, package: str, enums: set[str], line: str) -> None:
    """Declare one field from its line `label type name = number [default]`."""
    label, kind, name, _, number, *default = line.split()
    field = message.field.add(name=name, number=int(number))
    repeated = label in ("repeated", "packed", "map")
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    if label == "packed":
        field.options.packed = True
    if default:
        field.default_value = default[0]
    if label == "map":
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
        value = entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL)
        _set_type(value, package, enums, kind)
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{message.name}.{entry.name}"
    else:
        _set_type(field, package, enums, kind)


def _set_type(field: Any, package: str, enums: set[str], kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    elif kind in enums:
        field.type, field.type_name = _Field.TYPE_ENUM, f".{package}.{kind}Scope.{kind}"
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{kind}"


def to_dict(message: Message) -> dict[str, Any]:
    """Return the fields that are set, with the schema's names; enumerations by name, messages as dicts."""
    return {field.name: _plain(field, value) for field, value in message.ListFields()}


def _plain(field: Any, value: Any) -> Any:
    if field.is_repeated:
        return [_plain_one(field, item) for item in value]
    return _plain_one(field, value)


def _plain_one(field: Any, value: Any) -> Any:
    if field.type == field.TYPE_MESSAGE:
        return to_dict(value)
    if field.type == field.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    return value


def from_dict(message: Message, values: Mapping[str, Any]) -> Message:
    """Fill `message` from what `to_dict` gives, and return it.

    Raises
    ------
    ValueError
        If a field is unknown.
    """
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in values.items():
        if name not in fields:
            raise ValueError(f"{message.DESCRIPTOR.name} has no field '{name}'; known: {', '.join(sorted(fields))}")
        field = fields[name]
        if not field.is_repeated:
            _fill_one(message, field, value)
        elif field.type == field.TYPE_MESSAGE:
            for item in value:
                from_dict(getattr(message, name).add(), item)
        else:
            getattr(message, name).extend(_number(field, item) for item in value)
    return message


def _fill_one(message: Message, field: Any, value: Any) -> None:
    if field.type == field.TYPE_MESSAGE:
        child = getattr(message, field.name)
        child.SetInParent()
        from_dict(child, value)
    else:
        setattr(message, field.name, _number(field, value))


def _number(field: Any, value: Any) -> Any:
    return field.enum_type.values_by_name[value].number if field.type == field.TYPE_ENUM else value

"""The part of TensorFlow's GraphDef format that faceall reads: field numbers as in its protos, text our own."""

from __future__ import annotations

from functools import cache

import numpy as np

from faceall.protobuf import MessageClass, build_messages

_MESSAGES = {
    "Dim": """
        optional int64 size = 1
        optional bytes name = 2""",
    "TensorShapeProto": """
        repeated Dim dim = 2
        optional bool unknown_rank = 3""",
    "TensorProto": """
        optional int32 dtype = 1
        optional TensorShapeProto tensor_shape = 2
        optional int32 version_number = 3
        optional bytes tensor_content = 4
        packed float float_val = 5
        packed double double_val = 6
        packed int32 int_val = 7
        repeated bytes string_val = 8
        packed float scomplex_val = 9
        packed int64 int64_val = 10
        packed bool bool_val = 11
        packed double dcomplex_val = 12
        packed int32 half_val = 13
        packed uint32 uint32_val = 16
        packed uint64 uint64_val = 17""",
    "ListValue": """
        repeated bytes s = 2
        packed int64 i = 3
        packed float f = 4
        packed bool b = 5
        packed int32 type = 6
        repeated TensorShapeProto shape = 7
        repeated TensorProto tensor = 8
        repeated NameAttrList func = 9""",
    "NameAttrList": """
        optional string name = 1
        map AttrValue attr = 2""",
    "AttrValue": """
        optional ListValue list = 1
        optional bytes s = 2
        optional int64 i = 3
        optional float f = 4
        optional bool b = 5
        optional int32 type = 6
        optional TensorShapeProto shape = 7
        optional TensorProto tensor = 8
        optional bytes placeholder = 9
        optional NameAttrList func = 10""",
    "NodeDef": """
        optional string name = 1
        optional string op = 2
        repeated string input = 3
        optional string device = 4
        map AttrValue attr = 5""",
    "VersionDef": """
        optional int32 producer = 1
        optional int32 min_consumer = 2""",
    "GraphDef": """
        repeated NodeDef node = 1
        optional bytes library = 2
        optional int32 version = 3
        optional VersionDef versions = 4""",
}

BOOL = 10
"""The number of the data type bool."""

NUMPY_TYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    7: np.object_,
    9: np.int64,
    BOOL: np.bool_,
    17: np.uint16,
    19: np.float16,
    22: np.uint32,
    23: np.uint64,
}
"""TensorFlow's DataType -> NumPy's; text is an object array of bytes."""

VALUE_FIELDS = {
    1: "float_val",
    2: "double_val",
    3: "int_val",
    4: "int_val",
    5: "int_val",
    6: "int_val",
    7: "string_val",
    9: "int64_val",
    BOOL: "bool_val",
    17: "int_val",
    19: "half_val",
    22: "uint32_val",
    23: "uint64_val",
}
"""DataType -> the field of TensorProto with its values, if they are not in tensor_content."""


@cache
def messages() -> dict[str, MessageClass]:
    """Return the message classes, built once."""
    return build_messages("faceall.tensorflow", _MESSAGES)

"""The part of the ONNX file format that faceall reads and writes: field numbers as in onnx.proto, text our own."""

from __future__ import annotations

from functools import cache

from faceall.protobuf import MessageClass, build_messages

_MESSAGES = {
    "Dimension": """
        optional int64 dim_value = 1
        optional string dim_param = 2""",
    "TensorShapeProto": "repeated Dimension dim = 1",
    "TensorTypeProto": """
        optional int32 elem_type = 1
        optional TensorShapeProto shape = 2""",
    "TypeProto": "optional TensorTypeProto tensor_type = 1",
    "ValueInfoProto": """
        optional string name = 1
        optional TypeProto type = 2""",
    "TensorProto": """
        packed int64 dims = 1
        optional int32 data_type = 2
        packed int64 int64_data = 7
        optional string name = 8
        optional bytes raw_data = 9""",
    "AttributeProto": """
        optional string name = 1
        optional float f = 2
        optional int64 i = 3
        optional bytes s = 4
        optional TensorProto t = 5
        repeated float floats = 7
        repeated int64 ints = 8
        optional int32 type = 20""",
    "NodeProto": """
        repeated string input = 1
        repeated string output = 2
        optional string name = 3
        optional string op_type = 4
        repeated AttributeProto attribute = 5""",
    "GraphProto": """
        repeated NodeProto node = 1
        optional string name = 2
        repeated TensorProto initializer = 5
        repeated ValueInfoProto input = 11
        repeated ValueInfoProto output = 12
        repeated ValueInfoProto value_info = 13""",
    "OperatorSetIdProto": """
        optional string domain = 1
        optional int64 version = 2""",
    "ModelProto": """
        optional int64 ir_version = 1
        optional string producer_name = 2
        optional GraphProto graph = 7
        repeated OperatorSetIdProto opset_import = 8""",
}

FLOAT = 1
UINT8 = 2
INT8 = 3
INT64 = 7
"""Element types of TensorProto."""

ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_FLOATS, ATTRIBUTE_INTS = 1, 2, 3, 6, 7
"""Kinds of AttributeProto."""


@cache
def messages() -> dict[str, MessageClass]:
    """Return the message classes, built once."""
    return build_messages("faceall.onnx", _MESSAGES)

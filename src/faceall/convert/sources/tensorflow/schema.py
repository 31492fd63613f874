"""The parts of TensorFlow's formats around a graph: meta graph, saved model, functions, tensor bundle.

Field numbers as in TensorFlow's protos, text our own. A graph stays bytes, which `graphdef` reads.
"""

from __future__ import annotations

from functools import cache

from faceall.protobuf import MessageClass, build_messages

_MESSAGES = {
    "Dim": """
        optional int64 size = 1
        optional bytes name = 2""",
    "TensorShapeProto": """
        repeated Dim dim = 2
        optional bool unknown_rank = 3""",
    "TensorInfo": """
        optional string name = 1
        optional int32 dtype = 2
        optional TensorShapeProto tensor_shape = 3""",
    "SignatureDef": """
        map TensorInfo inputs = 1
        map TensorInfo outputs = 2
        optional string method_name = 3""",
    "MetaInfoDef": """
        repeated string tags = 4
        optional string tensorflow_version = 5""",
    "MetaGraphDef": """
        optional MetaInfoDef meta_info_def = 1
        optional bytes graph_def = 2
        map SignatureDef signature_def = 5""",
    "SavedModel": """
        optional int64 saved_model_schema_version = 1
        repeated MetaGraphDef meta_graphs = 2""",
    "ArgDef": """
        optional string name = 1
        optional int32 type = 3""",
    "OpDef": """
        optional string name = 1
        repeated ArgDef input_arg = 2
        repeated ArgDef output_arg = 3""",
    "FunctionDef": """
        optional OpDef signature = 1
        repeated bytes node_def = 3
        map string ret = 4""",
    "FunctionDefLibrary": "repeated FunctionDef function = 1",
    "BundleHeaderProto": """
        optional int32 num_shards = 1
        optional int32 endianness = 2""",
    "BundleEntryProto": """
        optional int32 dtype = 1
        optional TensorShapeProto shape = 2
        optional int32 shard_id = 3
        optional int64 offset = 4
        optional int64 size = 5
        optional fixed32 crc32c = 6
        repeated bytes slices = 7""",
}


@cache
def messages() -> dict[str, MessageClass]:
    """Return the message classes, built once."""
    return build_messages("faceall.tensorflow.sources", _MESSAGES)

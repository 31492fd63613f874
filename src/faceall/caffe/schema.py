"""The part of Caffe's file format that faceall reads and writes: field numbers as in caffe.proto, text our own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from faceall.caffe.layers import INPUT_OPTIONS, LAYERS, OptionSchema
from faceall.protobuf import MessageClass, build_messages

_FRAME = {
    "BlobShape": "packed int64 dim = 1",
    "BlobProto": """
        enum RawType = DOUBLE 0, FLOAT 1, FLOAT16 2, INT 3, UINT 4
        optional int32 num = 1 0
        optional int32 channels = 2 0
        optional int32 height = 3 0
        optional int32 width = 4 0
        packed float data = 5
        packed float diff = 6
        optional BlobShape shape = 7
        packed double double_data = 8
        packed double double_diff = 9
        optional RawType raw_data_type = 10
        optional bytes raw_data = 12""",
    "FillerParameter": """
        enum VarianceNorm = FAN_IN 0, FAN_OUT 1, AVERAGE 2
        optional string type = 1 constant
        optional float value = 2 0
        optional float min = 3 0
        optional float max = 4 1
        optional float mean = 5 0
        optional float std = 6 1
        optional int32 sparse = 7 -1
        optional VarianceNorm variance_norm = 8 FAN_IN""",
    "NetStateRule": """
        enum Phase = TRAIN 0, TEST 1
        optional Phase phase = 1
        optional int32 min_level = 2
        optional int32 max_level = 3
        repeated string stage = 4
        repeated string not_stage = 5""",
    "NetState": """
        optional Phase phase = 1 TEST
        optional int32 level = 2 0
        repeated string stage = 3""",
    "ParamSpec": """
        enum DimCheckMode = STRICT 0, PERMISSIVE 1
        optional string name = 1
        optional DimCheckMode share_mode = 2
        optional float lr_mult = 3 1
        optional float decay_mult = 4 1""",
    "LayerParameter": """
        enum Engine = DEFAULT 0, CAFFE 1, CUDNN 2
        optional string name = 1
        optional string type = 2
        repeated string bottom = 3
        repeated string top = 4
        repeated float loss_weight = 5
        repeated ParamSpec param = 6
        repeated BlobProto blobs = 7
        repeated NetStateRule include = 8
        repeated NetStateRule exclude = 9
        optional Phase phase = 10
        repeated bool propagate_down = 11
        optional TransformationParameter transform_param = 100""",
    "TransformationParameter": """
        optional float scale = 1 1
        optional bool mirror = 2 false
        optional uint32 crop_size = 3 0
        optional string mean_file = 4
        repeated float mean_value = 5
        optional bool force_color = 6 false
        optional bool force_gray = 7 false""",
    "V1LayerParameter": """
        enum V1LayerType = NONE 0, ACCURACY 1, BNLL 2, CONCAT 3, CONVOLUTION 4, DATA 5, DROPOUT 6, EUCLIDEAN_LOSS 7, \
FLATTEN 8, HDF5_DATA 9, HDF5_OUTPUT 10, IM2COL 11, IMAGE_DATA 12, INFOGAIN_LOSS 13, INNER_PRODUCT 14, LRN 15, \
MULTINOMIAL_LOGISTIC_LOSS 16, POOLING 17, RELU 18, SIGMOID 19, SOFTMAX 20, SOFTMAX_LOSS 21, SPLIT 22, TANH 23, \
WINDOW_DATA 24, ELTWISE 25, POWER 26, SIGMOID_CROSS_ENTROPY_LOSS 27, HINGE_LOSS 28, MEMORY_DATA 29, ARGMAX 30, \
THRESHOLD 31, DUMMY_DATA 32, SLICE 33, MVN 34, ABSVAL 35, SILENCE 36, CONTRASTIVE_LOSS 37, EXP 38, DECONVOLUTION 39
        repeated string bottom = 2
        repeated string top = 3
        optional string name = 4
        optional V1LayerType type = 5
        repeated BlobProto blobs = 6
        repeated float blobs_lr = 7
        repeated float weight_decay = 8
        repeated NetStateRule include = 32
        repeated NetStateRule exclude = 33
        optional TransformationParameter transform_param = 36
        repeated string param = 1001""",
    "NetParameter": """
        optional string name = 1
        repeated V1LayerParameter layers = 2
        repeated string input = 3
        repeated int32 input_dim = 4
        optional bool force_backward = 5 false
        optional NetState state = 6
        optional bool debug_info = 7 false
        repeated BlobShape input_shape = 8
        repeated LayerParameter layer = 100""",
}
"""The messages without the options of single layer types, which `LAYERS` adds."""

V1_TYPES = {spec.v1_type: name for name, spec in LAYERS.items() if spec.v1_type}
"""A layer type's name in V1 files -> its name in V2 files."""

_OPTIONS: dict[str, OptionSchema] = {
    "Input": INPUT_OPTIONS,
    **{name: spec.options for name, spec in LAYERS.items() if spec.options},
}

PARAMETER_FIELDS = {name: options.field for name, options in _OPTIONS.items()}
"""Layer type -> the field of LayerParameter that holds its options."""


@cache
def messages() -> dict[str, MessageClass]:
    """Return the message classes by name; they are built once."""
    schema = dict(_FRAME)
    schema.update({options.message: options.text for options in _OPTIONS.values()})
    schema["LayerParameter"] += "".join(_fields("number"))
    schema["V1LayerParameter"] += "".join(_fields("v1_number"))
    return build_messages("faceall.caffe", schema)


def _fields(number: str) -> Iterator[str]:
    """Yield one line per message of options; types that share a message share the line."""
    for options in {options.field: options for options in _OPTIONS.values()}.values():
        if getattr(options, number) is not None:
            yield f"\n        optional {options.message} {options.field} = {getattr(options, number)}"


@cache
def defaults(parameter_field: str) -> dict[str, object]:
    """Return the default of every option of a field as "convolution_param"; None if the schema has none."""
    layer = messages()["LayerParameter"].DESCRIPTOR
    options = layer.fields_by_name[parameter_field].message_type
    return {field.name: _default(field) for field in options.fields}


def _default(field: object) -> object:
    if field.is_repeated:  # type: ignore[attr-defined]
        return ()
    if not field.has_default_value:  # type: ignore[attr-defined]
        return None
    value: object = field.default_value  # type: ignore[attr-defined]
    if field.enum_type is not None:  # type: ignore[attr-defined]
        return field.enum_type.values_by_number[value].name  # type: ignore[attr-defined]
    return value
